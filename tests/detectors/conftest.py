"""Detectors so small that a second thread costs more than it gives, and images for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
import torch
from torch import Tensor

from agad.detectors import Agad
from agad.detectors.agad.training import AgadDetector
from agad.detectors.compute import Compute

MakeDetector: TypeAlias = Callable[..., AgadDetector]
MakeImages: TypeAlias = Callable[..., Tensor]

_TINY: dict[str, Any] = {"backbone": "naive", "base_width": 4, "discriminator_width": 4}


@pytest.fixture(autouse=True)
def _always_one_thread(one_thread: None) -> None:
    """Train on one thread."""


def _make_images(num_images: int, seed: int = 0, image_px: int = 16) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(num_images, 1, image_px, image_px, generator=rng) * 2 - 1


def _make_detector(
    *, seed: int = 0, compute: Compute | None = None, num_updates: int = 0, **parameters: object
) -> AgadDetector:
    config = Agad(**(_TINY | parameters))
    rng = torch.Generator().manual_seed(seed)
    detector = AgadDetector(config, (1, 16, 16), rng, compute or Compute())
    for step in range(num_updates):
        detector.update(_make_images(16, seed=step), _make_images(8, seed=100 + step))
    return detector


@pytest.fixture(scope="session")
def make_images() -> MakeImages:
    """Draw images ``(B, 1, H, W)`` in [-1, 1]; 16 x 16, where nothing else is said."""
    return _make_images


@pytest.fixture(scope="session")
def make_detector() -> MakeDetector:
    """Build a tiny detector of 16 x 16 images from its parameters, and take some steps."""
    return _make_detector
