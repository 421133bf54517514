"""The two detectors that score by the principal axes of the normal images.

Axes: B images in a batch, C channels, H rows, W columns, N normal images, D features, K axes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from agad.detectors.shallow.configuration import Mahalanobis, Pca
from agad.detectors.shallow.pixels import Features, Pixels
from agad.detectors.shallow.scorer import FitFeatures, ShallowScorer

_LEAST_VARIANCE = 1e-9
"""Share of the mean variance that every direction has at least, so that no distance is endless."""


class PcaScorer(ShallowScorer):
    """A mean and K orthonormal components; the score is the length of what they leave over."""

    tensors: ClassVar[Mapping[str, tuple[str, torch.dtype]]] = {
        "mean": ("D", torch.float64),
        "components": ("KD", torch.float64),
    }
    config: Pca
    mean: Tensor
    components: Tensor

    @classmethod
    def on(cls, features: Features) -> type[ShallowScorer]:
        """Return the class that rebuilds images, if the features are pixels."""
        return RebuildingPcaScorer if isinstance(features, Pixels) else cls

    @staticmethod
    def fit(config: Pca, split: FitFeatures) -> dict[str, Any]:
        """Return the components that explain ``variance``."""
        from sklearn.decomposition import PCA  # type: ignore[import-untyped]

        # All images alike have no variance to share out: then the mean alone is the model.
        fitted = PCA(config.variance, svd_solver="full")
        with np.errstate(invalid="ignore", divide="ignore"):
            fitted.fit(split.normals)
        return {"mean": fitted.mean_, "components": fitted.components_}

    def score_features(self, x: Tensor) -> Tensor:
        """Return the length of each image's residual."""
        lengths: Tensor = torch.linalg.vector_norm(self._residual(x), dim=1)
        return lengths

    def sizes(self) -> dict[str, int]:
        """Return K."""
        return {"components": len(self.components)}

    def _residual(self, x: Tensor) -> Tensor:
        centred = x - self.mean
        return centred - (centred @ self.components.T) @ self.components


class RebuildingPcaScorer(PcaScorer):
    """``PcaScorer`` on pixels, which can draw an image as the components explain it."""

    features: Pixels

    def rebuild(self, images: Tensor) -> Tensor:
        """Return images ``(B, C, H, W)`` as the components explain them."""
        x = self.features.of(images).double()
        return self.features.pictures(x - self._residual(x)).float()


class MahalanobisScorer(ShallowScorer):
    """A mean, K principal axes with their shrunk variances, and the variance beside the axes."""

    tensors: ClassVar[Mapping[str, tuple[str, torch.dtype]]] = {
        "mean": ("D", torch.float64),
        "axes": ("KD", torch.float64),
        "variances": ("K", torch.float64),
        "variance_beside": ("", torch.float64),
    }
    config: Mahalanobis
    mean: Tensor
    axes: Tensor
    variances: Tensor
    variance_beside: Tensor

    @staticmethod
    def fit(config: Mahalanobis, split: FitFeatures) -> dict[str, Any]:  # noqa: ARG004
        """Return the eigenvectors and eigenvalues of (1 - s) S + s m I, with m = trace(S) / D.

        The covariance S of N images has min(N, D) axes; every direction beside them has the
        variance s m. So no D x D matrix is kept.
        """
        from sklearn.covariance import ledoit_wolf_shrinkage  # type: ignore[import-untyped]
        from sklearn.decomposition import PCA

        x = split.normals
        with np.errstate(invalid="ignore", divide="ignore"):
            fitted = PCA(svd_solver="full").fit(x)
        of_axes = fitted.singular_values_**2 / len(x)
        mean_variance = of_axes.sum() / x.shape[1]
        shrinkage = ledoit_wolf_shrinkage(x) if mean_variance > 0 else 1.0
        # Images that are all alike leave the plain distance from them.
        least = _LEAST_VARIANCE * mean_variance if mean_variance > 0 else 1.0
        beside = shrinkage * mean_variance
        return {
            "mean": fitted.mean_,
            "axes": fitted.components_,
            "variances": np.maximum((1 - shrinkage) * of_axes + beside, least),
            "variance_beside": np.float64(max(beside, least)),
        }

    def score_features(self, x: Tensor) -> Tensor:
        """Return the Mahalanobis distance of each image from the mean."""
        centred = x - self.mean
        along = centred @ self.axes.T
        squared = (along.square() / self.variances).sum(dim=1)
        if len(self.axes) < len(self.mean):
            residual = centred - along @ self.axes
            squared = squared + residual.square().sum(dim=1) / self.variance_beside
        return squared.sqrt()

    def check(self) -> None:
        """Refuse variances that are not above 0."""
        if not ((self.variances > 0).all() and self.variance_beside > 0):
            raise ValueError("variances are not above 0 everywhere")
