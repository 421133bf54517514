"""Images in memory, and what a data set is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Part: TypeAlias = Literal["train", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """What is known of a data set before any file is opened."""

    name: str
    class_names: tuple[str, ...]
    """Names in order of the label."""

    channels: int
    native_px: int
    """Height and width of the images as they are stored."""

    image_px: int
    """Height and width that the networks see: the next power of two, at least 16."""

    num_val_anomalies: int
    """Labelled validation anomalies where the study names no number."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width that the networks see."""
        return (self.channels, self.image_px, self.image_px)


@dataclass(frozen=True, slots=True)
class Images:
    """The images of one part of a data set."""

    pixels: NDArray[np.uint8]
    """Shape ``(num_images, channels, height, width)``, values 0 to 255."""

    labels: NDArray[np.int64]
    """Class of each image, shape ``(num_images,)``."""

    def fingerprint(self) -> str:
        """Return the SHA-256 of shape, pixels and labels, in hexadecimal."""
        digest = hashlib.sha256(repr(self.pixels.shape).encode())
        digest.update(self.pixels.tobytes())
        digest.update(self.labels.tobytes())
        return digest.hexdigest()
