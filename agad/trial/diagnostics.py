"""How much a leaking published protocol would have added: for diagnosis, never for a ranking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agad.data import Subset
from agad.detectors import Detector
from agad.errors import CheckpointError
from agad.objects import ObjectStore
from agad.records import checkpoint_key, kept_names, trial_prefix
from agad.trial.checkpoint import from_bytes, read_checkpoint
from agad.trial.confirm import open_test
from agad.trial.metrics import auroc
from agad.trial.results import TestPart
from agad.trial.score import score, score_with_batch_statistics
from agad.trial.training import prepare
from agad.trial.trial_spec import Runtime, TrialSpec

_LINEAGE_BATCH_SIZE = 64
"""Size of test batches in the public code of GANomaly and Skip-GANomaly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakDiagnostics:
    """Test AUROCs of one trial; only ``test_auroc`` is a result."""

    epochs: tuple[int, ...]
    """Epochs scored, from 0."""

    test_aurocs: tuple[float, ...]
    """Test AUROC of each of ``epochs``, in ``eval()``."""

    test_auroc: float
    """Test AUROC of the last epoch."""

    oracle_best_epoch: int
    """The epoch that the test labels would choose; the earliest of equal epochs."""

    oracle_best_epoch_test_auroc: float
    """Test AUROC of ``oracle_best_epoch``: the published figure if the test split chooses the
    epoch."""

    bn_batchstats_ordered_test_auroc: float | None
    """Test AUROC of the last epoch without ``eval()``, in batches of 64, normals before anomalies;
    None without batch normalisation."""

    bn_batchstats_shuffled_test_auroc: float | None
    """The same figure with shuffled images."""

    @classmethod
    def of_history(
        cls,
        epochs: Sequence[int],
        test_aurocs: Sequence[float],
        *,
        ordered: float | None,
        shuffled: float | None,
    ) -> Self:
        """Return the diagnostics of some epochs.

        Args:
            epochs: One or more epochs; the last is the reported epoch.
            test_aurocs: Test AUROC of each epoch, in [0, 1].
            ordered: Test AUROC of the last epoch with the statistics of ordered test batches.
            shuffled: The same figure with shuffled test batches.
        """
        best = int(np.argmax(test_aurocs))
        return cls(
            epochs=tuple(epochs),
            test_aurocs=tuple(test_aurocs),
            test_auroc=test_aurocs[-1],
            oracle_best_epoch=epochs[best],
            oracle_best_epoch_test_auroc=test_aurocs[best],
            bn_batchstats_ordered_test_auroc=ordered,
            bn_batchstats_shuffled_test_auroc=shuffled,
        )

    @property
    def optimism_gap(self) -> float:
        """The best epoch's test AUROC minus the last one's, at least 0."""
        return self.oracle_best_epoch_test_auroc - self.test_auroc


def diagnose_leaks(
    spec: TrialSpec, runtime: Runtime, checkpoints: Sequence[Path]
) -> LeakDiagnostics:
    """Score the test split with the weights of some epochs, in the ways that leak.

    Args:
        spec: The trial.
        runtime: Where to score.
        checkpoints: One or more files, in order of their epochs.

    Raises:
        CheckpointError: A file is damaged, or of another trial.
    """
    return _diagnosed(spec, runtime, ((read_checkpoint(one), str(one)) for one in checkpoints))


def diagnose_kept(
    spec: TrialSpec, runtime: Runtime, objects: ObjectStore, prefix: str
) -> LeakDiagnostics | None:
    """Score the test split with the weights of the epochs that a trial has kept in a store.

    Args:
        spec: A confirmed trial that has ended.
        runtime: Where to score.
        objects: The store.
        prefix: What the keys of the study's kept checkpoints start with, without the ``/``.

    Returns:
        None if the last epoch is not kept: that epoch is the reported one.

    Raises:
        CheckpointError: A checkpoint is damaged, or of another trial.
        StoreError: The store cannot be reached.
    """
    names = kept_names(prefix, objects.list(trial_prefix(prefix, spec.training_key)))
    if not names or names[-1].num_epochs != spec.max_epochs:
        return None
    keys = [checkpoint_key(prefix, spec.training_key, name) for name in names]
    places = [f"{objects.uri}/{key}" for key in keys]
    states = (
        (from_bytes(objects.get(key), place), place)
        for key, place in zip(keys, places, strict=True)
    )
    return _diagnosed(spec, runtime, states)


def _diagnosed(
    spec: TrialSpec, runtime: Runtime, states: Iterable[tuple[Mapping[str, Any], str]]
) -> LeakDiagnostics:
    """Score the test split with each state in turn; only one state is in memory at a time."""
    training = prepare(spec, runtime)
    part = open_test(spec, runtime)
    epochs: list[int] = []
    test_aurocs: list[float] = []
    for state, where in states:
        training.go_on_from(state, where)
        if not training.history:
            raise CheckpointError(f"{where} is of no epoch, but must be of one; remove it.")
        epochs.append(training.num_epochs - 1)
        scores = score(training.detector, part.images)
        test_aurocs.append(_auroc(part.is_anomaly, scores))
    shuffled = np.random.default_rng(spec.seed).permutation(len(part.images))
    return LeakDiagnostics.of_history(
        epochs,
        test_aurocs,
        ordered=_leaking(training.detector, part, np.argsort(part.is_anomaly, kind="stable")),
        shuffled=_leaking(training.detector, part, shuffled),
    )


def _leaking(detector: Detector, part: TestPart, order: NDArray[np.intp]) -> float | None:
    """Return the AUROC with the statistics of test batches in this order.

    None if the detector has no such statistics.
    """
    images = part.images
    places = torch.from_numpy(order).to(images.index.device)
    ordered = Subset(images=images.images, index=images.index[places])
    scores = score_with_batch_statistics(detector, ordered, _LINEAGE_BATCH_SIZE)
    return None if scores is None else _auroc(part.is_anomaly[order], scores)


def _auroc(is_anomaly: NDArray[np.bool_], scores: Tensor) -> float:
    # The confirm trial computes the AUROC in the same way: equal weights give equal AUROCs.
    return auroc(is_anomaly, scores.float().cpu().numpy().astype(np.float64))
