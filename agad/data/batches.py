"""Batches on the device, in [-1, 1].

Axes: B images in a batch, C channels, H rows, W columns, N images in a split.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_RESIZE_CHUNK = 4096
"""Images resized at once: bounds the float copy to 64 MiB at 64 x 64."""


def to_device(pixels: NDArray[np.uint8], image_px: int, device: torch.device) -> Tensor:
    """Return images as uint8 on the device, resized bilinearly without antialiasing.

    Args:
        pixels: Shape ``(N, C, H, W)``, any square size.
        image_px: Height and width of the result.
        device: Where the result lives.

    Returns:
        uint8, shape ``(N, C, image_px, image_px)``.
    """
    # The copy also gives torch a writable array, which a memory-mapped one is not.
    images = torch.from_numpy(np.array(pixels)).to(device)
    if images.shape[-2:] == (image_px, image_px):
        return images
    chunks = [
        functional.interpolate(chunk.float(), size=image_px, mode="bilinear", align_corners=False)
        .round_()
        .to(torch.uint8)
        for chunk in torch.split(images, _RESIZE_CHUNK)
    ]
    return (
        torch.cat(chunks) if chunks else images.new_empty((0, images.shape[1], image_px, image_px))
    )


def normalise(images: Tensor) -> Tensor:
    """Map uint8 0..255 to float32 [-1, 1]."""
    return images.float().div_(127.5).sub_(1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitBatches:
    """Epochs over the normals, with labelled anomalies drawn anew for every batch."""

    normals: Tensor
    """uint8, shape ``(N, C, H, W)``."""

    anomalies: Tensor
    """uint8, shape ``(A, C, H, W)``; A may be 0."""

    num_normals: int
    """Normals a batch, at most."""

    num_anomalies: int
    """Anomalies a batch, drawn with replacement; unused where A is 0."""

    @property
    def num_batches(self) -> int:
        """Batches of an epoch: the normals spread evenly, each seen once."""
        return -(-len(self.normals) // self.num_normals)

    def epoch(self, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield each batch as normals and anomalies, ``(B, C, H, W)`` in [-1, 1]."""
        device = self.normals.device
        order = torch.from_numpy(rng.permutation(len(self.normals))).to(device)
        for chosen in order.tensor_split(self.num_batches):
            batch = normalise(self.normals[chosen])
            if len(self.anomalies) == 0:
                yield batch, None
                continue
            drawn = torch.from_numpy(rng.integers(len(self.anomalies), size=self.num_anomalies))
            yield batch, normalise(self.anomalies[drawn.to(device)])
