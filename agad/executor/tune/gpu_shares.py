"""How many trials of one kind share a GPU, from their memory and their speed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import median

MOST_PER_GPU = 8
"""The most trials on one GPU. Every trial is a process with its own host memory and GPU context."""

_MEMORY_MARGIN = 1.2
"""GPU memory of a process, divided by the memory of its tensors: the allocator cannot use the gaps
between tensors. This number and the next are estimates, which were not measured on a GPU."""

_CONTEXT_BYTES = 2**30
"""Further GPU memory of a process: CUDA's context, and the libraries' own buffers."""

_LEAST_GAIN = 1.05
"""How much more work twice the trials must get done in all. Less is not worth it, since each trial
then takes longer."""

_LEAST_EPOCHS = 4
_MOST_EPOCHS = 64


def share_of(num: int) -> float:
    """Return the share of a GPU for ``num`` equal trials; Ray counts in ten-thousandths."""
    return (10_000 // num) / 10_000


class GpuShares:
    """Learns how many trials of one kind a GPU takes at once.

    The first trials have a whole GPU. Then the number of trials doubles, as long as their memory
    fits and they get more done in all than half as many trials did. A number that ran out of memory
    is never used again.
    """

    def __init__(self) -> None:
        self._first = 1
        self._most = MOST_PER_GPU
        self._memory: dict[str, tuple[int, int]] = {}
        """Highest memory peak of a trial and all memory, by GPU model."""

        self._epochs_s: dict[int, list[float]] = defaultdict(list)
        """Epoch times by the number of trials that shared a GPU, in comparable units."""

    @property
    def is_known(self) -> bool:
        """Whether the memory of a trial is known."""
        return bool(self._memory)

    @property
    def num(self) -> int:
        """How many trials share a GPU, among those that start now."""
        if not self.is_known:
            return 1
        most = min(self._most, *(_room(peak, total) for peak, total in self._memory.values()))
        num = min(self._first, most)
        while num < most and self._is_measured(num):
            more = min(2 * num, most)
            if not self._is_measured(more):
                return more
            if more / self._epoch_s(more) < _LEAST_GAIN * num / self._epoch_s(num):
                return num
            num = more
        return num

    def start_at(self, num: int) -> None:
        """Start with the number of trials per GPU that an earlier driver had."""
        self._first = max(1, min(num, MOST_PER_GPU))

    def take_memory(self, gpu: str, peak_bytes: int, all_bytes: int) -> None:
        """Take the peak memory of a trial.

        The highest peak of each GPU model counts. The model with room for the fewest trials limits
        the number for all models.

        Args:
            gpu: Model of the GPU.
            peak_bytes: Peak memory of the trial's tensors.
            all_bytes: All memory of the GPU.
        """
        highest, _ = self._memory.get(gpu, (0, 0))
        self._memory[gpu] = (max(highest, peak_bytes), all_bytes)

    def take_epochs(self, num: int, epochs_s: Sequence[float]) -> None:
        """Take the epoch times of a trial that shared its GPU with ``num - 1`` others."""
        times = self._epochs_s[num]
        times += epochs_s
        del times[:-_MOST_EPOCHS]

    def run_out(self, num: int) -> None:
        """Allow only half of ``num`` trials on a GPU, for good: ``num`` ran out of memory."""
        self._most = min(self._most, max(1, num // 2))

    def _is_measured(self, num: int) -> bool:
        return len(self._epochs_s.get(num, ())) >= _LEAST_EPOCHS

    def _epoch_s(self, num: int) -> float:
        return max(median(self._epochs_s[num]), 1e-12)


def _room(peak_bytes: int, all_bytes: int) -> int:
    return max(1, int(all_bytes // (peak_bytes * _MEMORY_MARGIN + _CONTEXT_BYTES)))
