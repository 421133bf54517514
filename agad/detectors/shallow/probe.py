"""The two detectors that need labelled anomalies.

Axes: B images in a batch, N normal images, D features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from agad.detectors.shallow.configuration import KnnProbe, Probe
from agad.detectors.shallow.neighbours import mean_distances
from agad.detectors.shallow.scorer import FitFeatures, Matrix, ShallowScorer

_HELD_OUT = 5
"""One normal image of so many is held out for the mean and the standard deviation of each part."""

_LEAST_HELD_OUT = 2


def log_odds(x: Tensor, direction: Tensor, offset: Tensor) -> Tensor:
    """Return the log-odds ``(B,)`` of an anomaly, from features ``(B, D)`` of any length."""
    return functional.normalize(x, dim=1) @ direction + offset


def fit_probe(normals: Matrix, anomalies: Matrix, inverse_penalty: float) -> dict[str, Any]:
    """Return the logistic regression of anomalies against normal images, both weighing the same.

    Args:
        normals: Features ``(N, D)`` of normal images.
        anomalies: Features of labelled anomalies, at least one.
        inverse_penalty: C.
    """
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    x = torch.from_numpy(np.concatenate([normals, anomalies]))
    is_anomaly = np.arange(len(x)) >= len(normals)
    fitted = LogisticRegression(C=inverse_penalty, class_weight="balanced", max_iter=10_000)
    fitted.fit(functional.normalize(x, dim=1).numpy(), is_anomaly)
    return {"direction": fitted.coef_[0], "offset": np.float64(fitted.intercept_[0])}


class ProbeScorer(ShallowScorer):
    """A direction in the space of the features, and an offset."""

    tensors: ClassVar[Mapping[str, tuple[str, torch.dtype]]] = {
        "direction": ("D", torch.float64),
        "offset": ("", torch.float64),
    }
    config: Probe
    direction: Tensor
    offset: Tensor

    @staticmethod
    def fit(config: Probe, split: FitFeatures) -> dict[str, Any]:
        """Return the logistic regression of the fit split."""
        return fit_probe(split.normals, split.anomalies, config.inverse_penalty)

    def score_features(self, x: Tensor) -> Tensor:
        """Return the log-odds of an anomaly."""
        return log_odds(x, self.direction, self.offset)


class KnnProbeScorer(ShallowScorer):
    """The normal images and a probe, with the mean and the standard deviation of each part."""

    tensors: ClassVar[Mapping[str, tuple[str, torch.dtype]]] = {
        "fitted": ("ND", torch.float32),
        "direction": ("D", torch.float64),
        "offset": ("", torch.float64),
        "means": ("P", torch.float64),
        "deviations": ("P", torch.float64),
    }
    held: ClassVar[str] = "every normal image of the fit split"
    config: KnnProbe
    fitted: Tensor
    direction: Tensor
    offset: Tensor
    means: Tensor
    """Of the distance and of the log-odds, over the held-out normal images, ``(2,)``."""

    deviations: Tensor

    @staticmethod
    def fit(config: KnnProbe, split: FitFeatures) -> dict[str, Any]:
        """Fit both parts without the held-out images, measure them there, fit both on all."""
        num = len(split.normals)
        order = split.rng.permutation(num)
        num_held_out = max(_LEAST_HELD_OUT, num // _HELD_OUT)
        held_out, rest = split.normals[order[:num_held_out]], split.normals[order[num_held_out:]]
        first = fit_probe(rest, split.anomalies, config.inverse_penalty)
        x = torch.from_numpy(held_out)
        distances = mean_distances(x, torch.from_numpy(rest), config.num_neighbors)
        odds = log_odds(x, torch.from_numpy(first["direction"]), torch.tensor(first["offset"]))
        parts = torch.stack([distances, odds], dim=1).numpy()
        deviations = parts.std(axis=0, ddof=1)
        return {
            "fitted": split.normals,
            **fit_probe(split.normals, split.anomalies, config.inverse_penalty),
            "means": parts.mean(axis=0),
            # Held-out images that are all alike say nothing about the scale.
            "deviations": np.where(deviations > 0, deviations, 1.0),
        }

    def score_features(self, x: Tensor) -> Tensor:
        """Return the sum of both parts, each in its standard deviations."""
        distances = mean_distances(
            x, self.fitted, self.config.num_neighbors, self.features.rounding
        )
        parts = torch.stack([distances, log_odds(x, self.direction, self.offset)], dim=1)
        return ((parts - self.means) / self.deviations).sum(dim=1)

    def check(self) -> None:
        """Refuse means that are not of two parts, and deviations that are not above 0."""
        if len(self.means) != 2 or not (self.deviations > 0).all():
            raise ValueError("means are not of two parts, or deviations are not above 0")
