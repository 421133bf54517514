"""The IDX files of MNIST, gzipped or not."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agad.data.images import Images, Part
from agad.errors import DataError

_PREFIX: dict[Part, str] = {"train": "train", "test": "t10k"}
_MAX_BYTES = 2**30
"""Far above any data set in this format: a damaged header asks for no more memory."""

_UBYTE = 0x08
"""The only element type that the image files use."""


def read_mnist(folder: Path, part: Part, px: int, num_classes: int) -> Images:
    """Return one part of a data set in MNIST's four files.

    Args:
        folder: Holds ``train-images-idx3-ubyte`` and its three sisters, plain or as ``.gz``.
        part: The training and the test images are separate files; only one is opened.
        px: Height and width that the images must have.
        num_classes: Labels must be below this.

    Raises:
        DataError: A file is missing, damaged, or not of that shape.
    """
    image_file, label_file = find_mnist(folder, part)
    pixels = _read_idx(image_file, num_axes=3)
    labels = _read_idx(label_file, num_axes=1)
    if pixels.shape[1:] != (px, px):
        raise DataError(
            f"{image_file} holds images of {pixels.shape[1:]}, but must be {px} x {px}."
        )
    if len(labels) != len(pixels):
        raise DataError(
            f"{label_file} holds {len(labels)} labels, but {image_file} {len(pixels)} images; "
            "take both from one release."
        )
    if len(labels) == 0 or labels.max() >= num_classes:
        raise DataError(
            f"{label_file} must hold labels of 0 to {num_classes - 1}, and at least one."
        )
    return Images(pixels[:, None], labels.astype(np.int64))


def find_mnist(folder: Path, part: Part) -> tuple[Path, Path]:
    """Return the files of the images and of their labels.

    Raises:
        DataError: One of them is missing.
    """
    prefix = _PREFIX[part]
    images = _find(folder, f"{prefix}-images-idx3-ubyte")
    return images, _find(folder, f"{prefix}-labels-idx1-ubyte")


def _find(folder: Path, name: str) -> Path:
    candidates = [folder / name, folder / f"{name}.gz"]
    for path in candidates:
        if path.is_file():
            return path
    raise DataError(
        f"{folder / name} (or .gz) is missing; put the four official MNIST files into {folder}, "
        "or name another folder with --data."
    )


def _read_idx(path: Path, num_axes: int) -> NDArray[np.uint8]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            header = file.read(4 + 4 * num_axes)
            if len(header) < 4 + 4 * num_axes or header[:4] != bytes((0, 0, _UBYTE, num_axes)):
                raise DataError(
                    f"{path} is no IDX file of bytes with {num_axes} axes; download it again."
                )
            shape = struct.unpack(f">{num_axes}I", header[4:])
            size = math.prod(shape)
            if size > _MAX_BYTES:
                raise DataError(
                    f"{path} declares {size} bytes of data, but must hold at most {_MAX_BYTES}; "
                    "download it again."
                )
            # One byte more than declared is asked for, so that a file of any length is bounded.
            body = file.read(size + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged ({error}); download it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error
    if len(body) != size:
        raise DataError(
            f"{path} declares {size} bytes of data, but holds "
            f"{'more' if len(body) > size else len(body)}; download it again."
        )
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)
