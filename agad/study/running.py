"""A trial while it runs: its launch, what its worker sends back, and its rows when it ends."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Self, cast

from agad.config import labelled_text
from agad.records import EpochRow, Pause, Provenance, ScoreRow, State, TrialRow, objective_of
from agad.study.cell import CellRun
from agad.trial import EpochResult, TrialSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A claimed trial to start."""

    spec: TrialSpec
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a worker sends back at a rung, at a heartbeat or at the end."""

    epochs: tuple[EpochResult, ...] = ()
    """The epochs since the last time."""

    diverged: str = ""
    """What was not finite, where the trial ended by it."""

    seconds: float = 0.0
    """Time worked on the trial so far, and by earlier attempts on the epochs taken over."""

    gpu_s: float = 0.0
    """``seconds`` x the GPUs reserved."""

    hardware: str = ""
    """What it is trained on."""

    peak_memory_bytes: int | None = None
    """The most memory that the worker held during this attempt; None where it is not known."""

    peak_gpu_memory_bytes: int | None = None
    """The most GPU memory that its tensors took; None without a GPU."""

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
    """Whether a worker has it; until then it waits for the cluster to have room, or to grow."""

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
            )
            for row in pause.epochs
        ]
        progress = Progress(
            epochs=tuple(epochs),
            seconds=pause.seconds,
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
        """The epochs so far without those that are in the row of another trial."""
        is_test = self.launch.spec.phase == "test"
        return [result for result in self.results if not (is_test and result.is_restored)]

    @property
    def num_own_epochs(self) -> int:
        """How many ``own_results`` are."""
        is_test = self.launch.spec.phase == "test"
        return len(self.own_results) if is_test else len(self.epochs)

    @property
    def objectives(self) -> list[float]:
        """What the study maximises, after each epoch."""
        return [result.objective for result in self.results]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowMaker:
    """Makes the rows of ended trials; holds what all rows of one driver share."""

    study: str
    provenance: Provenance
    precision: str = "float32"

    def trial_row(self, running: Running, state: State, error: str) -> TrialRow:
        """Return the trial row of a trial that ended now."""
        spec = running.launch.spec
        counts = running.cell.cell_data.trial_counts(spec)
        is_one_class = spec.cell.protocol == "one-class"
        is_alone = not spec.cell.development_classes
        results = running.results
        last = results[-1] if results else None
        test = last.test if last else None
        return TrialRow(
            study=self.study,
            cell=spec.cell.label,
            phase=spec.phase,
            trial_key=spec.key,
            attempt=running.launch.attempt,
            number=spec.number,
            detector=spec.detector.name,
            detector_version=spec.detector.version,
            dataset=spec.cell.dataset,
            protocol=spec.cell.protocol,
            normal_class=spec.given_label if is_alone and is_one_class else None,
            anomalous_class=spec.given_label if is_alone and not is_one_class else None,
            development_classes=() if is_alone else spec.given_labels,
            anomaly_ratio=spec.cell.anomaly_ratio,
            pollution_ratio=spec.cell.pollution_ratio,
            labelled_classes=labelled_text(spec.cell.labelled_classes),
            settings=json.dumps(dict(spec.cell.settings)),
            seeds=spec.seeds,
            params=json.dumps(spec.params, sort_keys=True),
            selection=spec.selection,
            **asdict(counts),
            max_epochs=spec.max_epochs,
            state=state,
            stop_reason=_stop_reason(running, state),
            error=error,
            epochs=running.num_own_epochs,
            seconds=running.last.seconds,
            gpu_s=running.last.gpu_s,
            val_auroc=last.val_auroc if last else None,
            test_auroc=test.auroc if test else None,
            test_average_precision=test.average_precision if test else None,
            data_fingerprint=spec.data.fingerprint,
            commit=self.provenance.commit,
            is_dirty=self.provenance.is_dirty,
            versions=self.provenance.versions,
            hardware=running.last.hardware,
            precision=self.precision,
            started_at=running.started_at,
            ended_at=datetime.now(UTC),
            peak_memory_bytes=running.last.peak_memory_bytes,
            peak_gpu_memory_bytes=running.last.peak_gpu_memory_bytes,
            gpu_memory_bytes=running.last.gpu_memory_bytes,
            work_flop=running.cell.work_of(spec.params) if running.cell.work_of else None,
            objective=last.objective if last else None,
        )

    def epoch_rows(self, running: Running) -> list[EpochRow]:
        """Return the epoch rows of a trial."""
        spec = running.launch.spec
        return [
            EpochRow(
                study=self.study,
                cell=spec.cell.label,
                phase=spec.phase,
                trial_key=spec.key,
                attempt=running.launch.attempt,
                epoch=result.epoch,
                val_auroc=result.val_auroc,
                train_s=result.train_s,
                losses=result.losses,
                objective=result.objective,
            )
            for result in running.own_results
        ]

    def pause(self, running: Running) -> Pause:
        """Return what is kept of a trial that pauses."""
        last = running.last
        return Pause(
            trial_key=running.launch.spec.key,
            attempt=running.launch.attempt,
            started_at=running.started_at,
            seconds=last.seconds,
            gpu_s=last.gpu_s,
            hardware=last.hardware,
            peak_memory_bytes=last.peak_memory_bytes,
            peak_gpu_memory_bytes=last.peak_gpu_memory_bytes,
            epochs=tuple(self.epoch_rows(running)),
        )

    def score_rows(self, running: Running) -> list[ScoreRow]:
        """Return a row a test image, in order; none where the trial scored none."""
        spec = running.launch.spec
        results = running.results
        test = results[-1].test if results else None
        if test is None:
            return []
        labels = test.labels.tolist()
        anomalous = {*spec.task.anomalous_classes}
        return [
            ScoreRow(
                study=self.study,
                cell=spec.cell.label,
                trial_key=spec.key,
                attempt=running.launch.attempt,
                image=image,
                label=label,
                is_anomaly=label in anomalous,
                score=score,
            )
            for image, (label, score) in enumerate(zip(labels, test.scores.tolist(), strict=True))
        ]


def _stop_reason(running: Running, state: State) -> str:
    if state == "pruned":
        return running.cell.stop_reason(running.launch.spec.key)
    return {"finished": "", "diverged": running.last.diverged, "failed": "error"}[state]
