"""Train one trial: a plain generator of epochs, which knows nothing of Ray."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from agad.errors import CheckpointError, GpuMemoryError, PreemptedError
from agad.trial.checkpoint import from_bytes
from agad.trial.checkpoint_store import CheckpointStore
from agad.trial.confirm import finishing
from agad.trial.inputs import FeatureProgress, Reading
from agad.trial.lockstep import LockStep
from agad.trial.results import EpochResult
from agad.trial.training import Training, preparing
from agad.trial.trial_spec import Runtime, TrialSpec

logger = logging.getLogger(__name__)


def train_trial(
    spec: TrialSpec, runtime: Runtime, checkpoint: Path | None = None
) -> Iterator[EpochResult]:
    """Train a trial, yielding after every epoch. Equal arguments give equal results.

    Several instances train in lock-step: one epoch trains each instance for an epoch, and its
    result is the mean over the instances.

    The test split is opened after the last epoch of a confirm trial, and nowhere else. If there are
    several candidates, the test trials of the winner open it instead: each goes on from its confirm
    trial's last checkpoint, or trains anew if that checkpoint is gone.

    With ``runtime.checkpoints``, the store gets a checkpoint

    - when the trial goes on after a milestone, or reaches a milestone at which it may be paused,
    - when the last checkpoint is 5 minutes old,
    - when the worker is about to be taken away,
    - after the last epoch of a confirm trial.

    A later attempt goes on from the newest whole checkpoint, and yields the earlier epochs again.
    The checkpoints that ``kept`` asks for are put in a folder of their own, from which no trial
    goes on.

    Args:
        spec: What decides the results.
        runtime: Where to train.
        checkpoint: A file that is written after every epoch, before the epoch is yielded. If the
            file exists, its epochs are yielded again and training goes on after them. On the same
            CPU the results are bit for bit those of a trial that was never stopped. None keeps
            nothing.

    Raises:
        AgadError: As ``trial_steps`` says.
    """
    for step in trial_steps(spec, runtime, checkpoint):
        if isinstance(step, EpochResult):
            yield step


def trial_steps(
    spec: TrialSpec, runtime: Runtime, checkpoint: Path | None = None
) -> Iterator[EpochResult | FeatureProgress]:
    """Do as ``train_trial``, and yield also how far the features of an encoder are.

    Features are computed before the first epoch, and those of the test split after the last one.

    Args:
        spec: As ``train_trial`` takes it.
        runtime: As ``train_trial`` takes it.
        checkpoint: As ``train_trial`` takes it.

    Raises:
        CheckpointError: The file is damaged, or of another trial.
        ConfigError: The cell's split cannot be drawn from the data set, or the device is not there.
        DataError: The node's cache cannot hold the images, or they were changed in the store.
        GpuMemoryError: The trial does not fit into the free memory of the GPU.
        PreemptedError: The worker is about to be taken away, between two epochs.
        ScoreError: A score depends on the images around it.
        StoreError: The store cannot be reached.
        TrialDivergedError: A loss or a score is not finite, or a loss exploded.
    """
    try:
        checkpoints = CheckpointStore(spec, runtime)
        if checkpoint is not None and checkpoint.exists():
            training = yield from _preparing_all(spec, runtime)
            training.restore(checkpoint)
        else:
            training = yield from _resuming(spec, runtime, checkpoints)
        yield from _epochs(training, runtime, checkpoints, checkpoint)
    except torch.OutOfMemoryError as error:
        raise GpuMemoryError(
            f"{spec.cell.label} does not fit the memory of {runtime.compute.device} at a share of "
            f"{runtime.gpus:g} ({str(error).splitlines()[0]}); run fewer trials a GPU, or use a "
            "smaller batch_size."
        ) from error


def _preparing_all(spec: TrialSpec, runtime: Runtime) -> Reading[Training | LockStep]:
    """Return a trial before its first epoch, of one instance or of several."""
    if not spec.further:
        return (yield from preparing(spec, runtime))
    instances = []
    for one in spec.instances:
        instances.append((yield from preparing(one, runtime)))
    return LockStep(spec=spec, instances=tuple(instances))


def _resuming(
    spec: TrialSpec, runtime: Runtime, checkpoints: CheckpointStore
) -> Reading[Training | LockStep]:
    """Return a trial after its newest usable checkpoint, or before its first epoch."""
    training = yield from _preparing_all(spec, runtime)
    for where, data in checkpoints.found():
        try:
            training.go_on_from(from_bytes(data, where), where)
        except CheckpointError as error:
            logger.warning("An older checkpoint, or none, is gone on from: %s", error)
            training = yield from _preparing_all(spec, runtime)  # The old one may be half restored.
        else:
            return training
    return training


def _epochs(
    training: Training | LockStep,
    runtime: Runtime,
    checkpoints: CheckpointStore,
    checkpoint: Path | None,
) -> Iterator[EpochResult | FeatureProgress]:
    spec = training.spec
    _pretrain(training, runtime, checkpoints, checkpoint)
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
        test = None
        if is_last and isinstance(training, Training):
            test = yield from finishing(training, runtime)
        yield replace(training.history[epoch], test=test, is_restored=is_restored)
        # Only now, since a trial that is stopped here needs no checkpoint.
        if not is_restored and not is_last:
            _between_epochs(training, runtime, checkpoints)


def _pretrain(
    training: Training | LockStep,
    runtime: Runtime,
    checkpoints: CheckpointStore,
    checkpoint: Path | None,
) -> None:
    """Train the stages before the study's first epoch, from where a checkpoint left them."""
    while training.num_epochs == 0 and training.pretrain():
        if checkpoint is not None:
            training.save(checkpoint)
        _between_epochs(training, runtime, checkpoints)


def _between_epochs(
    training: Training | LockStep, runtime: Runtime, checkpoints: CheckpointStore
) -> None:
    is_preempted = runtime.is_preempted()
    if is_preempted or checkpoints.is_due(training.num_epochs):
        checkpoints.put(training)
    if is_preempted:
        reached = f"epoch {training.num_epochs - 1}"
        if training.num_epochs == 0:
            reached = f"{training.num_pretrained} epochs before its first"
        raise PreemptedError(
            f"trial {training.spec.key} was taken off its worker after {reached}, since its node "
            "is about to go; it goes on elsewhere."
        )
