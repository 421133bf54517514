"""Train one trial: a plain generator of epochs, which knows nothing of Ray."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agad.config import Labelled
from agad.data import FitBatches, Purpose, Subset, draw_split, on_device, open_images, stream
from agad.detectors import Detector, build_detector
from agad.errors import CheckpointError, GpuMemoryError, PreemptedError, TrialDivergedError
from agad.trial.checkpoint import Checkpointed, from_bytes
from agad.trial.checkpoint_store import CheckpointStore
from agad.trial.confirm import TestResult, finish
from agad.trial.lockstep import LockStep, check_trial
from agad.trial.metrics import auroc, label_free_objective
from agad.trial.score import check_scores, score
from agad.trial.trial_spec import Runtime, TrialSpec

logger = logging.getLogger(__name__)

_EXPLODED = 1e8
"""A mean loss above this has left training: the largest weight of use over the least epsilon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochResult:
    """What one epoch of one trial gave."""

    epoch: int
    """Counts from 0."""

    objective: float
    """What the study maximises, after the epoch: higher is better, and never a NaN."""

    val_auroc: float | None
    """Validation AUROC after the epoch, in [0, 1]; None without validation anomalies."""

    train_s: float
    """Seconds of the epoch, training and validation."""

    losses: dict[str, float] = field(default_factory=dict)
    """Mean losses and other figures of the epoch, by name."""

    test: TestResult | None = None
    """At the last epoch of a trial that sees the test split alone."""

    is_restored: bool = field(default=False, compare=False)
    """Whether an earlier attempt trained it, or the confirm trial of a test trial."""


