"""What the training engine needs of a detector, and detectors by their configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from agad.config import DetectorConfig
from agad.detectors.agad import AgadDetector
from agad.detectors.compute import Compute


class Detector(Protocol):
    """A model in training. Axes: B images in a batch, C channels, H rows, W columns."""

    def update(self, normals: Tensor, anomalies: Tensor | None) -> dict[str, Tensor]:
        """Take one optimiser step on ``(B, C, H, W)`` images in [-1, 1]; return its losses."""

    def end_epoch(self, losses: Mapping[str, float]) -> dict[str, float]:
        """Do what is done between epochs; return further figures of the epoch.

        Args:
            losses: Means over the epoch, as ``update`` names them.
        """

    def score(self, images: Tensor) -> Tensor:
        """Return ``(B,)`` scores, higher is more anomalous, each of its own image alone."""

    def score_with_batch_statistics(self, images: Tensor) -> Tensor | None:
        """Return what ``score`` would without ``eval()``: leaking scores, for diagnostics alone.

        None of a detector without batch normalisation.
        """

    def scoring_weights(self) -> dict[str, Tensor]:
        """Return the tensors that scoring needs, by name, as ``build_scorer`` takes them."""

    def state(self) -> dict[str, Any]:
        """Return all that ``restore`` needs to go on: tensors, numbers, texts and containers."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` returned."""


@runtime_checkable
class Rebuilder(Protocol):
    """A detector that scores by how it rebuilds an image, so that this can be shown."""

    def rebuild(self, images: Tensor) -> Tensor:
        """Return ``(B, C, H, W)`` images in [-1, 1] as they are rebuilt, of the same shape."""


def build_detector(
    config: DetectorConfig,
    image_shape: tuple[int, int, int],
    rng: torch.Generator,
    compute: Compute,
) -> Detector:
    """Return a fresh detector for images of ``(channels, height, width)`` on the device."""
    return AgadDetector(config, image_shape, rng, compute)
