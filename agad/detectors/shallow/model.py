"""The one trainer of all shallow detectors: features of the fit split, one fit, one scorer.

Axes: B images in a batch, C channels, H rows, W columns, N normal images, D features.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from agad.config import Stage
from agad.detectors.compute import Compute
from agad.detectors.protocol import FittedDetector
from agad.detectors.shallow.configuration import ShallowDetector
from agad.detectors.shallow.pixels import Features
from agad.detectors.shallow.scorer import (
    FitFeatures,
    Matrix,
    ShallowScorer,
    as_tensors,
    loaded,
)
from agad.detectors.shallow.subspace import RebuildingPcaScorer
from agad.errors import ConfigError

if TYPE_CHECKING:
    from agad.data import FitBatches

_FEATURES = "features."
"""Start of the names of the features' own weights among the weights of a scorer."""


def build(
    config: ShallowDetector,
    image_shape: tuple[int, int, int],
    rng: torch.Generator,  # noqa: ARG001  No weight is random.
    compute: Compute,
) -> ShallowModel:
    """Return the detector before its fit.

    Raises:
        ConfigError: The device has no float64.
    """
    if compute.torch_device.type == "mps":
        raise ConfigError(
            f"--device is {compute.device}, but {config.name} computes in float64, which mps "
            "lacks; use --device cpu."
        )
    features = _features(config, image_shape)
    kind = RebuildingModel if hasattr(_scorer_class(config, features), "rebuild") else ShallowModel
    return kind(config, features, compute)


def build_scorer(
    config: ShallowDetector,
    image_shape: tuple[int, int, int],
    weights: Mapping[str, Tensor] | None,
) -> ShallowScorer:
    """Return what scores with ``ShallowModel.scoring_weights``, which it takes over.

    Raises:
        ValueError: The weights are not those of images of this shape, or there are none.
    """
    if weights is None:
        raise ValueError("the size of its model is known after the fit alone")
    features = _features(config, image_shape)
    return loaded(_scorer_class(config, features), config, features, weights)


def _features(config: ShallowDetector, image_shape: tuple[int, int, int]) -> Features:
    features: Features = import_module(config.kind.module).build(image_shape)
    return features.eval()


def _scorer_class(config: ShallowDetector, features: Features) -> type[ShallowScorer]:
    module, _, name = config.scorer.partition(":")
    found: type[ShallowScorer] = getattr(import_module(module), name)
    return found.on(features)


class ShallowModel(FittedDetector):
    """Fits once, on all images at once."""

    def __init__(self, config: ShallowDetector, features: Features, compute: Compute) -> None:
        """Start without a fit: then there is nothing to score with.

        Args:
            config: The detector.
            features: How prepared pictures become features.
            compute: Where to compute features and scores. The fit itself runs on the CPU.
        """
        self._config = config
        self._device = compute.torch_device
        self._features = features.to(self._device)
        self._kind = _scorer_class(config, features)
        self._scorer: ShallowScorer | None = None

    def fit_epoch(
        self,
        stage: Stage,  # noqa: ARG002  There is one.
        batches: FitBatches,
        rng: np.random.Generator,
    ) -> dict[str, float]:
        """Fit, and return the sizes of the model by name.

        Raises:
            ConfigError: The fit split has too few normal images.
        """
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        split = FitFeatures(
            normals=self._matrix(batches.all_normals()),
            anomalies=self._matrix(batches.all_anomalies()),
            rng=rng,
        )
        least = self._config.least_normals
        if len(split.normals) < least:
            raise ConfigError(
                f"{self._config.name} needs at least {least} normal images, but the fit split has "
                f"{len(split.normals)}; use more images, or another detector."
            )
        # A trial has as many threads as torch was given, and scikit-learn would take every core.
        with threadpool_limits(torch.get_num_threads()):
            fitted = as_tensors(self._kind, self._kind.fit(self._config, split))
        self._take(fitted | self._own_weights())
        return {name: float(size) for name, size in self._fitted().sizes().items()}

    @torch.no_grad()
    def _matrix(self, batches: Iterable[Tensor]) -> Matrix:
        rows = [self._features.of(batch.to(self._device)).cpu().double() for batch in batches]
        empty = torch.empty((0, self._features.num_features), dtype=torch.float64)
        matrix: Matrix = torch.cat([empty, *rows]).numpy()
        return matrix

    def _own_weights(self) -> dict[str, Tensor]:
        return {
            f"{_FEATURES}{name}": weight for name, weight in self._features.state_dict().items()
        }

    def _take(self, weights: Mapping[str, Tensor]) -> None:
        scorer = loaded(self._kind, self._config, self._features, weights)
        self._scorer = scorer.requires_grad_(requires_grad=False).eval().to(self._device)

    def _fitted(self) -> ShallowScorer:
        assert self._scorer is not None, "scored before the fit"
        return self._scorer

    def score(self, images: Tensor) -> Tensor:
        """Return the score of each image, ``(B,)``."""
        with torch.no_grad():
            scores: Tensor = self._fitted()(images)
        return scores


class RebuildingModel(ShallowModel):
    """PCA on pixels, which pictures can show."""

    def rebuild(self, images: Tensor) -> Tensor:
        """Return images ``(B, C, H, W)`` as the components explain them."""
        scorer = self._fitted()
        assert isinstance(scorer, RebuildingPcaScorer)
        return scorer.rebuild(images)