@dataclass(slots=True, kw_only=True)
class Training(Checkpointed):
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

    def advance(self) -> None:
        """Train one epoch.

        Raises:
            TrialDivergedError: A loss or a score is not finite, or a loss exploded.
        """
        self.history.append(_epoch(self))

    def check_scores(self) -> None:
        """Refuse scores that depend on the images around them.

        Raises:
            ScoreError: They do.
        """
        check_scores(self.detector, self.val_images)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint holds."""
        return {
            "trial_key": self.spec.training_key,
            "history": [asdict(result) for result in self.history],
            "detector": self.detector.state(),
            # Its numbers are longer than 64 bits.
            "rng": json.dumps(self.rng.bit_generator.state),
        }

    def go_on_from(self, state: Mapping[str, Any], where: str) -> None:
        """Go on from a checkpoint's state.

        Args:
            state: As ``state`` returned it.
            where: Where it is, for the error.

        Raises:
            CheckpointError: It is of another trial, or lacks something. What it changed of the
                training until then stays changed.
        """
        check_trial(state, self.spec, where)
        try:
            self.history = [_result_of(result) for result in state["history"]]
            self.detector.restore(state["detector"])
            self.rng.bit_generator.state = json.loads(state["rng"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{where} does not hold what its trial needs ({error!r}); remove it to start anew."
            ) from error


def _result_of(values: Mapping[str, Any]) -> EpochResult:
    """Return an epoch of a checkpoint; where it names no objective, it is the validation AUROC."""
    return EpochResult(**({"objective": values["val_auroc"]} | dict(values)))


def train_trial(
    spec: TrialSpec, runtime: Runtime, checkpoint: Path | None = None
) -> Iterator[EpochResult]:
    """Train a trial, yielding after every epoch. Equal arguments give equal results.

    Several instances train in lock-step: an epoch is one of each, and gives the mean over them.

    The test split is opened after the last epoch of a confirm trial, and nowhere else. Where there
    are several candidates, it is opened by the test trials of the winner instead: each goes on from
    its confirm trial's last checkpoint, and where that is gone, trains anew.

    With ``runtime.checkpoints``, the store gets a checkpoint when the trial goes on after a
    milestone, or comes to one where it may be paused, when the last one is 5 minutes old, when the
    worker is about to be taken away, and after the last epoch of a confirm trial. A later attempt
    goes on from the newest that is whole: it yields the epochs before it again. Those that its
    ``kept`` names are put beside them; no trial goes on from one.

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
        PreemptedError: The worker is about to be taken away, between two epochs.
        ScoreError: A score depends on the images around it.
        StoreError: The store cannot be reached.
        TrialDivergedError: A loss or a score is not finite, or a loss exploded.
    """
    try:
        checkpoints = CheckpointStore(spec, runtime)
        if checkpoint is not None and checkpoint.exists():
            training = _prepare_all(spec, runtime)
            training.restore(checkpoint)
        else:
            training = _resumed(spec, runtime, checkpoints)
        yield from _epochs(training, runtime, checkpoints, checkpoint)
    except torch.OutOfMemoryError as error:
        raise GpuMemoryError(
            f"{spec.cell.label} does not fit the memory of {runtime.compute.device} at a share of "
            f"{runtime.gpus:g} ({str(error).splitlines()[0]}); run fewer trials a GPU, or use a "
            "smaller batch_size."
        ) from error


def _prepare_all(spec: TrialSpec, runtime: Runtime) -> Training | LockStep:
    """Return a trial before its first epoch, of one instance or of several."""
    if not spec.further:
        return prepare(spec, runtime)
    instances = tuple(prepare(one, runtime) for one in spec.instances)
    return LockStep(spec=spec, instances=instances)


def _resumed(
    spec: TrialSpec, runtime: Runtime, checkpoints: CheckpointStore
) -> Training | LockStep:
    """Return a trial after the newest checkpoint that is of use, or before its first epoch."""
    training = _prepare_all(spec, runtime)
    for where, data in checkpoints.found():
        try:
            training.go_on_from(from_bytes(data, where), where)
        except CheckpointError as error:
            logger.warning("An older checkpoint, or none, is gone on from: %s", error)
            training = _prepare_all(spec, runtime)  # The last may be half restored.
        else:
            return training
    return training


def _epochs(
    training: Training | LockStep,
    runtime: Runtime,
    checkpoints: CheckpointStore,
    checkpoint: Path | None,
) -> Iterator[EpochResult]:
    spec = training.spec
    num_restored = training.num_epochs
    for epoch in range(spec.max_epochs):
        is_restored = epoch < num_restored
        is_last = epoch + 1 == spec.max_epochs
        if not is_restored:
            training.advance()
            if epoch == num_restored:
                training.check_scores()
            if checkpoint is not None:
                training.save(checkpoint)
            checkpoints.keep(training)
            if checkpoints.is_due_at_once(epoch + 1) or (is_last and spec.phase != "search"):
                checkpoints.put(training)
        test = finish(training, runtime) if is_last and isinstance(training, Training) else None
        yield replace(training.history[epoch], test=test, is_restored=is_restored)
        # Only now, since a trial that is stopped here needs none.
        if not is_restored and not is_last:
            _between_epochs(training, runtime, checkpoints)


def _between_epochs(
    training: Training | LockStep, runtime: Runtime, checkpoints: CheckpointStore
) -> None:
    is_preempted = runtime.is_preempted()
    if is_preempted or checkpoints.is_due(training.num_epochs):
        checkpoints.put(training)
    if is_preempted:
        raise PreemptedError(
            f"trial {training.spec.key} was taken off its worker after epoch "
            f"{training.num_epochs - 1}, since its node is about to go; it goes on elsewhere."
        )


def _epoch(training: Training) -> EpochResult:
    start = time.perf_counter()
    losses, scores = train_epoch(training)
    val_auroc = None
    if isinstance(training.spec.policy, Labelled):
        objective = val_auroc = auroc(training.val_is_anomaly, scores)
    else:
        objective = label_free_objective(scores[~training.val_is_anomaly])
    train_s = time.perf_counter() - start
    return EpochResult(
        epoch=training.num_epochs,
        objective=objective,
        val_auroc=val_auroc,
        train_s=train_s,
        losses=losses,
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
