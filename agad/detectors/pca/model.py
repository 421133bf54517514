"""The fit and the score of the PCA detector.

Axes: B images in a batch, C channels, H rows, W columns, D = C x H x W pixels, K components.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from agad.config import Stage
from agad.detectors.compute import Compute, take_weights
from agad.detectors.pca.configuration import Pca

if TYPE_CHECKING:
    from agad.data import FitBatches


class PcaScorer(nn.Module):
    """A mean and K orthonormal components; the score is the length of what they leave over."""

    mean: Tensor
    """``(D,)``, float64: a residual is a small difference of large numbers."""

    components: Tensor
    """``(K, D)``, float64."""

    def __init__(self, mean: Tensor, components: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("components", components)

    def rebuild(self, images: Tensor) -> Tensor:
        """Return images ``(B, C, H, W)`` as the components explain them."""
        rebuilt = images.double() - self._residual(images).reshape(images.shape)
        return rebuilt.float()

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``(B, C, H, W)`` to scores ``(B,)``: higher is more anomalous."""
        lengths: Tensor = torch.linalg.vector_norm(self._residual(images), dim=1)
        return lengths.float()

    def _residual(self, images: Tensor) -> Tensor:
        centred = images.double().flatten(1) - self.mean
        return centred - (centred @ self.components.T) @ self.components


def build(
    config: Pca,
    image_shape: tuple[int, int, int],
    rng: torch.Generator,  # noqa: ARG001  The fit draws nothing.
    compute: Compute,
) -> PcaDetector:
    """Return the detector before its fit."""
    return PcaDetector(config, image_shape, compute)


def build_scorer(
    config: Pca,  # noqa: ARG001  The weights tell all.
    image_shape: tuple[int, int, int],
    weights: Mapping[str, Tensor] | None,
) -> PcaScorer:
    """Return what scores with ``PcaDetector.scoring_weights``, which it takes over.

    Raises:
        ValueError: The weights are not those of images of this shape, or there are none.
    """
    if weights is None:
        raise ValueError("the number of its components is known after the fit alone")
    num_pixels = int(np.prod(image_shape))
    components = weights.get("components")
    num_components = 0 if components is None or components.ndim != 2 else len(components)
    with torch.device("meta"):
        scorer = PcaScorer(
            torch.empty(num_pixels, dtype=torch.float64),
            torch.empty((num_components, num_pixels), dtype=torch.float64),
        )
    take_weights(scorer, weights)
    return scorer


class PcaDetector:
    """Fits once, on all unlabelled images at once; labelled anomalies are not used."""

    def __init__(self, config: Pca, image_shape: tuple[int, int, int], compute: Compute) -> None:
        """Start without components: every image has the length of itself as its score.

        Args:
            config: The share of the variance to explain.
            image_shape: Channels, height and width.
            compute: Where to score.
        """
        num_pixels = int(np.prod(image_shape))
        self._config = config
        self._compute = compute
        self._scorer = PcaScorer(
            torch.zeros(num_pixels, dtype=torch.float64),
            torch.zeros((0, num_pixels), dtype=torch.float64),
        ).to(compute.torch_device)

    def begin_stage(self, stage: Stage, batches: FitBatches) -> None:
        """Do nothing."""

    def fit_epoch(
        self,
        stage: Stage,  # noqa: ARG002  There is one.
        batches: FitBatches,
        rng: np.random.Generator,  # noqa: ARG002  The fit draws nothing.
    ) -> dict[str, float]:
        """Fit the components that explain ``variance``; return their number."""
        # Takes a second to import, which a worker of another detector does not need.
        from sklearn.decomposition import PCA  # type: ignore[import-untyped]

        pixels = torch.cat([batch.cpu().double().flatten(1) for batch in batches.all_normals()])
        # All images alike have no variance to share out: then the mean alone is the model.
        fitted = PCA(self._config.variance, svd_solver="full")
        with np.errstate(invalid="ignore", divide="ignore"):
            fitted.fit(pixels.numpy())
        device = self._compute.torch_device
        self._scorer.mean = torch.from_numpy(fitted.mean_).to(device)
        self._scorer.components = torch.from_numpy(fitted.components_.copy()).to(device)
        return {"components": float(len(fitted.components_))}

    def score(self, images: Tensor) -> Tensor:
        """Return the length of each image's residual, ``(B,)``."""
        with torch.no_grad():
            scores: Tensor = self._scorer(images)
        return scores

    def rebuild(self, images: Tensor) -> Tensor:
        """Return images ``(B, C, H, W)`` as the components explain them."""
        return self._scorer.rebuild(images)

    def scoring_weights(self) -> dict[str, Tensor]:
        """Return the mean ``(D,)`` and the components ``(K, D)``."""
        return dict(self._scorer.state_dict())

    def state(self) -> dict[str, Any]:
        """Return the mean and the components."""
        return {"scorer": self.scoring_weights()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` returned."""
        device = self._compute.torch_device
        self._scorer.mean = state["scorer"]["mean"].to(device)
        self._scorer.components = state["scorer"]["components"].to(device)
