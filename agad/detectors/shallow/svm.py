"""The one-class support vector machine.

Axes: B images in a batch, S support vectors, D features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from agad.detectors.shallow.configuration import OneClassSvm
from agad.detectors.shallow.scorer import FitFeatures, ShallowScorer


class OneClassSvmScorer(ShallowScorer):
    """The support vectors, which are normal images, each with its weight."""

    tensors: ClassVar[Mapping[str, tuple[str, torch.dtype]]] = {
        "vectors": ("SD", torch.float32),
        "weights": ("S", torch.float64),
        "gamma": ("", torch.float64),
    }
    held: ClassVar[str] = "the support vectors, which are normal images of the fit split"
    config: OneClassSvm
    vectors: Tensor
    weights: Tensor
    gamma: Tensor

    @staticmethod
    def fit(config: OneClassSvm, split: FitFeatures) -> dict[str, Any]:
        """Return the support vectors that libsvm finds."""
        from sklearn.svm import OneClassSVM  # type: ignore[import-untyped]

        x = split.normals
        variance = x.var()
        gamma = config.gamma_scale / (x.shape[1] * variance if variance > 0 else 1.0)
        fitted = OneClassSVM(nu=config.nu, gamma=gamma).fit(x)
        return {
            "vectors": x[fitted.support_],
            "weights": fitted.dual_coef_[0],
            "gamma": fitted.gamma,
        }

    def score_features(self, x: Tensor) -> Tensor:
        """Return minus the weighted sum of the kernels."""
        vectors = self.vectors.double()
        squared = x.square().sum(dim=1, keepdim=True) + vectors.square().sum(dim=1)
        squared = (squared - 2 * (x @ vectors.T)).clamp_min(0)
        return -(torch.exp(-self.gamma * squared) @ self.weights)

    def sizes(self) -> dict[str, int]:
        """Return S."""
        return {"support_vectors": len(self.vectors)}
