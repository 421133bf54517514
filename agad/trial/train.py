"""Train one trial: a plain generator of epochs, which knows nothing of Ray.

Axes: B images in a batch, N images in a split, C channels, H rows, W columns.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agad.data import (
    FitBatches,
    Purpose,
    Subset,
    draw_split,
    on_device,
    open_images,
    stream,
)
from agad.detectors import Detector, build_detector
from agad.errors import TrialDivergedError
from agad.trial.metrics import auroc, average_precision
from agad.trial.spec import Runtime, TrialSpec

_SCORE_BATCH = 256
"""Images scored at once; a score does not depend on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """How a confirmed model did on the test split, at its last epoch."""

    __test__ = False  # Not a test class, whatever pytest reads into its name.

    auroc: float
    average_precision: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochResult:
    """What one epoch of one trial gave."""

    epoch: int
    """Counts from 0."""

    val_auroc: float
    """Validation AUROC after the epoch, in [0, 1]."""

    train_s: float
    """Seconds of the epoch, training and validation."""

    losses: dict[str, float] = field(default_factory=dict)
    """Mean losses over the epoch, by name."""

    test: TestResult | None = None
    """At the last epoch of a confirm trial alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A trial before its first step."""

    detector: Detector
    batches: FitBatches
    val_images: Subset
    val_is_anomaly: NDArray[np.bool_]
    """Whether each of ``val_images`` is known for an anomaly, shape ``(len(val_images),)``."""


def train_trial(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
    """Train a trial, yielding after every epoch. Equal arguments give equal results.

    The test split is opened after the last epoch of a confirm trial, and nowhere else.

    Raises:
        ConfigError: The cell's split cannot be drawn from the data set.
        DataError: The node's cache cannot hold the images, or they were changed in the store.
        StoreError: The store cannot be reached.
        TrialDivergedError: A loss or a score is not finite.
    """
    prepared = prepare(spec, runtime)
    rng = stream(spec.seed, Purpose.BATCHES)
    for epoch in range(spec.max_epochs):
        start = time.perf_counter()
        losses = train_epoch(prepared, rng)
        for name, loss in losses.items():
            if not np.isfinite(loss):
                raise TrialDivergedError(f"{name} is {loss} at epoch {epoch}")
        val_auroc = auroc(prepared.val_is_anomaly, score(prepared.detector, prepared.val_images))
        is_last = epoch == spec.max_epochs - 1
        train_s = time.perf_counter() - start
        test = score_test(spec, runtime, prepared.detector) if is_last else None
        yield EpochResult(
            epoch=epoch, val_auroc=val_auroc, train_s=train_s, losses=losses, test=test
        )


def prepare(spec: TrialSpec, runtime: Runtime) -> Prepared:
    """Load the training images, draw the split, build the detector on its device."""
    torch.set_num_threads(runtime.num_threads)
    device = torch.device(runtime.device)
    images = open_images(spec.data, "train", store=runtime.store, cache=runtime.cache)
    split = draw_split(images.labels, spec.task, spec.seed)
    unlabelled = np.concatenate([split.fit_normals, split.fit_hidden])
    taken_for_normal = np.concatenate([split.val_normals, split.val_hidden])
    val = np.concatenate([taken_for_normal, split.val_anomalies])
    num_anomalies = spec.detector.num_batch_anomalies(spec.cell.anomaly_ratio)
    if len(split.fit_anomalies) == 0:
        num_anomalies = 0  # A ratio so low that it grants no anomaly trains as ratio 0 does.
    weights = torch.Generator().manual_seed(
        int(stream(spec.seed, Purpose.WEIGHTS).integers(2**63 - 1))
    )
    return Prepared(
        detector=build_detector(spec.detector, spec.data.image_shape, weights, device),
        batches=FitBatches(
            normals=on_device(images.pixels, unlabelled, device),
            anomalies=on_device(images.pixels, split.fit_anomalies, device),
            num_normals=spec.detector.batch_size - num_anomalies,
            num_anomalies=num_anomalies,
        ),
        val_images=on_device(images.pixels, val, device),
        val_is_anomaly=np.arange(len(val)) >= len(taken_for_normal),
    )


def train_epoch(prepared: Prepared, rng: np.random.Generator) -> dict[str, float]:
    """Train one pass over the normals; return each loss's mean over the batches."""
    sums: dict[str, Tensor] = {}
    for normals, anomalies in prepared.batches.epoch(rng):
        for name, loss in prepared.detector.update(normals, anomalies).items():
            sums[name] = sums[name] + loss if name in sums else loss
    # The epoch's only copy of losses to the host.
    means = torch.stack(list(sums.values())).div_(prepared.batches.num_batches).tolist()
    return dict(zip(sums, means, strict=True))


def score(detector: Detector, images: Subset) -> NDArray[np.float64]:
    """Score images; returns ``(len(images),)``, higher is more anomalous."""
    chunks = [detector.score(batch) for batch in images.batches(_SCORE_BATCH)]
    scores: NDArray[np.float64] = torch.cat(chunks).double().cpu().numpy()
    return scores


def score_test(spec: TrialSpec, runtime: Runtime, detector: Detector) -> TestResult | None:
    """Score the whole test split of a confirm trial; None for a search trial."""
    if spec.phase != "confirm":
        return None
    images = open_images(spec.data, "test", store=runtime.store, cache=runtime.cache)
    is_anomaly = np.isin(images.labels, spec.task.anomalous_classes)
    all_images = on_device(
        images.pixels, np.arange(len(images.labels)), torch.device(runtime.device)
    )
    scores = score(detector, all_images)
    return TestResult(
        auroc=auroc(is_anomaly, scores), average_precision=average_precision(is_anomaly, scores)
    )
