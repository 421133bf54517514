"""Images and classes that have a number in their file, and no name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agad.data.images import Images, Part, SourceImages
from agad.errors import DataError

MAX_CLASSES = 1000
"""More classes are a mistake: row numbers, say, or a damaged file."""


def numbered_images(
    part: Part, pixels: NDArray[np.uint8], labels: NDArray[np.int64]
) -> SourceImages:
    """Name images by their place, such as ``train[17]``."""
    names = [f"{part}[{number}]" for number in range(len(labels))]
    return SourceImages(images=Images(pixels, labels), names=names)


def check_labels(
    file: Path, labels: NDArray[Any], class_names: Sequence[str] | None = None
) -> NDArray[np.int64]:
    """Return labels of any integer type in the type that ``Images`` holds.

    Raises:
        DataError: A label is negative, or beyond the classes (without names: ``MAX_CLASSES``).
    """
    num_classes = MAX_CLASSES if class_names is None else len(class_names)
    if not labels.size:
        raise DataError(f"{file} holds no label, but must hold at least one.")
    for label in (int(labels.min()), int(labels.max())):
        if not 0 <= label < num_classes:
            raise DataError(
                f"{file} holds the label {label}, but must hold labels of 0 to {num_classes - 1}; "
                "name every class, or download the file again."
            )
    return labels.astype(np.int64)


def numbered_classes(*labels: NDArray[np.int64]) -> tuple[str, ...]:
    """Name classes by their number, up to the highest label that occurs."""
    highest = max(int(of_part.max()) for of_part in labels)
    return tuple(str(number) for number in range(highest + 1))
