"""Images in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Part: TypeAlias = Literal["train", "test"]

PARTS: tuple[Part, ...] = ("train", "test")


@dataclass(frozen=True, slots=True)
class Images:
    """The images of one part of a data set."""

    pixels: NDArray[np.uint8]
    """Shape ``(num_images, channels, height, width)``, values 0 to 255."""

    labels: NDArray[np.int64]
    """Class of each image, shape ``(num_images,)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceImages:
    """Images as a reader found them, each with a name for messages and for other tools."""

    images: Images
    names: Sequence[str]
    """Names such as ``train[17]``, or a file's path below the folder that was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The result of a reader: a data set before it is imported."""

    class_names: tuple[str, ...]
    """Names in order of the label."""

    parts: Mapping[Part, SourceImages]
    """``train`` and ``test``; or ``train`` alone with every image, if there is no official
    split."""

    ignored: tuple[str, ...] = ()
    """Files below the folder that are no images, and masks and folders that were left out."""

    notes: tuple[str, ...] = ()
    """Sentences that an import prints, such as the range of the pictures' shapes."""
