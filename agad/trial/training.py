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
from torch import Tensor

from agad.config import Labelled
from agad.data import FitBatches, Purpose, Subset, draw_split, on_device, open_images, stream
from agad.detectors import Detector, build_detector
from agad.errors import CheckpointError, TrialDivergedError
from agad.trial.checkpoint import Checkpointed, check_trial
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

    @property
    def num_epochs(self) -> int:
        """Number of trained epochs."""
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
            ScoreError: A score depends on the images around it.
        """
        check_scores(self.detector, self.val_images)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint holds."""
        return {
            "trial_key": self.spec.training_key,
            "history": [asdict(result) for result in self.history],
            "detector": self.detector.state(),
            # The generator's numbers are longer than 64 bits.
            "rng": json.dumps(self.rng.bit_generator.state),
        }

    def go_on_from(self, state: Mapping[str, Any], where: str) -> None:
        """Go on from a checkpoint's state.

        Args:
            state: As ``state`` returned it.
            where: Where the checkpoint is, for the error.

        Raises:
            CheckpointError: The checkpoint is of another trial, or lacks something. What was
                restored before the error stays restored.
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
        num_anomalies = 0  # A ratio too low for a single anomaly trains as ratio 0 does.
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
        # A figure that is no loss, such as the expansion ratio, may grow without limit.
        has_exploded = name.startswith("loss") and abs(loss) > _EXPLODED
        if has_exploded or not math.isfinite(loss):
            raise TrialDivergedError(f"{name} is {loss:g} at epoch {training.num_epochs}")
    losses |= training.detector.end_epoch(losses)
    return losses, host[len(sums) :]
