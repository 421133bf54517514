"""The ``.npz`` files of MedMNIST, read without numpy's own loader, which trusts them."""

from __future__ import annotations

import io
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from agad.data.images import Part, Source, SourceImages
from agad.data.readers.damage import naming_damage
from agad.data.readers.numbered import check_labels, numbered_classes, numbered_images
from agad.errors import DataError

_SPLITS = ("train", "val", "test")
_MAX_ARRAY_BYTES = 4 * 2**30
_HEADER_BYTES = 4096
"""An official header has 128 bytes; numpy itself parses no header above 10,000."""

_CHUNK = 2**20


def read_medmnist(path: Path, class_names: tuple[str, ...] | None = None) -> Source:
    """Read a 2-D set of MedMNIST with one label an image, at any of its sizes.

    The official validation images join the training images, as their last ones: here every trial
    carves its own validation split out of training.

    Args:
        path: The ``.npz``, or a folder that holds one.
        class_names: In order of the label; None names the classes by their number.

    Raises:
        DataError: The file is missing, damaged, has several labels an image, or is a 3-D set.
    """
    file = _find(path)
    with naming_damage(file), zipfile.ZipFile(file) as archive:
        # Labels first: they are small, and tell a set of several labels an image.
        labels = {
            split: _read_labels(archive, file / f"{split}_labels.npy", class_names)
            for split in _SPLITS
        }
        pixels = {
            split: _read_pixels(archive, file / f"{split}_images.npy", len(labels[split]))
            for split in _SPLITS
        }
    for split in _SPLITS[1:]:
        _check_same_shape(file / f"{split}_images.npy", pixels[split], pixels["train"])
    parts: dict[Part, SourceImages] = {
        "train": numbered_images(
            "train",
            np.concatenate([pixels.pop("train"), pixels.pop("val")]),
            np.concatenate([labels["train"], labels["val"]]),
        ),
        "test": numbered_images("test", pixels["test"], labels["test"]),
    }
    return Source(class_names=class_names or numbered_classes(*labels.values()), parts=parts)


