"""The rows of a running trial: its trial row, epoch rows, score rows and pause."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from agad.config import labelled_text
from agad.records import EpochRow, Pause, Provenance, ScoreRow, State, TrialRow
from agad.study.running import Running


@dataclass(frozen=True, slots=True, kw_only=True)
class RowMaker:
    """Makes rows; holds the values that all rows of one driver share."""

    study: str
    provenance: Provenance
    precision: str = "float32"

    def trial_row(self, running: Running, state: State, error: str) -> TrialRow:
        """Return the trial row of a trial that ends now."""
        spec = running.launch.spec
        cell_data = running.cell.data_of(spec.cell.label)
        counts = cell_data.trial_counts(spec)
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
            pretrain_s=running.pretrain_s,
            encode_s=running.last.encode_s,
            work_flop=running.cell.work_of(spec.params) if running.cell.work_of else None,
            objective=last.objective if last else None,
            num_normals=spec.cell.num_normals,
            label_budget=spec.cell.labels,
            num_labelled=cell_data.num_labelled,
            num_test_anomalies=cell_data.num_test_anomalies,
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
        """Return the record of a trial that pauses."""
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
            pretrain_s=running.pretrain_s,
            encode_s=last.encode_s,
        )

    def score_rows(self, running: Running) -> list[ScoreRow]:
        """Return one row for each test image, in order; none if the trial scored no image."""
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
