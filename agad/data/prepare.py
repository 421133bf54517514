"""Images as a detector takes them, from images as batches have them.

Axes: B images in a batch, C channels, H rows, W columns.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from agad.config import InputSpec

_TINY = 1e-6
"""Keeps the scale of an image without contrast finite."""


def prepare_images(images: Tensor, spec: InputSpec) -> Tensor:
    """Bring images to a detector's size, then to its scale.

    Args:
        images: ``(B, C, H, W)``, in [-1, 1].
        spec: What the detector takes.

    Returns:
        ``(B, C, H, W)``; the very images if the detector takes them as they are.
    """
    if spec.image_px is not None and tuple(images.shape[2:]) != (spec.image_px, spec.image_px):
        size = (spec.image_px, spec.image_px)
        # Antialiased: a smaller picture has the mean of the pixels that it stands for.
        images = functional.interpolate(
            images, size=size, mode="bilinear", align_corners=False, antialias=True
        )
    if spec.scaling == "symmetric":
        return images
    images = images.add(1.0).div(2.0)
    if spec.scaling == "unit":
        return images
    centred = images - images.mean(dim=(1, 2, 3), keepdim=True)
    if spec.scaling == "contrast":
        scale = centred.abs().mean(dim=(1, 2, 3), keepdim=True)
    else:
        scale = torch.linalg.vector_norm(centred, dim=(1, 2, 3), keepdim=True)
        scale = scale / centred[0].numel() ** 0.5
    return centred / scale.clamp_min(_TINY)
