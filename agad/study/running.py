"""A trial while it runs: its launch, and the progress that its worker reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Self, cast

from agad.records import Pause, objective_of
from agad.study.cell import CellRun
from agad.trial import EpochResult, FeatureProgress, TrialSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A claimed trial to start."""

    spec: TrialSpec
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The report of a worker at a rung, at a heartbeat or at the end."""

    epochs: tuple[EpochResult, ...] = ()
    """The epochs since the last report."""

    features: FeatureProgress | None = None
    """How far the features of an encoder are; None if the worker computes none."""

    diverged: str = ""
    """The value that was not finite and ended the trial; else empty."""

    seconds: float = 0.0
    """Time worked on the trial so far, including earlier attempts' work on epochs taken over."""

    encode_s: float = 0.0
    """Seconds of ``seconds`` in which this attempt computed features, or waited for another trial
    that computed them."""

    gpu_s: float = 0.0
    """``seconds`` x the GPUs reserved."""

    hardware: str = ""
    """The processor or GPU that trains the trial."""

    peak_memory_bytes: int | None = None
    """The most memory that the worker held during this attempt; None if unknown."""

    peak_gpu_memory_bytes: int | None = None
    """The most GPU memory that the worker's tensors took; None without a GPU."""

    gpu_memory_bytes: int | None = None
    """All memory of that GPU."""


@dataclass(slots=True)
class Running:
    """A launched trial, as its driver knows it."""

    launch: Launch
    cell: CellRun
    started_at: datetime
    epochs: dict[int, EpochResult] = field(default_factory=dict)
    last: Progress = field(default_factory=Progress)
    is_started: bool = False
    """Whether a worker has the trial; before, the trial waits for room or for new nodes."""

    is_pruned: bool = False

    @classmethod
    def paused(cls, spec: TrialSpec, cell: CellRun, pause: Pause) -> Self:
        """Return a trial as it was when an earlier driver paused it."""
        epochs = [
            EpochResult(
                epoch=row.epoch,
                objective=cast(float, objective_of(row)),
                val_auroc=row.val_auroc,
                train_s=row.train_s,
                losses=row.losses,
                pretrain_s=0.0 if row.epoch else pause.pretrain_s,
            )
            for row in pause.epochs
        ]
        progress = Progress(
            epochs=tuple(epochs),
            seconds=pause.seconds,
            encode_s=pause.encode_s,
            gpu_s=pause.gpu_s,
            hardware=pause.hardware,
            peak_memory_bytes=pause.peak_memory_bytes,
            peak_gpu_memory_bytes=pause.peak_gpu_memory_bytes,
        )
        running = cls(Launch(spec=spec, attempt=pause.attempt), cell, pause.started_at)
        running.take(progress)
        return running

    def take(self, progress: Progress) -> None:
        """Keep what the worker sent."""
        self.is_started = True
        self.last = progress
        self.epochs |= {result.epoch: result for result in progress.epochs}

    @property
    def results(self) -> list[EpochResult]:
        """The epochs so far, in order."""
        return [self.epochs[epoch] for epoch in sorted(self.epochs)]

    @property
    def own_results(self) -> list[EpochResult]:
        """The epochs so far; a test trial leaves out those in its confirm trial's row."""
        is_test = self.launch.spec.phase == "test"
        return [result for result in self.results if not (is_test and result.is_restored)]

    @property
    def num_own_epochs(self) -> int:
        """The number of ``own_results``."""
        is_test = self.launch.spec.phase == "test"
        return len(self.own_results) if is_test else len(self.epochs)

    @property
    def pretrain_s(self) -> float:
        """Seconds before the first epoch; a test trial leaves out those of its confirm trial."""
        return sum(result.pretrain_s for result in self.own_results)

    @property
    def objectives(self) -> list[float]:
        """The objective, which the study maximises, after each epoch."""
        return [result.objective for result in self.results]
