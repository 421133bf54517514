"""The four IDX files of MNIST and of sets in its format, gzipped or not."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agad.config import count_text
from agad.data.images import PARTS, Part, Source
from agad.data.readers.damage import naming_damage
from agad.data.readers.numbered import check_labels, numbered_classes, numbered_images
from agad.errors import DataError

_PREFIX: dict[Part, str] = {"train": "train", "test": "t10k"}
_MAX_BYTES = 2**30
"""Far above any data set in this format: a damaged header asks for no more memory."""

_UBYTE = 0x08
"""The only element type that the image files use."""


def read_idx(path: Path, class_names: tuple[str, ...] | None = None) -> Source:
    """Read a data set in MNIST's four files; its images may have any one size.

    Args:
        path: A folder with ``train-images-idx3-ubyte`` and its sisters, plain or as ``.gz``.
        class_names: In order of the label; None names the classes by their number.

    Raises:
        DataError: A file is missing, damaged, or does not fit the others.
    """
    pixels = {part: _read_images(path, part) for part in PARTS}
    labels = {part: _read_labels(path, part, len(pixels[part]), class_names) for part in PARTS}
    _check_one_size(path, pixels["train"], pixels["test"])
    return Source(
        class_names=class_names or numbered_classes(*labels.values()),
        parts={part: numbered_images(part, pixels[part], labels[part]) for part in PARTS},
    )


def _read_images(folder: Path, part: Part) -> NDArray[np.uint8]:
    file = _find(folder, f"{_PREFIX[part]}-images-idx3-ubyte")
    pixels = _read_values(file, num_axes=3)
    if not pixels.size:
        shape = " x ".join(map(str, pixels.shape))
        raise DataError(f"{file} declares {shape} pixels, but must hold at least one image.")
    return pixels[:, None]


def _read_labels(
    folder: Path, part: Part, num_images: int, class_names: tuple[str, ...] | None
) -> NDArray[np.int64]:
    file = _find(folder, f"{_PREFIX[part]}-labels-idx1-ubyte")
    labels = _read_values(file, num_axes=1)
    if len(labels) != num_images:
        raise DataError(
            f"{file} holds {count_text(len(labels), 'label')}, but must hold {num_images}, one "
            "for each image; "
            "take both files from one release."
        )
    return check_labels(file, labels, class_names)


def _check_one_size(folder: Path, train: NDArray[np.uint8], test: NDArray[np.uint8]) -> None:
    if train.shape[1:] == test.shape[1:]:
        return
    (train_rows, train_columns), (test_rows, test_columns) = train.shape[2:], test.shape[2:]
    raise DataError(
        f"{_find(folder, 't10k-images-idx3-ubyte')} holds images of {test_rows} x {test_columns} "
        f"pixels, but must hold {train_rows} x {train_columns} as in training; "
        "take all four files from one release."
    )


def _find(folder: Path, name: str) -> Path:
    for file in (folder / name, folder / f"{name}.gz"):
        with naming_damage(file):
            if file.is_file():
                return file
    raise DataError(
        f"{folder / name} (or .gz) is missing; put the four official IDX files into {folder}, "
        "or name another folder with --from."
    )


def _read_values(file: Path, num_axes: int) -> NDArray[np.uint8]:
    with naming_damage(file), gzip.open(file) if file.suffix == ".gz" else file.open("rb") as data:
        header = data.read(4 + 4 * num_axes)
        if len(header) < 4 + 4 * num_axes or header[:4] != bytes((0, 0, _UBYTE, num_axes)):
            raise DataError(
                f"{file} is no IDX file of bytes with {count_text(num_axes, 'axis', 'axes')}; "
                "download it again."
            )
        shape = struct.unpack(f">{num_axes}I", header[4:])
        size = math.prod(shape)
        if size > _MAX_BYTES:
            raise DataError(
                f"{file} declares {size} bytes of data, but must hold at most {_MAX_BYTES}; "
                "download it again."
            )
        # One byte more than declared is asked for, so that a file of any length is bounded.
        body = data.read(size + 1)
    if len(body) != size:
        raise DataError(
            f"{file} declares {size} bytes of data, but holds "
            f"{'more' if len(body) > size else len(body)}; download it again."
        )
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)
