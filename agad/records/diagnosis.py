"""What a pass over kept checkpoints leaves: a row a confirmed trial, of what no result may use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosticRow:
    """What the test split would have given one confirmed trial. Written once, never ranked."""

    study: str
    cell: str
    phase: str
    trial_key: str
    attempt: int
    number: int
    detector: str
    detector_version: int
    dataset: str
    params: str
    seeds: tuple[int, ...]
    kept_epochs: tuple[int, ...]
    """Epochs whose checkpoints were scored, from 0, ascending; the last is the one reported."""

    kept_test_aurocs: tuple[float, ...]
    """Test AUROC of each of them, in [0, 1]."""

    reported_test_auroc: float
    """Test AUROC of the last epoch, in [0, 1], as this pass computed it."""

    oracle_best_epoch: int
    """The one of ``kept_epochs`` that the test labels themselves would choose, the earliest of
    equals."""

    oracle_best_epoch_test_auroc: float
    """Its test AUROC, in [0, 1]: what is published where the test split chooses the epoch."""

    optimism_gap: float
    """That minus the AUROC reported, in [0, 1]."""

    bn_batchstats_ordered_test_auroc: float | None
    """Test AUROC of the last epoch where batch normalisation takes the statistics of test batches
    of 64, normals before anomalies; None without batch normalisation."""

    bn_batchstats_shuffled_test_auroc: float | None
    """As before, the test images shuffled."""

    commit: str
    """Git commit of the code that diagnosed, empty where it is not in a checkout."""

    is_dirty: bool
    versions: str
    hardware: str
    """Processor or GPU that diagnosed."""

    diagnosed_at: datetime
    """UTC."""
