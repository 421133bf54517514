"""How much a published protocol that leaks would have added: for diagnosis, never for a ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from agad.data import Subset
from agad.trial.confirm import open_test
from agad.trial.metrics import auroc
from agad.trial.score import score, score_with_batch_statistics
from agad.trial.spec import Runtime, TrialSpec
from agad.trial.train import prepare

_LINEAGE_BATCH_SIZE = 64
"""Test batches of GANomaly's and Skip-GANomaly's public code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakDiagnostics:
    """Test AUROCs of one trial, of which ``test_auroc`` alone is a result."""

    test_auroc: float
    """Of the last epoch, in ``eval()``."""

    oracle_best_epoch: int
    """The epoch that the test labels themselves would choose, from 0."""

    oracle_best_epoch_test_auroc: float
    """Its test AUROC: what is published where the test split chooses the epoch."""

    bn_batchstats_ordered_test_auroc: float
    """Of the last epoch without ``eval()``, in batches of 64, normals before anomalies."""

    bn_batchstats_shuffled_test_auroc: float
    """As before, the images shuffled."""


def diagnose_leaks(
    spec: TrialSpec, runtime: Runtime, checkpoints: Sequence[Path]
) -> LeakDiagnostics:
    """Score the test split with the weights of every epoch, in the ways that leak.

    Args:
        spec: The trial.
        runtime: Where to score.
        checkpoints: Those of every epoch, in order.

    Raises:
        CheckpointError: A file is damaged, or of another trial.
    """
    training = prepare(spec, runtime)
    detector = training.detector
    part = open_test(spec, runtime)
    images, is_anomaly = part.images, part.is_anomaly

    def scored(scores: Tensor, order: np.ndarray[tuple[int], np.dtype[np.intp]]) -> float:
        return auroc(is_anomaly[order], scores.cpu().double().numpy())

    as_stored = np.arange(len(images))
    by_epoch = []
    for checkpoint in checkpoints:
        training.restore(checkpoint)
        by_epoch.append(scored(score(detector, images), as_stored))
    orders = {
        "ordered": np.argsort(is_anomaly, kind="stable"),
        "shuffled": np.random.default_rng(spec.seed).permutation(len(images)),
    }
    leaking = {}
    for name, order in orders.items():
        places = torch.from_numpy(order).to(images.index.device)
        batches = Subset(images=images.images, index=images.index[places])
        scores = score_with_batch_statistics(detector, batches, _LINEAGE_BATCH_SIZE)
        leaking[f"bn_batchstats_{name}_test_auroc"] = scored(scores, order)
    best = int(np.argmax(by_epoch))
    return LeakDiagnostics(
        test_auroc=by_epoch[-1],
        oracle_best_epoch=best,
        oracle_best_epoch_test_auroc=by_epoch[best],
        **leaking,
    )
