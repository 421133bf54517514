"""What the training engine needs of a detector, and detectors by their configuration."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from agad.config import DetectorConfig
from agad.detectors.agad import AgadDetector


class Detector(Protocol):
    """A model in training. Axes: B images in a batch, C channels, H rows, W columns."""

    def update(self, normals: Tensor, anomalies: Tensor | None) -> dict[str, Tensor]:
        """Take one optimiser step on ``(B, C, H, W)`` images in [-1, 1]; return its losses."""

    def score(self, images: Tensor) -> Tensor:
        """Return ``(B,)`` scores, higher is more anomalous, each of its own image alone."""


def build_detector(
    config: DetectorConfig,
    image_shape: tuple[int, int, int],
    rng: torch.Generator,
    device: torch.device,
) -> Detector:
    """Return a fresh detector for images of ``(channels, height, width)`` on the device."""
    return AgadDetector(config, image_shape, rng, device)
