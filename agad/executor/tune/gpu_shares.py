"""How many trials of one kind share a GPU: what memory allows and what time is worth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import median

MOST_PER_GPU = 8
"""Each trial is a process of its own, with a host memory and a context on the GPU of its own."""

_MEMORY_MARGIN = 1.2
"""What a process takes of a GPU over what its trial's tensors take: pieces between them that its
allocator cannot use. An estimate, as the next one: neither was measured on a GPU."""

_CONTEXT_BYTES = 2**30
"""What a process takes of a GPU beside: CUDA's context, and the libraries' own buffers."""

_LEAST_GAIN = 1.05
"""Twice the trials have to get so much more done in all, or they are not worth the wait for each.
"""

_LEAST_EPOCHS = 4
_MOST_EPOCHS = 64


def share_of(num: int) -> float:
    """Return the share of a GPU of which ``num`` fit it; Ray counts in ten-thousandths."""
    return (10_000 // num) / 10_000


class GpuShares:
    """Learns from trials that are alike how many of them a GPU takes at once.

    The first ones have a whole GPU. Then twice as many share one, as long as their memory fits and
    they get more done in all than half as many did. A number that ran out of memory is never taken
    again.
    """

    def __init__(self) -> None:
        self._first = 1
        self._most = MOST_PER_GPU
        self._memory: dict[str, tuple[int, int]] = {}
        """The peak of a trial and all memory, by GPU model."""

        self._epochs_s: dict[int, list[float]] = defaultdict(list)
        """Times of epochs by the number that shared a GPU, in units that compare."""

    @property
    def is_known(self) -> bool:
        """Whether a trial has told what it takes."""
        return bool(self._memory)

    @property
    def num(self) -> int:
        """Trials that share a GPU, of those that start now."""
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
        """Go on where an earlier driver was, with so many a GPU."""
        self._first = max(1, min(num, MOST_PER_GPU))

    def take_memory(self, gpu: str, peak_bytes: int, all_bytes: int) -> None:
        """Take a trial's peak; the highest of each GPU model counts, and the tightest model.

        Args:
            gpu: The model that trained.
            peak_bytes: The most that the trial's tensors took.
            all_bytes: All memory of that GPU.
        """
        highest, _ = self._memory.get(gpu, (0, 0))
        self._memory[gpu] = (max(highest, peak_bytes), all_bytes)

    def take_epochs(self, num: int, epochs_s: Sequence[float]) -> None:
        """Take the times of epochs of a trial beside ``num - 1`` others on its GPU."""
        times = self._epochs_s[num]
        times += epochs_s
        del times[:-_MOST_EPOCHS]

    def run_out(self, num: int) -> None:
        """Let fewer than ``num`` share a GPU, for good: half as many."""
        self._most = min(self._most, max(1, num // 2))

    def _is_measured(self, num: int) -> bool:
        return len(self._epochs_s.get(num, ())) >= _LEAST_EPOCHS

    def _epoch_s(self, num: int) -> float:
        return max(median(self._epochs_s[num]), 1e-12)


def _room(peak_bytes: int, all_bytes: int) -> int:
    return max(1, int(all_bytes // (peak_bytes * _MEMORY_MARGIN + _CONTEXT_BYTES)))
