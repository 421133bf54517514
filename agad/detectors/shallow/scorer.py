"""What each shallow detector adds to the common model: how it fits, and how it scores.

Axes: B images in a batch, N normal images, A labelled anomalies, C channels, H rows, W columns, D
features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from agad.detectors.compute import sizes_of, take_weights
from agad.detectors.shallow.pixels import Features

Matrix: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FitFeatures:
    """The features of the fit split."""

    normals: Matrix
    """``(N, D)``: all unlabelled images."""

    anomalies: Matrix
    """``(A, D)``: the labelled anomalies; none for a detector that does not use them."""

    rng: np.random.Generator
    """Source of every draw of the fit."""


class ShallowScorer(nn.Module):
    """The fitted tensors of a detector, behind the features; each detector has a class of it."""

    tensors: ClassVar[Mapping[str, tuple[str, torch.dtype]]]
    """A letter for each axis, and the type, of every tensor that a fit leaves. D is the number of
    features. The other sizes are free, but a letter has one size."""

    held: ClassVar[str] = ""
    """Which training images the tensors hold, such as ``every normal image``; empty if none."""

    def __init__(self, config: Any, features: Features, sizes: Mapping[str, int]) -> None:  # noqa: ANN401
        """Leave the tensors empty; they are taken over afterwards.

        Args:
            config: The detector.
            features: How pictures become features.
            sizes: The size of every axis of ``tensors``, by its letter.
        """
        super().__init__()
        self.config = config
        self.features = features
        for name, (axes, dtype) in self.tensors.items():
            self.register_buffer(name, torch.empty([sizes[one] for one in axes], dtype=dtype))

    @staticmethod
    def fit(config: Any, split: FitFeatures) -> Mapping[str, Any]:  # noqa: ANN401
        """Return the fitted tensors, by name, as arrays or numbers.

        Args:
            config: The detector.
            split: The features of the fit split.
        """
        raise NotImplementedError

    @classmethod
    def on(cls, features: Features) -> type[ShallowScorer]:  # noqa: ARG003  One class needs it.
        """Return the class that can do the most on some features."""
        return cls

    def score_features(self, x: Tensor) -> Tensor:
        """Map features ``(B, D)``, float64, to scores ``(B,)``: higher is more anomalous."""
        raise NotImplementedError

    def sizes(self) -> Mapping[str, int]:
        """Return how many neighbours, components or other parts the model has, by name."""
        return {}

    def check(self) -> None:
        """Refuse tensors whose values belong to no fit.

        Raises:
            ValueError: They belong to none.
        """

    @property
    def holds(self) -> str:
        """A text about the training images in the tensors; empty if there are none."""
        return f"the {self.config.kind.holds} of {self.held}" if self.held else ""

    def forward(self, images: Tensor) -> Tensor:
        """Map pictures ``(B, C, H, W)`` to scores ``(B,)``: higher is more anomalous."""
        # float64, as in scikit-learn: many scores are small differences of large numbers.
        return self.score_features(self.features.of(images).double()).float()


def as_tensors(kind: type[ShallowScorer], fitted: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return what a fit left as tensors of the declared types."""
    return {
        name: torch.from_numpy(np.ascontiguousarray(fitted[name])).to(dtype)
        for name, (_, dtype) in kind.tensors.items()
    }


def loaded(
    kind: type[ShallowScorer],
    config: Any,  # noqa: ANN401  Each detector has its own class.
    features: Features,
    weights: Mapping[str, Tensor],
) -> ShallowScorer:
    """Return the scorer with these weights, which it takes over.

    Raises:
        ValueError: The weights are not those of this detector on these features.
    """
    axes = {name: letters for name, (letters, _) in kind.tensors.items()}
    sizes = sizes_of(axes, weights, {"D": features.num_features})
    with torch.device("meta"):
        scorer = kind(config, features, sizes)
    take_weights(scorer, weights)
    scorer.check()
    return scorer
