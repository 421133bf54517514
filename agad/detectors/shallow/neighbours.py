"""The nearest normal images, and the two detectors that score by them.

Axes: B images in a batch, N normal images, D features, K neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from agad.detectors.shallow.configuration import Knn, KnnProbe, Lof
from agad.detectors.shallow.pixels import Features
from agad.detectors.shallow.scorer import FitFeatures, Matrix, ShallowScorer

_NUM_SPARE = 8
"""Neighbours beyond K that are measured exactly: the fast distances may swap close ones."""

_TIE = 1e-8
"""Distances that differ by less than this share of the images' length are equally far."""

_TINY = 1e-10
"""Keeps the density among equal images finite, as in scikit-learn."""


def nearest(
    x: Tensor, fitted: Tensor, num: int, rounding: float = Features.rounding
) -> tuple[Tensor, Tensor]:
    """Return distances and places of the nearest normal images, both ``(B, K)``, ascending.

    Neighbours equally far come in order of their place. So an image has the same neighbours
    whatever the batch.

    Args:
        x: Features ``(B, D)``, float64.
        fitted: Features of the normal images ``(N, D)``.
        num: K, at most N.
        rounding: Of the features, as ``Features.rounding``.
    """
    fitted = fitted.double()
    squares = fitted.square().sum(dim=1)
    # An image alone may have the length 0, such as one without contrast.
    length = (x.square().sum(dim=1, keepdim=True) + squares.mean()).sqrt().clamp_min(_TINY)
    # A matrix product finds the candidates. It rounds too much to tell equal images from close
    # ones, so the distances of the candidates are computed from the differences.
    squared = squares - 2 * (x @ fitted.T)
    every = torch.arange(len(fitted), device=x.device).expand(squared.shape)
    keys = _keys(squared / length.square(), every)
    places = keys.topk(min(num + _NUM_SPARE, len(fitted)), dim=1, largest=False).indices
    # One candidate after another: their features together take long to allocate.
    distances = torch.stack(
        [
            torch.linalg.vector_norm(fitted.index_select(0, one) - x, dim=1)
            for one in places.unbind(dim=1)
        ],
        dim=1,
    )
    distances = torch.where(distances < rounding * length, 0.0, distances)
    order = _keys(distances / length, places).argsort(dim=1)[:, :num]
    return distances.gather(1, order), places.gather(1, order)


def _keys(relative: Tensor, places: Tensor) -> Tensor:
    """Return numbers that order images by their distance, and equally far ones by their place.

    Args:
        relative: Distances, or squared ones, as shares of the images' length, ``(B, M)``.
        places: The places of the images, ``(B, M)``.
    """
    return (relative / _TIE).round() * 2**20 + places


def mean_distances(
    x: Tensor, fitted: Tensor, num_neighbors: int, rounding: float = Features.rounding
) -> Tensor:
    """Return the mean distance ``(B,)`` from the nearest normal images: from all if N is less."""
    return nearest(x, fitted, min(num_neighbors, len(fitted)), rounding)[0].mean(dim=1)


class KnnScorer(ShallowScorer):
    """The normal images; the score is the mean distance from the nearest."""

    tensors: ClassVar[Mapping[str, tuple[str, torch.dtype]]] = {"fitted": ("ND", torch.float32)}
    held: ClassVar[str] = "every normal image of the fit split"
    config: Knn
    fitted: Tensor

    @staticmethod
    def fit(config: Knn | KnnProbe, split: FitFeatures) -> dict[str, Any]:  # noqa: ARG004
        """Return the normal images: there is nothing to compute."""
        return {"fitted": split.normals}

    def score_features(self, x: Tensor) -> Tensor:
        """Return the mean distance of each image from its nearest normal images."""
        return mean_distances(x, self.fitted, self.config.num_neighbors, self.features.rounding)

    def sizes(self) -> dict[str, int]:
        """Return K."""
        return {"neighbours": min(self.config.num_neighbors, len(self.fitted))}


class LofScorer(ShallowScorer):
    """The normal images, each with the distance of its k-th neighbour and its density."""

    tensors: ClassVar[Mapping[str, tuple[str, torch.dtype]]] = {
        "fitted": ("ND", torch.float32),
        "k_distances": ("N", torch.float64),
        "densities": ("N", torch.float64),
    }
    held: ClassVar[str] = "every normal image of the fit split"
    config: Lof
    fitted: Tensor
    k_distances: Tensor
    densities: Tensor

    @staticmethod
    def fit(config: Lof, split: FitFeatures) -> dict[str, Any]:
        """Return the normal images with their local reachability densities: definition 6."""
        from sklearn.neighbors import NearestNeighbors  # type: ignore[import-untyped]

        num = min(config.num_neighbors, len(split.normals) - 1)
        found: tuple[Matrix, Any] = (
            NearestNeighbors(n_neighbors=num).fit(split.normals).kneighbors()
        )
        distances, places = found
        k_distances = distances[:, -1]
        reached = np.maximum(distances, k_distances[places])
        return {
            "fitted": split.normals,
            "k_distances": k_distances,
            "densities": 1 / (reached.mean(axis=1) + _TINY),
        }

    def score_features(self, x: Tensor) -> Tensor:
        """Return the neighbours' mean density over the image's own: definition 7."""
        distances, places = nearest(
            x, self.fitted, self.sizes()["neighbours"], self.features.rounding
        )
        reached = torch.maximum(distances, self.k_distances[places])
        own = 1 / (reached.mean(dim=1) + _TINY)
        return self.densities[places].mean(dim=1) / own

    def sizes(self) -> dict[str, int]:
        """Return K."""
        return {"neighbours": min(self.config.num_neighbors, len(self.fitted) - 1)}

    def check(self) -> None:
        """Refuse a model without neighbours, or densities that no fit leaves."""
        if len(self.fitted) < 2 or not (self.densities > 0).all():
            raise ValueError("fitted are too few, or densities are not above 0 everywhere")
