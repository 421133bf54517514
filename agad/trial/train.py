"""Train one trial: a plain generator of epochs, which knows nothing of Ray."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

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
from agad.errors import CheckpointError, GpuMemoryError, TrialDivergedError
from agad.objects import open_objects
from agad.trial.card import ModelCard
from agad.trial.checkpoint import read_checkpoint, write_checkpoint
from agad.trial.metrics import auroc, average_precision
from agad.trial.model import SavedModel, model_key
from agad.trial.score import check_scores, score
from agad.trial.spec import Runtime, TrialSpec

logger = logging.getLogger(__name__)

_EXPLODED = 1e8
"""A mean loss above this has left training: the largest weight of use over the least epsilon."""


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
    """Mean losses and other figures of the epoch, by name."""

    test: TestResult | None = None
    """At the last epoch of a confirm trial alone."""


@dataclass(slots=True, kw_only=True)
class Training:
    """A trial between two epochs: all of it that moves."""

    spec: TrialSpec
    detector: Detector
    batches: FitBatches
    val_images: Subset
    val_is_anomaly: NDArray[np.bool_]
    """Whether each of ``val_images`` is known for an anomaly, shape ``(len(val_images),)``."""

    rng: np.random.Generator
    """Source of the batches."""

    history: list[EpochResult] = field(default_factory=list)
    """The epochs trained, without a test result."""

    @property
    def num_epochs(self) -> int:
        """Epochs trained."""
        return len(self.history)

    def save(self, path: Path) -> None:
        """Write a checkpoint."""
        state = {
            "trial_key": self.spec.key,
            "history": [asdict(result) for result in self.history],
            "detector": self.detector.state(),
            # Its numbers are longer than 64 bits.
            "rng": json.dumps(self.rng.bit_generator.state),
        }
        write_checkpoint(path, state)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            CheckpointError: The file is damaged, or of another trial.
        """
        state = read_checkpoint(path)
        if state.get("trial_key") != self.spec.key:
            raise CheckpointError(
                f"{path} is of trial {state.get('trial_key')}, but must be of {self.spec.key}."
            )
        try:
            self.history = [EpochResult(**result) for result in state["history"]]
            self.detector.restore(state["detector"])
            self.rng.bit_generator.state = json.loads(state["rng"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{path} does not hold what its trial needs ({error!r}); remove it to start anew."
            ) from error


def train_trial(
    spec: TrialSpec, runtime: Runtime, checkpoint: Path | None = None
) -> Iterator[EpochResult]:
    """Train a trial, yielding after every epoch. Equal arguments give equal results.

    The test split is opened after the last epoch of a confirm trial, and nowhere else.

    Args:
        spec: What decides the results.
        runtime: Where to train.
        checkpoint: A file that is written after every epoch, before it is yielded. Where it exists,
            the epochs before it are yielded again and training goes on after them, with results
            that on the same CPU are bit for bit those of a trial that was never stopped. None keeps
            nothing.

    Raises:
        CheckpointError: The file is damaged, or of another trial.
        ConfigError: The cell's split cannot be drawn from the data set, or the device is not there.
        DataError: The node's cache cannot hold the images, or they were changed in the store.
        GpuMemoryError: The trial does not fit what is left of the GPU's memory.
        ScoreError: A score depends on the images around it.
        StoreError: The store cannot be reached.
        TrialDivergedError: A loss or a score is not finite, or a loss exploded.
    """
    try:
        training = prepare(spec, runtime)
        if checkpoint is not None and checkpoint.exists():
            training.restore(checkpoint)
        yield from _epochs(training, runtime, checkpoint)
    except torch.OutOfMemoryError as error:
        raise GpuMemoryError(
            f"{spec.cell.label} does not fit the memory of {runtime.compute.device} at a share of "
            f"{runtime.gpus:g} ({str(error).splitlines()[0]}); run fewer trials a GPU, or use a "
            "smaller batch_size."
        ) from error


def _epochs(training: Training, runtime: Runtime, checkpoint: Path | None) -> Iterator[EpochResult]:
    spec = training.spec
    num_restored = training.num_epochs
    for epoch in range(spec.max_epochs):
        if epoch >= num_restored:
            training.history.append(_epoch(training))
            if epoch == num_restored:
                check_scores(training.detector, training.val_images)
            if checkpoint is not None:
                training.save(checkpoint)
        is_last = epoch == spec.max_epochs - 1
        test = score_test(spec, runtime, training.detector) if is_last else None
        # The first seed's, whatever the others score: a choice would be a best seed.
        if test is not None and spec.number == 0 and runtime.models is not None:
            keep_model(training, test, runtime.store, runtime.models)
        yield replace(training.history[epoch], test=test)


def keep_model(training: Training, test: TestResult, store: str, prefix: str) -> None:
    """Keep a trained model in the store; one that is there stays.

    Args:
        training: A trial after its last epoch.
        test: How it did on the test split.
        store: The store's URI.
        prefix: What the model's key starts with.

    Raises:
        StoreError: The store cannot be reached.
    """
    scores = score(training.detector, training.val_images).float().cpu()
    model = SavedModel(
        card=ModelCard.of_trial(
            training.spec, val_auroc=training.history[-1].val_auroc, test_auroc=test.auroc
        ),
        weights=training.detector.scoring_weights(),
        val_normal_scores=scores[torch.from_numpy(~training.val_is_anomaly)],
    )
    key = model_key(prefix, training.spec.key)
    if not open_objects(store).put_if_absent(key, model.to_bytes()):
        logger.info("%s/%s was kept before and stays as it is.", store, key)


def _epoch(training: Training) -> EpochResult:
    start = time.perf_counter()
    losses, scores = train_epoch(training)
    val_auroc = auroc(training.val_is_anomaly, scores)
    train_s = time.perf_counter() - start
    return EpochResult(
        epoch=training.num_epochs, val_auroc=val_auroc, train_s=train_s, losses=losses
    )


def prepare(spec: TrialSpec, runtime: Runtime) -> Training:
    """Open the training images, draw the split, build the detector on its device."""
    runtime.compute.check_available()
    torch.set_num_threads(runtime.num_threads)
    device = runtime.compute.torch_device
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
    return Training(
        spec=spec,
        detector=build_detector(spec.detector, spec.data.image_shape, weights, runtime.compute),
        batches=FitBatches(
            normals=on_device(images.pixels, unlabelled, device),
            anomalies=on_device(images.pixels, split.fit_anomalies, device),
            num_normals=spec.detector.batch_size - num_anomalies,
            num_anomalies=num_anomalies,
        ),
        val_images=on_device(images.pixels, val, device),
        val_is_anomaly=np.arange(len(val)) >= len(taken_for_normal),
        rng=stream(spec.seed, Purpose.BATCHES),
    )


def train_epoch(training: Training) -> tuple[dict[str, float], NDArray[np.float64]]:
    """Train one pass over the unlabelled images, and score the validation images.

    Returns:
        Each loss's mean over the batches, and the scores.

    Raises:
        TrialDivergedError: A loss is not finite, or exploded.
    """
    sums: dict[str, Tensor] = {}
    for normals, anomalies in training.batches.epoch(training.rng):
        for name, loss in training.detector.update(normals, anomalies).items():
            sums[name] = sums[name] + loss if name in sums else loss
    means = torch.stack(list(sums.values())).float() / training.batches.num_batches
    scores = score(training.detector, training.val_images)
    # The epoch's only copy to the host.
    host = torch.cat([means, scores.float()]).cpu().double().numpy()
    losses = dict(zip(sums, host[: len(sums)].tolist(), strict=True))
    for name, loss in losses.items():
        # What is no loss, such as the expansion ratio, may grow as it likes.
        has_exploded = name.startswith("loss") and abs(loss) > _EXPLODED
        if has_exploded or not math.isfinite(loss):
            raise TrialDivergedError(f"{name} is {loss:g} at epoch {training.num_epochs}")
    losses |= training.detector.end_epoch(losses)
    return losses, host[len(sums) :]


def score_test(spec: TrialSpec, runtime: Runtime, detector: Detector) -> TestResult | None:
    """Score the whole test split of a confirm trial; None for a search trial."""
    if spec.phase != "confirm":
        return None
    images, is_anomaly = open_test(spec, runtime)
    scores = score(detector, images).cpu().double().numpy()
    return TestResult(
        auroc=auroc(is_anomaly, scores), average_precision=average_precision(is_anomaly, scores)
    )


def open_test(spec: TrialSpec, runtime: Runtime) -> tuple[Subset, NDArray[np.bool_]]:
    """Open the test split: all of its images on the device, and whether each is anomalous."""
    images = open_images(spec.data, "test", store=runtime.store, cache=runtime.cache)
    everything = np.arange(len(images.labels))
    on_it = on_device(images.pixels, everything, runtime.compute.torch_device)
    return on_it, np.isin(images.labels, spec.task.anomalous_classes)