def _find(path: Path) -> Path:
    with naming_damage(path):
        if path.is_file():
            return path
        files = sorted(path.glob("*.npz")) if path.is_dir() else []
    if not files:
        raise DataError(
            f"{path} is no .npz file and holds none; download one from MedMNIST, and name it "
            "with --from."
        )
    if len(files) > 1:
        names = ", ".join(file.name for file in files[:20])
        raise DataError(
            f"{path} holds {len(files)} .npz files, but must hold one ({names}); "
            "name one of them with --from."
        )
    return files[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """The header of a ``.npy`` member."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]
    start: bytes
    """The first bytes of its values, which were read along with the header."""

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def _read_labels(
    archive: zipfile.ZipFile, member: Path, class_names: tuple[str, ...] | None
) -> NDArray[np.int64]:
    with naming_damage(member), _open(archive, member) as data:
        header = _read_header(data)
        _check_label_header(member, header)
        labels = _read_values(data, member, header).reshape(-1)
    return check_labels(member, labels, class_names)


def _check_label_header(member: Path, header: _Header) -> None:
    shape = header.shape
    if len(shape) == 2 and shape[1] > 1:
        raise DataError(
            f"{member} has {shape[1]} labels an image, but must have one: an image of several "
            "classes is neither normal nor anomalous; take another set."
        )
    if header.dtype.kind not in "iu" or shape not in (shape[:1], (*shape[:1], 1)) or not shape:
        raise DataError(
            f"{member} has the type {header.dtype} and the shape {shape}, but must have whole "
            "numbers and (N,) or (N, 1); download it again."
        )


def _read_pixels(archive: zipfile.ZipFile, member: Path, num_images: int) -> NDArray[np.uint8]:
    with naming_damage(member), _open(archive, member) as data:
        header = _read_header(data)
        _check_pixel_header(member, header, num_images)
        pixels = _read_values(data, member, header)
    return pixels[:, None] if pixels.ndim == 3 else np.moveaxis(pixels, 3, 1)


def _check_pixel_header(member: Path, header: _Header, num_images: int) -> None:
    shape = header.shape
    if len(shape) == 5 or (len(shape) == 4 and shape[3] != 3):
        raise DataError(
            f"{member} has the shape {shape}, which is a 3-D set, but must be a 2-D one: "
            "(N, H, W) or (N, H, W, 3)."
        )
    if header.dtype != np.uint8 or len(shape) not in (3, 4) or not math.prod(shape):
        raise DataError(
            f"{member} has the type {header.dtype} and the shape {shape}, but must have uint8 and "
            "(N, H, W) or (N, H, W, 3), none of them 0; download it again."
        )
    if shape[0] != num_images:
        raise DataError(
            f"{member} holds {shape[0]} images, but must hold {num_images}, one for each label; "
            "download it again."
        )


def _open(archive: zipfile.ZipFile, member: Path) -> IO[bytes]:
    try:
        info = archive.getinfo(member.name)
    except KeyError as error:
        names = ", ".join(archive.namelist()[:20]) or "nothing"
        raise DataError(
            f"{member} is missing: the file holds {names}; take the official file."
        ) from error
    # Python decompresses these two without a limit, whatever a caller asks for.
    if info.compress_type in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        raise DataError(
            f"{member} is compressed by bzip2 or LZMA, but must be deflated or stored, "
            "as in the official file."
        )
    return archive.open(info)


def _read_header(data: IO[bytes]) -> _Header:
    # A header may declare 4 GiB of itself: numpy reads all of it before it checks.
    start = io.BytesIO(data.read(_HEADER_BYTES))
    version = npy.read_magic(start)
    if version == (1, 0):
        shape, is_fortran, dtype = npy.read_array_header_1_0(start)
    elif version == (2, 0):
        shape, is_fortran, dtype = npy.read_array_header_2_0(start)
    else:
        raise ValueError(f"it is in version {version} of the format, but must be in (1, 0)")
    if any(length < 0 for length in shape):
        raise ValueError(f"its shape is {shape}")
    return _Header(shape=shape, is_fortran=is_fortran, dtype=dtype, start=start.read())


def _read_values(data: IO[bytes], member: Path, header: _Header) -> NDArray[Any]:
    """Read exactly what the header declares; its dtype has been checked to be a plain number's."""
    if header.num_bytes > _MAX_ARRAY_BYTES:
        raise DataError(
            f"{member} declares {header.num_bytes} bytes of data, but must hold at most "
            f"{_MAX_ARRAY_BYTES}; take a set of smaller images."
        )
    # The system gives memory only when it is written to: bytes that never come take none.
    values = np.empty(header.num_bytes, np.uint8)
    num_read = 0
    block = header.start
    while block and num_read + len(block) <= len(values):
        values[num_read : num_read + len(block)] = np.frombuffer(block, np.uint8)
        num_read += len(block)
        block = data.read(_CHUNK)
    if block or num_read < len(values):
        raise DataError(
            f"{member} declares {header.num_bytes} bytes of data, but holds "
            f"{'more' if block else num_read}; download it again."
        )
    order: Literal["F", "C"] = "F" if header.is_fortran else "C"
    return values.view(header.dtype).reshape(header.shape, order=order)


def _check_same_shape(member: Path, pixels: NDArray[np.uint8], expected: NDArray[np.uint8]) -> None:
    if pixels.shape[1:] != expected.shape[1:]:
        raise DataError(
            f"{member} holds images of {_describe(pixels)}, but must hold {_describe(expected)} "
            "as in training; download it again."
        )


def _describe(pixels: NDArray[np.uint8]) -> str:
    channels, height, width = pixels.shape[1:]
    return f"{height} x {width} pixels in {channels} channels"
