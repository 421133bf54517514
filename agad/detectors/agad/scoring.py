"""What scores pictures once training is over, and nothing that trains.

Axes: B images in a batch, C channels, H rows, W columns.
"""

from __future__ import annotations

from torch import Tensor, nn

from agad.detectors.agad.batch_norm import BatchNorm
from agad.detectors.agad.training import distance


class Scorer(nn.Module):
    """Scores that are those of the detector whose weights these are, to float rounding."""

    def __init__(self, generator: nn.Module, *, is_per_image: bool) -> None:
        """Take a generator over.

        Args:
            generator: Its weights are in place.
            is_per_image: Whether batch normalisation takes each image's own statistics.
        """
        super().__init__()
        self.generator = generator
        for layer in generator.modules():
            if isinstance(layer, BatchNorm):
                layer.statistics = "image" if is_per_image else "running"
        self.requires_grad_(requires_grad=False)
        self.eval()

    def rebuild(self, images: Tensor) -> Tensor:
        """Return G(x) of images ``(B, C, H, W)`` in [-1, 1]."""
        rebuilt: Tensor = self.generator(images)
        return rebuilt

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``(B, C, H, W)`` in [-1, 1] to scores ``(B,)``: higher is more anomalous."""
        return distance(images, self.rebuild(images))
