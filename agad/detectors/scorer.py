"""What scores pictures once training is over, and nothing that trains.

Axes: B images in a batch, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from agad.config import DetectorConfig
from agad.detectors.agad import build_generator, distance
from agad.detectors.batch_norm import BatchNorm


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


def build_scorer(
    config: DetectorConfig, image_shape: tuple[int, int, int], weights: Mapping[str, Tensor]
) -> Scorer:
    """Return what scores with a detector's ``scoring_weights``, which it takes over.

    Raises:
        ValueError: The weights are not those of this detector for images of this shape.
    """
    try:
        # Nothing is allocated for settings alone: a file may ask for any width.
        with torch.device("meta"):
            generator = build_generator(config, image_shape)
    except (RuntimeError, TypeError) as error:  # Wider than torch can count.
        raise ValueError(f"no network has these settings: {error}") from error
    kinds = {name: tensor.dtype for name, tensor in generator.state_dict().items()}
    for name, tensor in weights.items():
        if kinds.get(name, tensor.dtype) != tensor.dtype:
            raise ValueError(f"{name} is of {tensor.dtype}, but must be of {kinds[name]}")
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} is not finite everywhere")
    try:
        generator.load_state_dict(dict(weights), assign=True)
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    return Scorer(generator, is_per_image=config.score_statistics == "image")
