"""Feature maps near a plane of few directions, and a detector of patches fitted on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from torch import Tensor

from agad.config import TRAIN
from agad.data import FitBatches, on_device
from agad.detectors.compute import Compute
from agad.detectors.patches.configuration import PatchDetector
from agad.detectors.patches.model import PatchModel

SHAPE = (12, 5, 6)
"""Channels, rows and columns of the maps."""

DrawMaps: TypeAlias = Callable[..., Tensor]
FitPatches: TypeAlias = Callable[..., PatchModel]


def _draw_levels(num: int, seed: int, noise: float) -> np.ndarray[Any, np.dtype[np.uint8]]:
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(7).normal(size=(3, SHAPE[0]))
    places = (num, *SHAPE[1:])
    levels = 128 + 20 * rng.normal(size=(*places, 3)) @ directions
    levels += noise * rng.normal(size=(*places, SHAPE[0]))
    return np.moveaxis(levels, -1, 1).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def draw_maps() -> DrawMaps:
    """Draw maps ``(num, 12, 5, 6)`` by a seed; more ``noise`` is more anomalous."""

    def drawn(num: int, seed: int, noise: float = 4.0) -> Tensor:
        levels = _draw_levels(num, seed, noise)
        (maps,) = on_device(levels, np.arange(num), torch.device("cpu")).batches(num)
        return maps

    return drawn


@pytest.fixture(scope="session")
def fit_patches() -> FitPatches:
    """Fit a detector on ``num`` maps by a seed."""

    def fitted(config: PatchDetector, num: int = 12, seed: int = 0) -> PatchModel:
        levels = _draw_levels(num, 0, 4.0)
        subsets = [on_device(levels, np.arange(some), torch.device("cpu")) for some in (num, 0)]
        batches = FitBatches.planned(config.batches(0.0), *subsets)
        model: PatchModel = config.build(SHAPE, torch.Generator().manual_seed(0), Compute())
        model.begin_stage(TRAIN, batches)
        model.fit_epoch(TRAIN, batches, np.random.default_rng(seed))
        return model

    return fitted
