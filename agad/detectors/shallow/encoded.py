"""Features of a frozen encoder, as a model takes them.

Axes: B images in a batch, C channels, H rows, W columns, D features.
"""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional

from agad.detectors.shallow.pixels import Features


class Encoded(Features):
    """The features of the encoder in a row of length 1, D = C x H x W.

    Directions tell classes apart better than lengths do, which grow with contrast.
    """

    rounding = 1e-5  # The network's own rounding depends on the size of a batch.

    def __init__(self, feature_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.num_features = math.prod(feature_shape)

    def of(self, images: Tensor) -> Tensor:
        """Return features ``(B, C, H, W)`` in rows ``(B, D)`` of length 1."""
        return functional.normalize(images.flatten(1), dim=1)


def build(feature_shape: tuple[int, int, int]) -> Features:
    """Return features of this shape as rows."""
    return Encoded(feature_shape)
