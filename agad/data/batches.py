"""Images and batches on the device, in [-1, 1].

Axes: B images in a batch, C channels, H rows, W columns, N images in a part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Subset:
    """Some images of a part, uint8 on the device."""

    images: Tensor
    """uint8, shape ``(N, C, H, W)``; on the CPU the mapped file itself, which is never written."""

    index: Tensor
    """int64, which of them, shape ``(len(self),)``."""

    def __len__(self) -> int:
        return len(self.index)

    def take(self, chosen: Tensor) -> Tensor:
        """Return the images at some places of the subset, float32 ``(B, C, H, W)`` in [-1, 1]."""
        # Whole rows at a time: seven times as fast as ``images[index]`` on a CPU.
        pixels = self.images.index_select(0, self.index.index_select(0, chosen))
        return pixels.div(127.5).sub_(1.0)

    def batches(self, size: int) -> Iterator[Tensor]:
        """Yield all images in order, in batches of at most ``size``."""
        places = torch.arange(len(self), device=self.index.device)
        for chosen in torch.split(places, size):
            yield self.take(chosen)


def on_device(pixels: NDArray[np.uint8], indices: NDArray[np.intp], device: torch.device) -> Subset:
    """Return some images of a part on the device.

    On the CPU nothing is copied: every trial of a node reads the same pages. Elsewhere these images
    alone are.

    Args:
        pixels: All images of the part, shape ``(N, C, H, W)``.
        indices: Which of them, each below N.
        device: Where they live.
    """
    if device.type == "cpu":
        return Subset(images=torch.from_numpy(pixels), index=torch.from_numpy(indices))
    images = torch.from_numpy(pixels[indices]).to(device)
    return Subset(images=images, index=torch.arange(len(indices), device=device))


@dataclass(frozen=True, slots=True, kw_only=True)
class FitBatches:
    """Epochs over the unlabelled images, with labelled anomalies drawn anew for every batch."""

    normals: Subset
    """Unlabelled images, taken for normal."""

    anomalies: Subset
    """Labelled anomalies; may be empty."""

    num_normals: int
    """Normals a batch, at most."""

    num_anomalies: int
    """Anomalies a batch, drawn with replacement; unused where there are none."""

    @property
    def num_batches(self) -> int:
        """Batches of an epoch: the normals spread evenly, each seen once."""
        return -(-len(self.normals) // self.num_normals)

    def epoch(self, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield each batch as normals and anomalies, ``(B, C, H, W)`` in [-1, 1]."""
        device = self.normals.index.device
        order = torch.from_numpy(rng.permutation(len(self.normals))).to(device)
        batches = order.tensor_split(self.num_batches)
        if len(self.anomalies) == 0:
            yield from ((self.normals.take(chosen), None) for chosen in batches)
            return
        shape = (self.num_batches, self.num_anomalies)
        # Moved once an epoch: a copy a batch would make each step wait for a GPU.
        drawn = torch.from_numpy(rng.integers(len(self.anomalies), size=shape)).to(device)
        for chosen, anomalous in zip(batches, drawn, strict=True):
            yield self.normals.take(chosen), self.anomalies.take(anomalous)
