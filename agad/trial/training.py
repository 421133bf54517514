"""A trial between two epochs, and one epoch of its training."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agad.config import Labelled, Stage
from agad.data import FitBatches, Purpose, Subset, draw_split, open_images, stream
from agad.detectors import Detector
from agad.errors import CheckpointError, ConfigError, TrialDivergedError
from agad.trial.checkpoint import Checkpointed, check_trial
from agad.trial.inputs import Reading, finished, reading_inputs
from agad.trial.metrics import auroc, label_free_objective
from agad.trial.results import EpochResult
from agad.trial.score import check_scores, score
from agad.trial.trial_spec import Runtime, TrialSpec

_EXPLODED = 1e8
"""Training has failed if a mean loss is above this: the largest useful weight / least epsilon."""


@dataclass(slots=True, kw_only=True)
class Training(Checkpointed):
    """A trial between two epochs: everything that training changes."""

    spec: TrialSpec
    detector: Detector
    batches: FitBatches
    val_images: Subset
    val_is_anomaly: NDArray[np.bool_]
    """Whether each of ``val_images`` is a known anomaly, shape ``(len(val_images),)``."""

    rng: np.random.Generator
    """Source of the batches."""

    history: list[EpochResult] = field(default_factory=list)
    """The trained epochs, without a test result."""

    num_stages: int = 0
    """Finished stages among those that run before the study's first epoch."""

    num_stage_epochs: int = 0
    """Trained epochs of the stage that runs before the study's first epoch."""

    pretrain_s: float = 0.0
    """Seconds of the stages that run before the study's first epoch."""

    pretrain_before_s: float = 0.0
    """Seconds of ``pretrain_s`` that an earlier attempt spent."""

    @property
    def feature_shape(self) -> tuple[int, int, int] | None:
        """Channels, height and width of an encoder's features; None for a detector of pictures."""
        if self.spec.encoder is None:
            return None
        channels, height, width = self.val_images.images.shape[1:]
        return channels, height, width

    @property
    def num_epochs(self) -> int:
        """Number of trained epochs of the study."""
        return len(self.history)

    @property
    def num_pretrained(self) -> int:
        """Trained epochs before the study's first epoch, over all stages."""
        finished = self.spec.detector.stages[: self.num_stages]
        return sum(stage.epochs or 0 for stage in finished) + self.num_stage_epochs

    def pretrain(self) -> bool:
        """Train one epoch of the stages that run before the study's first epoch.

        Returns:
            Whether there was an epoch left to train.

        Raises:
            TrialDivergedError: A loss is not finite, or exploded.
        """
        stage = self.spec.detector.stages[self.num_stages]
        if stage.epochs is None:
            return False
        start = time.perf_counter()
        if self.num_stage_epochs == 0:
            self.detector.begin_stage(stage, self.batches)
        where = f"epoch {self.num_stage_epochs} of {stage.name}"
        _check_losses(self.detector.fit_epoch(stage, self.batches, self.rng), where)
        self.num_stage_epochs += 1
        if self.num_stage_epochs == stage.epochs:
            self.num_stages, self.num_stage_epochs = self.num_stages + 1, 0
        self.pretrain_s += time.perf_counter() - start
        return True

    def advance(self) -> None:
        """Train one epoch.

        Raises:
            TrialDivergedError: A loss or a score is not finite, or a loss exploded.
        """
        self.history.append(_epoch(self))

    def check_scores(self) -> None:
        """Refuse scores that depend on the images around them.

        Raises:
            ScoreError: A score depends on the images around it.
        """
        check_scores(self.detector, self.val_images)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint holds."""
        return {
            "trial_key": self.spec.training_key,
            "history": [asdict(result) for result in self.history],
            "stage": self._stage.name,
            "num_stage_epochs": self.num_stage_epochs,
            "pretrain_s": self.pretrain_s,
            "detector": self.detector.state(),
            # The generator's numbers are longer than 64 bits.
            "rng": json.dumps(self.rng.bit_generator.state),
        }

    @property
    def _stage(self) -> Stage:
        return self.spec.detector.stages[self.num_stages]

    def go_on_from(self, state: Mapping[str, Any], where: str) -> None:
        """Go on from a checkpoint's state.

        Args:
            state: As ``state`` returned it.
            where: Where the checkpoint is, for the error.

        Raises:
            CheckpointError: The checkpoint is of another trial, or lacks something. The parts
                restored before the error stay restored.
        """
        check_trial(state, self.spec, where)
        try:
            self.history = [_result_of(result) for result in state["history"]]
            self._enter_stage(state)
            self.detector.restore(state["detector"])
            self.rng.bit_generator.state = json.loads(state["rng"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{where} does not hold what its trial needs ({error!r}); remove it to start anew."
            ) from error

    def _enter_stage(self, state: Mapping[str, Any]) -> None:
        """Take up the stage of a checkpoint; a checkpoint without a stage is of the last stage."""
        names = [stage.name for stage in self.spec.detector.stages]
        self.num_stages = names.index(state.get("stage", names[-1]))
        self.num_stage_epochs = state.get("num_stage_epochs", 0)
        self.pretrain_s = self.pretrain_before_s = state.get("pretrain_s", 0.0)


def _result_of(values: Mapping[str, Any]) -> EpochResult:
    """Return an epoch of a checkpoint; the objective is the validation AUROC if none is named."""
    return EpochResult(**({"objective": values["val_auroc"]} | dict(values)))


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
        pretrain_s=0.0 if training.history else training.pretrain_s,
        pretrain_before_s=0.0 if training.history else training.pretrain_before_s,
    )


def prepare(spec: TrialSpec, runtime: Runtime) -> Training:
    """Open the training images, draw the split, build the detector on its device.

    Features of an encoder that nobody has computed are computed, for the images of the split alone.

    Raises:
        ConfigError: The detector needs labelled anomalies, and the fit split has none; or the
            encoder cannot be used here.
    """
    return finished(preparing(spec, runtime))


def preparing(spec: TrialSpec, runtime: Runtime) -> Reading[Training]:
    """Do as ``prepare``, in steps if features are missing."""
    runtime.compute.check_available()
    torch.set_num_threads(runtime.num_threads)
    images = open_images(spec.data, "train", store=runtime.store, cache=runtime.cache)
    split = draw_split(images.labels, spec.task, spec.seed)
    unlabelled = np.concatenate([split.fit_normals, split.fit_hidden])
    taken_for_normal = np.concatenate([split.val_normals, split.val_hidden])
    val = np.concatenate([taken_for_normal, split.val_anomalies])
    config = spec.detector
    anomalies = split.fit_anomalies
    if config.supervision.labels == "unused":
        anomalies = anomalies[:0]
    if config.supervision.labels == "required" and len(anomalies) == 0:
        raise ConfigError(
            f"{config.name} needs labelled anomalies, but cell {spec.cell.label!r} has none to "
            "fit; use a higher anomaly_ratio."
        )
    inputs = yield from reading_inputs(
        spec, runtime, "train", images, np.concatenate([unlabelled, anomalies, val])
    )
    ratio = spec.task.ratio_of(len(unlabelled), len(anomalies))
    weights = torch.Generator().manual_seed(
        int(stream(spec.seed, Purpose.WEIGHTS).integers(2**63 - 1))
    )
    return Training(
        spec=spec,
        detector=config.build(inputs.shape, weights, runtime.compute),
        # A ratio too low for a single anomaly trains as ratio 0 does.
        batches=FitBatches.planned(
            config.batches(ratio),
            inputs.subset(unlabelled),
            inputs.subset(anomalies),
        ),
        val_images=inputs.subset(val),
        val_is_anomaly=np.arange(len(val)) >= len(taken_for_normal),
        rng=stream(spec.seed, Purpose.BATCHES),
    )


def train_epoch(training: Training) -> tuple[dict[str, float], NDArray[np.float64]]:
    """Train one pass over the fit split, and score the validation images.

    Returns:
        The detector's figures by name, and the scores.

    Raises:
        TrialDivergedError: A loss is not finite, or exploded.
    """
    detector, batches = training.detector, training.batches
    stage = training.spec.detector.stages[-1]
    if training.num_epochs == 0:
        detector.begin_stage(stage, batches)
    losses = detector.fit_epoch(stage, batches, training.rng)
    _check_losses(losses, f"epoch {training.num_epochs}")
    scores = score(detector, training.val_images)
    return losses, scores.float().cpu().double().numpy()


def _check_losses(losses: Mapping[str, float], where: str) -> None:
    for name, loss in losses.items():
        # A figure that is no loss, such as the expansion ratio, may grow without limit.
        has_exploded = name.startswith("loss") and abs(loss) > _EXPLODED
        if has_exploded or not math.isfinite(loss):
            raise TrialDivergedError(f"{name} is {loss:g} at {where}")
