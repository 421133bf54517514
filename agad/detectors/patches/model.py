"""The one trainer of the detectors of patches: feature maps of the fit split, one fit, one scorer.

Axes: B images in a batch, C channels of a feature map, H rows and W columns of its places.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from agad.config import Stage
from agad.detectors.compute import Compute
from agad.detectors.patches.configuration import PatchDetector
from agad.detectors.patches.scorer import PatchScorer, loaded
from agad.detectors.protocol import FittedDetector

if TYPE_CHECKING:
    from agad.data import FitBatches

_FIT_BATCH = 64
"""Maps that become patches at once."""

_SCORE_BATCH = 8
"""Images that are scored at once, so that their distances fit the memory."""


def build(
    config: PatchDetector,
    image_shape: tuple[int, int, int],
    rng: torch.Generator,  # noqa: ARG001  No weight is random.
    compute: Compute,
) -> PatchModel:
    """Return the detector before its fit, for feature maps of this shape ``(C, H, W)``."""
    return PatchModel(config, image_shape[0], compute.torch_device)


def build_scorer(
    config: PatchDetector,
    image_shape: tuple[int, int, int],
    weights: Mapping[str, Tensor] | None,
) -> PatchScorer:
    """Return what scores with ``PatchModel.scoring_weights``, which it takes over.

    Raises:
        ValueError: The weights are not those of maps of this shape, or there are none.
    """
    if weights is None:
        raise ValueError("the size of its model is known after the fit alone")
    return loaded(_scorer_class(config), config, image_shape[0], weights)


def _scorer_class(config: PatchDetector) -> Any:  # noqa: ANN401  Each has a fit of its own.
    module, _, name = config.scorer.partition(":")
    return getattr(import_module(module), name)


class PatchModel(FittedDetector):
    """Fits once, on the patches of all images."""

    def __init__(self, config: PatchDetector, num_channels: int, device: torch.device) -> None:
        """Start without a fit: then there is nothing to score with.

        Args:
            config: The detector.
            num_channels: C of the feature maps.
            device: Where coresets are chosen and patches are scored.
        """
        self._config = config
        self._num_channels = num_channels
        self._device = device
        self._scorer: PatchScorer | None = None

    @torch.no_grad()
    def fit_epoch(
        self,
        stage: Stage,  # noqa: ARG002  There is one.
        batches: FitBatches,
        rng: np.random.Generator,
    ) -> dict[str, float]:
        """Fit, and return the sizes of the model by name.

        Raises:
            ConfigError: The fit split has too few patches.
        """
        fit = _scorer_class(self._config).fit
        self._take(fit(self._config, self._maps(batches), rng))
        return {name: float(size) for name, size in self._fitted().sizes().items()}

    def _maps(self, batches: FitBatches) -> Iterator[Tensor]:
        for maps in batches.all_normals(_FIT_BATCH):
            yield maps.to(self._device)

    def _take(self, weights: Mapping[str, Tensor]) -> None:
        kind = _scorer_class(self._config)
        self._scorer = loaded(kind, self._config, self._num_channels, weights).to(self._device)

    def _fitted(self) -> PatchScorer:
        assert self._scorer is not None, "scored before the fit"
        return self._scorer

    @torch.no_grad()
    def score(self, images: Tensor) -> Tensor:
        """Return the score of each image, ``(B,)``, of feature maps ``(B, C, H, W)``."""
        scorer = self._fitted()
        return torch.cat([scorer(some) for some in torch.split(images, _SCORE_BATCH)])

    @torch.no_grad()
    def anomaly_map(self, images: Tensor) -> Tensor:
        """Return the score of each patch, ``(B, H, W)``, of feature maps ``(B, C, H, W)``."""
        scorer = self._fitted()
        return torch.cat([scorer.anomaly_map(some) for some in torch.split(images, _SCORE_BATCH)])
