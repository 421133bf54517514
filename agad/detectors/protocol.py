"""What the training engine needs of a detector, and what a detector may offer beside.

Axes: B images in a batch, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from agad.config import Stage

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from agad.data import FitBatches


class Detector(Protocol):
    """A model, before, in and after its training.

    Images are ``(B, C, H, W)``, float32 on the device, prepared as the configuration's ``input()``
    says.
    """

    def begin_stage(self, stage: Stage, batches: FitBatches) -> None:
        """Do what is done once before the first epoch of a stage, such as a centre.

        Args:
            stage: One of the configuration's ``stages``.
            batches: The fit split.
        """

    def fit_epoch(
        self, stage: Stage, batches: FitBatches, rng: np.random.Generator
    ) -> dict[str, float]:
        """Train one pass over the fit split.

        Args:
            stage: One of the configuration's ``stages``.
            batches: The fit split.
            rng: Source of the order of the images, advanced in place.

        Returns:
            Mean losses and other figures of the epoch, by name; may be empty. A name that starts
            with ``loss`` ends the trial as diverged if it explodes.
        """

    def score(self, images: Tensor) -> Tensor:
        """Return ``(B,)`` scores, higher is more anomalous, each of its own image alone."""

    def scoring_weights(self) -> dict[str, Tensor]:
        """Return the tensors that scoring needs, by name, as ``build_scorer`` takes them."""

    def state(self) -> dict[str, Any]:
        """Return all that ``restore`` needs to go on: tensors, numbers, texts and containers."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` returned."""


class StepwiseDetector:
    """Turns ``update``, one optimiser step, into ``fit_epoch``; a detector inherits from it.

    The losses are summed on the device and copied to the host once an epoch.
    """

    def begin_stage(self, stage: Stage, batches: FitBatches) -> None:
        """Do nothing."""

    def update(
        self,
        normals: Tensor,  # noqa: ARG002
        anomalies: Tensor | None,  # noqa: ARG002
    ) -> dict[str, Tensor]:
        """Take one optimiser step.

        Args:
            normals: Images ``(B, C, H, W)``.
            anomalies: The same of labelled anomalies; None if the fit split has none.

        Returns:
            Losses by name, each a scalar on the device.
        """
        raise AssertionError(f"{type(self).__name__} has no update")

    def end_epoch(self, losses: Mapping[str, float]) -> dict[str, float]:  # noqa: ARG002
        """Return further figures of an epoch; none if this is not overridden.

        Args:
            losses: Means over the epoch, as ``update`` names them.
        """
        return {}

    def fit_epoch(
        self,
        stage: Stage,  # noqa: ARG002  Others have several.
        batches: FitBatches,
        rng: np.random.Generator,
    ) -> dict[str, float]:
        """Train one pass over the fit split; return each loss's mean over the batches."""
        losses = mean_losses(self.update(*batch) for batch in batches.epoch(rng))
        return losses | self.end_epoch(losses)


class FittedDetector:
    """What detectors share whose only fit leaves a scorer; a detector inherits from it."""

    _scorer: nn.Module | None = None
    """The scorer; None before the fit."""

    def _take(self, weights: Mapping[str, Tensor]) -> None:  # noqa: ARG002
        """Make the scorer of the tensors that a fit left."""
        raise AssertionError(f"{type(self).__name__} takes no weights")

    def begin_stage(self, stage: Stage, batches: FitBatches) -> None:
        """Do nothing."""

    def scoring_weights(self) -> dict[str, Tensor]:
        """Return the tensors of the scorer."""
        assert self._scorer is not None, "asked for before the fit"
        return dict(self._scorer.state_dict())

    def state(self) -> dict[str, Any]:
        """Return the tensors of the scorer; none before the fit."""
        return {"scorer": {} if self._scorer is None else self.scoring_weights()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` returned."""
        if state["scorer"]:
            self._take(state["scorer"])


def mean_losses(steps: Iterable[Mapping[str, Tensor]]) -> dict[str, float]:
    """Return each loss's mean over the steps of an epoch, copied to the host once.

    Args:
        steps: Losses by name, each a scalar on the device, of one step after the other.
    """
    import torch

    sums: dict[str, Tensor] = {}
    num = 0
    for losses in steps:
        num += 1
        for name, loss in losses.items():
            sums[name] = sums[name] + loss if name in sums else loss
    if not sums:
        return {}
    means = torch.stack(list(sums.values())).float() / num
    return dict(zip(sums, means.cpu().double().tolist(), strict=True))


@runtime_checkable
class Rebuilder(Protocol):
    """A detector that scores by how it rebuilds an image, so that pictures can show it."""

    def rebuild(self, images: Tensor) -> Tensor:
        """Return ``(B, C, H, W)`` images as they are rebuilt, of the same shape and scale."""


@runtime_checkable
class Localizer(Protocol):
    """A detector, or its scorer, that tells where an image is anomalous."""

    def anomaly_map(self, images: Tensor) -> Tensor:
        """Return how anomalous each place of images is, ``(B, H, W)``; higher is more.

        A place counts as anomalous if its value is above the threshold of the score, so the values
        are on the scale of the score: for example, the score is the largest value of the map.

        Args:
            images: ``(B, C, H, W)``, as ``score`` takes them: pictures, or maps of an encoder.
        """


@runtime_checkable
class BatchLeak(Protocol):
    """A detector of the GANomaly lineage, whose public code scores with batch statistics."""

    def score_with_batch_statistics(self, images: Tensor) -> Tensor | None:
        """Return what ``score`` would without ``eval()``: leaking scores, for diagnosis alone.

        None of a network without batch normalisation.
        """
