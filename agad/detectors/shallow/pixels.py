"""What features are to a model, and the pixels as features.

Axes: B images in a batch, C channels, H rows, W columns, D features.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn


class Features(nn.Module):
    """Turns prepared pictures into features. Its weights, if any, are part of an exported model."""

    num_features: int
    """D."""

    rounding: float = 1e-6
    """Distances below this share of the images' length are 0: features are float32 before."""

    def of(self, images: Tensor) -> Tensor:
        """Return the features ``(B, D)``, float32, of pictures ``(B, C, H, W)``, each alone."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Return the features, as ``of``."""
        return self.of(images)


class Pixels(Features):
    """The pixels themselves, D = C x H x W."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.num_features = int(np.prod(image_shape))

    def of(self, images: Tensor) -> Tensor:
        """Return the pixels of each picture in a row."""
        return images.flatten(1)

    def pictures(self, features: Tensor) -> Tensor:
        """Return the pictures ``(B, C, H, W)`` of pixels ``(B, D)``."""
        return features.reshape(-1, *self.image_shape)


def build(image_shape: tuple[int, int, int]) -> Features:
    """Return the pixels of pictures of this shape as features."""
    return Pixels(image_shape)
