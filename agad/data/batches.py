"""Images and batches on the device, as a detector takes them.

Axes: B images in a batch, C channels, H rows, W columns, N images in a part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agad.config import BatchPlan, InputSpec
from agad.data.prepare import prepare_images


@dataclass(frozen=True, slots=True, kw_only=True)
class Subset:
    """Some images of a part on the device, or their features."""

    images: Tensor
    """uint8, shape ``(N, C, H, W)``; on the CPU the mapped file itself, which is never written. Or
    features, float32, which are taken as they are."""

    index: Tensor
    """int64, places of the chosen images in ``images``, shape ``(len(self),)``."""

    input: InputSpec = field(default_factory=InputSpec)
    """How ``take`` prepares the images."""

    def __len__(self) -> int:
        return len(self.index)

    def take(self, chosen: Tensor) -> Tensor:
        """Return the images at some places of the subset, prepared, float32 ``(B, C, H, W)``."""
        # Whole rows at a time: seven times as fast as ``images[index]`` on a CPU.
        pixels = self.images.index_select(0, self.index.index_select(0, chosen))
        if pixels.is_floating_point():
            return pixels
        return prepare_images(pixels.div(127.5).sub_(1.0), self.input)

    def batches(self, size: int) -> Iterator[Tensor]:
        """Yield all images in order, in batches of at most ``size``."""
        places = torch.arange(len(self), device=self.index.device)
        for chosen in torch.split(places, size):
            yield self.take(chosen)


def on_device(
    pixels: NDArray[np.uint8],
    indices: NDArray[np.intp],
    device: torch.device,
    spec: InputSpec | None = None,
) -> Subset:
    """Return some images of a part on the device.

    On the CPU nothing is copied: every trial of a node reads the same pages. Elsewhere only the
    chosen images are copied.

    Args:
        pixels: All images of the part, shape ``(N, C, H, W)``.
        indices: Places of the chosen images, each below N.
        device: The device that holds the images.
        spec: How a detector takes images; None means in [-1, 1] at their own size.
    """
    if device.type == "cpu":
        images, index = torch.from_numpy(pixels), torch.from_numpy(indices)
    else:
        images = torch.from_numpy(pixels[indices]).to(device)
        index = torch.arange(len(indices), device=device)
    return Subset(images=images, index=index, input=spec or InputSpec())


@dataclass(frozen=True, slots=True, kw_only=True)
class FitBatches:
    """The fit split: epochs over its unlabelled images, with labelled anomalies in every batch.

    The anomalies of a batch are drawn anew for every batch.
    """

    normals: Subset
    """Unlabelled images, taken for normal."""

    anomalies: Subset
    """Labelled anomalies; may be empty."""

    num_normals: int
    """The most normals of a batch."""

    num_anomalies: int
    """Anomalies a batch, drawn with replacement; unused if there are none."""

    @classmethod
    def planned(cls, plan: BatchPlan, normals: Subset, anomalies: Subset) -> FitBatches:
        """Return the fit split in the batches that a detector asks for.

        Without a labelled anomaly, a batch has normals alone.
        """
        num_anomalies = plan.num_anomalies if len(anomalies) else 0
        num_normals = len(normals)
        if plan.batch_size is not None:
            num_normals = plan.batch_size - num_anomalies
        return cls(
            normals=normals,
            anomalies=anomalies,
            num_normals=num_normals,
            num_anomalies=num_anomalies,
        )

    @property
    def num_batches(self) -> int:
        """Batches of an epoch: the normals spread evenly, each seen once."""
        return -(-len(self.normals) // self.num_normals)

    def epoch(self, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield each batch as normals and anomalies, prepared, each ``(B, C, H, W)``.

        The anomalies are None if the fit split has none.
        """
        device = self.normals.index.device
        order = torch.from_numpy(rng.permutation(len(self.normals))).to(device)
        batches = order.tensor_split(self.num_batches)
        if len(self.anomalies) == 0:
            yield from ((self.normals.take(chosen), None) for chosen in batches)
            return
        shape = (self.num_batches, self.num_anomalies)
        # Moved once an epoch: a copy for each batch would make every step wait for a GPU.
        drawn = torch.from_numpy(rng.integers(len(self.anomalies), size=shape)).to(device)
        for chosen, anomalous in zip(batches, drawn, strict=True):
            yield self.normals.take(chosen), self.anomalies.take(anomalous)

    def all_normals(self, batch_size: int = 256) -> Iterator[Tensor]:
        """Yield every unlabelled image once, in order, prepared, each batch ``(B, C, H, W)``."""
        yield from self.normals.batches(batch_size)

    def all_anomalies(self, batch_size: int = 256) -> Iterator[Tensor]:
        """Yield every labelled anomaly once, in order, prepared, each batch ``(B, C, H, W)``."""
        if len(self.anomalies):
            yield from self.anomalies.batches(batch_size)

    def first(self, num_batches: int) -> FitBatches:
        """Return the fit split with fewer unlabelled images, for an epoch of ``num_batches``."""
        num = min(len(self.normals), num_batches * self.num_normals)
        return replace(self, normals=replace(self.normals, index=self.normals.index[:num]))
