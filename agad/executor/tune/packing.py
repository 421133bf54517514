"""Room for each new trial: its share of a GPU, its CPU threads, and whether it can start."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from agad.executor.tune.cluster_options import GpuNode, Slots, gpu_nodes, num_threads
from agad.executor.tune.gpu_shares import GpuShares, share_of
from agad.records import TrialRow
from agad.study import Launch, Progress
from agad.trial import Runtime, TrialSpec

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 5.0
"""The nodes of a cluster come and go; each look is one request to the head node."""

_Kind: TypeAlias = tuple[str, tuple[int, int, int], int | None]
"""Detector, image shape and batch size: trials of one kind need about the same share of a GPU."""


@dataclass(slots=True)
class _Reserved:
    gpus: float
    is_measuring: bool
    """Whether the trial is one of the first of its kind."""

    num_epochs: int = 0
    """Epochs that the trial has reported."""


class Packing:
    """Gives each new trial its share of a GPU; the share of a running trial never changes.

    Learned shares are learned for each kind of trial. A given share doubles for a kind of trial
    that did not fit.
    """

    def __init__(
        self,
        slots: Slots,
        past: Iterable[tuple[TrialSpec, TrialRow]] = (),
        nodes: Callable[[], Sequence[GpuNode]] = gpu_nodes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Learn from the trials of earlier drivers.

        Args:
            slots: The resources that the study may use.
            past: Trials that ended, and their rows.
            nodes: Returns the cluster's nodes that have GPUs now.
            clock: Seconds of a clock that never goes back.
        """
        self._slots = slots
        self._look = nodes
        self._clock = clock
        self._nodes: Sequence[GpuNode] = ()
        self._next_look_s = clock()
        self._shares: dict[_Kind, GpuShares] = defaultdict(GpuShares)
        self._least: dict[_Kind, float] = {}
        """The least share for each kind of trial that did not fit a smaller share."""

        self._reserved: dict[tuple[str, int], _Reserved] = {}
        for spec, row in sorted(past, key=lambda one: one[1].started_at):
            self._remember(spec, row)

    def runtime(self, spec: TrialSpec) -> Runtime:
        """Return the runtime of a trial that starts now."""
        runtime = self._slots.runtime
        gpus = self._gpus(_kind_of(spec))
        if gpus == 0:
            return runtime
        threads = num_threads(self._slots.cpus_per_trial, gpus, self._now())
        return replace(runtime, gpus=gpus, num_threads=threads)

    @property
    def has_room(self) -> bool:
        """Whether some trial could start now."""
        if not self._slots.learns or self._slots.grows:
            return True
        least = min((self._gpus(kind) for kind in self._shares), default=1.0)
        return self._free() >= least

    def fits(self, spec: TrialSpec) -> bool:
        """Whether a trial may start now.

        On a cluster that grows, a trial of a known kind may always start, so that the cluster sees
        the demand. A trial of an unknown kind asks for a whole GPU: at most as many start as there
        are GPUs.
        """
        if not self._slots.learns:
            return True
        kind = _kind_of(spec)
        if not self._slots.grows:
            return self._free() >= self._gpus(kind)
        num_measuring = sum(one.is_measuring for one in self._reserved.values())
        return self._shares[kind].is_known or num_measuring < max(1.0, self._num_gpus())

    def start(self, launch: Launch, runtime: Runtime) -> None:
        """Count a launched trial."""
        is_measuring = self._slots.learns and not self._shares[_kind_of(launch.spec)].is_known
        self._reserved[launch.spec.key, launch.attempt] = _Reserved(runtime.gpus, is_measuring)

    def end(self, launch: Launch) -> None:
        """Stop counting a trial."""
        del self._reserved[launch.spec.key, launch.attempt]

    def learn(self, launch: Launch, progress: Progress) -> None:
        """Learn the memory and the epoch times of a running or just ended trial.

        A trial may report an epoch twice, at a rung and when it is stopped there. The first report
        counts.
        """
        peak, total = progress.peak_gpu_memory_bytes, progress.gpu_memory_bytes
        if not self._slots.learns or peak is None or total is None:
            return
        spec = launch.spec
        shares = self._shares[_kind_of(spec)]
        if progress.epochs:
            shares.take_memory(progress.hardware, peak, total)
        reserved = self._reserved[spec.key, launch.attempt]
        epochs = [one for one in progress.epochs if one.epoch >= reserved.num_epochs]
        if epochs:
            reserved.num_epochs = epochs[-1].epoch + 1
        if self._free() >= reserved.gpus:
            return  # The trial has more of a GPU than its share: its times say nothing.
        # An epoch's time covers all instances of a trial; a confirm trial has one.
        num_images = sum(
            spec.data.train.class_counts[label]
            for one in spec.instances
            for label in one.task.normal_classes
        )
        # A first epoch starts libraries, too.
        first = min(1, spec.max_epochs - 1)
        shares.take_epochs(
            round(1 / reserved.gpus),
            [
                one.train_s / num_images
                for one in epochs
                if one.epoch >= first and not one.is_restored
            ],
        )

    def grow(self, spec: TrialSpec, gpus: float) -> bool:
        """Double a share that was too small, for later trials of the same kind.

        Args:
            spec: The trial that did not fit.
            gpus: GPUs that the trial had.

        Returns:
            False if the trial had a whole GPU or none: then no larger share exists.
        """
        if not 0 < gpus < 1:
            return False
        kind = _kind_of(spec)
        before = self._gpus(kind)
        if self._slots.learns:
            self._shares[kind].run_out(round(1 / gpus))
        else:
            self._least[kind] = max(self._least.get(kind, 0.0), min(1.0, 2 * gpus))
        share = self._gpus(kind)
        if share > before:
            detector, shape, batch_size = kind
            logger.warning(
                "A trial did not fit %g of a GPU's memory; from now on each of %s on images of "
                "%dx%dx%d in batches of %d gets %g.",
                *(gpus, detector, *shape, batch_size, share),
            )
        return True

    def _remember(self, spec: TrialSpec, row: TrialRow) -> None:
        peak, total = row.peak_gpu_memory_bytes, row.gpu_memory_bytes
        if not self._slots.learns or peak is None or total is None or not row.gpu_s:
            return
        shares = self._shares[_kind_of(spec)]
        shares.take_memory(row.hardware, peak, total)
        shares.start_at(round(row.seconds / row.gpu_s))

    def _gpus(self, kind: _Kind) -> float:
        if not self._slots.learns:
            return max(self._slots.runtime.gpus, self._least.get(kind, 0.0))
        # Every trial takes at least a core, and a node may have few cores for each of its GPUs.
        cpus = self._slots.cpus_per_trial or 1
        room = min((int(node.cpus / node.gpus) // cpus for node in self._now()), default=1)
        return share_of(max(1, min(self._shares[kind].num, room)))

    def _free(self) -> float:
        """Return the number of GPUs that no trial has reserved."""
        reserved = sum(one.gpus for one in self._reserved.values())
        # Shares are rounded down: three thirds of a GPU leave one ten-thousandth.
        return self._num_gpus() - reserved + 1e-9

    def _num_gpus(self) -> float:
        return sum(node.gpus for node in self._now())

    def _now(self) -> Sequence[GpuNode]:
        if self._clock() >= self._next_look_s:
            self._nodes = self._look()
            self._next_look_s = self._clock() + _LOOK_EVERY_S
        return self._nodes


def _kind_of(spec: TrialSpec) -> _Kind:
    return (
        spec.detector.name,
        spec.data.image_shape,
        spec.detector.batches(spec.cell.anomaly_ratio).batch_size,
    )
