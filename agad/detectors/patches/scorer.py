"""What the models of patches share: patches of feature maps, and the worst patch's score.

Axes: B images in a batch, C channels of a feature map, H rows and W columns of its places, P = H x
W patches of an image.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from agad.detectors.compute import sizes_of, take_weights


class PatchScorer(nn.Module):
    """The fitted tensors of a detector, with a score of each patch; each detector has a class."""

    tensors: ClassVar[Mapping[str, str]]
    """A letter for each axis of every fitted tensor, all float32. C is the number of channels. The
    other sizes are free."""

    holds: ClassVar[str] = ""
    """What of the training images the tensors hold; empty if nothing that could be read back."""

    def __init__(self, config: Any, sizes: Mapping[str, int]) -> None:  # noqa: ANN401
        """Leave the tensors empty; they are taken over afterwards.

        Args:
            config: The detector.
            sizes: The size of every axis of ``tensors``, by its letter.
        """
        super().__init__()
        self.config = config
        for name, axes in self.tensors.items():
            self.register_buffer(name, torch.empty([sizes[one] for one in axes]))

    def patch_scores(self, patches: Tensor) -> Tensor:
        """Map patches ``(num, C)`` to scores ``(num,)``: higher is more anomalous."""
        raise NotImplementedError

    def anomaly_map(self, images: Tensor) -> Tensor:
        """Map feature maps ``(B, C, H, W)`` to the scores of their patches ``(B, H, W)``."""
        batch, channels, height, width = images.shape
        patches = patches_of(images, self.config.patch_size).reshape(-1, channels)
        return self.patch_scores(patches).reshape(batch, height, width)

    def forward(self, images: Tensor) -> Tensor:
        """Map feature maps ``(B, C, H, W)`` to the largest scores of their patches ``(B,)``."""
        return self.anomaly_map(images).amax(dim=(1, 2))

    def sizes(self) -> Mapping[str, int]:
        """Return how many patches or components the model has, by name."""
        raise NotImplementedError


def patches_of(maps: Tensor, patch_size: int) -> Tensor:
    """Return the patches ``(B, P, C)`` of feature maps, row by row.

    Source: Roth et al., CVPR 2022, equations 1 to 3, with the mean as the aggregation.

    Args:
        maps: ``(B, C, H, W)``.
        patch_size: p: a patch is the mean of the p x p places around a place. Places beyond the
            border do not count.
    """
    if patch_size > 1:
        maps = functional.avg_pool2d(
            maps, patch_size, stride=1, padding=patch_size // 2, count_include_pad=False
        )
    return maps.flatten(2).transpose(1, 2)


def loaded(
    kind: type[PatchScorer],
    config: Any,  # noqa: ANN401  Each detector has its own class.
    num_channels: int,
    weights: Mapping[str, Tensor],
) -> PatchScorer:
    """Return the scorer with these weights, which it takes over.

    Raises:
        ValueError: The weights are not those of this detector for maps of so many channels.
    """
    with torch.device("meta"):
        scorer = kind(config, sizes_of(kind.tensors, weights, {"C": num_channels}))
    take_weights(scorer, weights)
    return scorer.requires_grad_(requires_grad=False).eval()
