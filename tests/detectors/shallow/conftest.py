"""Images near a plane of few directions, and a shallow detector fitted on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from agad.config import TRAIN, DetectorConfig
from agad.data import FitBatches, on_device
from agad.detectors.compute import Compute
from agad.detectors.shallow.model import ShallowModel

SHAPE = (2, 6, 6)

DrawPixels: TypeAlias = Callable[..., NDArray[np.uint8]]
FitModel: TypeAlias = Callable[..., ShallowModel]
Prepare: TypeAlias = Callable[..., Tensor]


def _draw_pixels(num: int, seed: int, noise: float = 8.0) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(7).normal(size=(5, int(np.prod(SHAPE))))
    images = 128 + 15 * rng.normal(size=(num, 5)) @ directions + noise * rng.normal(size=(num, 72))
    return images.clip(0, 255).astype(np.uint8).reshape(num, *SHAPE)


@pytest.fixture(scope="session")
def draw_pixels() -> DrawPixels:
    """Draw ``(num, 2, 6, 6)`` pixels by a seed; more ``noise`` is more anomalous."""
    return _draw_pixels


@pytest.fixture(scope="session")
def prepare() -> Prepare:
    """Return pixels as a detector takes them."""

    def prepared(config: DetectorConfig, pixels: NDArray[np.uint8]) -> Tensor:
        places = np.arange(len(pixels))
        (images,) = on_device(pixels, places, torch.device("cpu"), config.input()).batches(10_000)
        return images

    return prepared


@pytest.fixture(scope="session")
def fit_model() -> FitModel:
    """Fit a detector on normal pixels, and on anomalous pixels if there are any, by a seed."""

    def fitted(
        config: DetectorConfig,
        normals: NDArray[np.uint8],
        anomalies: NDArray[np.uint8] | None = None,
        seed: int = 0,
    ) -> ShallowModel:
        labelled = normals[:0] if anomalies is None else anomalies
        subsets = [
            on_device(one, np.arange(len(one)), torch.device("cpu"), config.input())
            for one in (normals, labelled)
        ]
        batches = FitBatches.planned(config.batches(0.1), *subsets)
        model: Any = config.build(SHAPE, torch.Generator().manual_seed(0), Compute())
        model.begin_stage(TRAIN, batches)
        model.figures = model.fit_epoch(TRAIN, batches, np.random.default_rng(seed))
        found: ShallowModel = model
        return found

    return fitted
