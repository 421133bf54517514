"""Image files, decoded by Pillow into one array."""

from __future__ import annotations

import math
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from agad.data.readers.damage import naming_damage
from agad.data.resize import SIZES, Resize
from agad.errors import ConfigError, DataError

if TYPE_CHECKING:
    from PIL import Image

T = TypeVar("T")

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".tif", ".tiff"),
    *(".webp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm"),
)
"""Endings of image names, in lower case."""

_FORMATS = ("PNG", "JPEG", "BMP", "DIB", "TIFF", "WEBP", "GIF", "PPM")
_MODES = ("auto", "L", "RGB")
_SIXTEEN_BIT = ("I", "I;16", "I;16L", "I;16B", "I;16N")
_GREY = ("1", "L", "LA", *_SIXTEEN_BIT)
_COLOUR = ("P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")

_MAX_PIXELS = 64 * 10**6
_MAX_FILE_BYTES = 8 * _MAX_PIXELS
"""Four channels of 16 bits, not compressed at all."""

_MAX_BYTES_IN_MEMORY = 256 * 2**20
"""A larger result is a temporary file without a name, which the system writes out as it needs."""

_NUM_THREADS = 4
_CHUNK = 64
"""Images of one task; a task for each image would keep a future for each."""

_BATCH = 256
"""Images decoded at once if not all are wanted in memory."""

_ADVICE = "replace or remove it"


@dataclass(frozen=True, slots=True)
class _Header:
    size: tuple[int, int]
    mode: str


def check_mode(mode: str) -> None:
    """Refuse a mode that ``read_pictures`` does not have."""
    if mode not in _MODES:
        raise ConfigError(f"--mode is {mode!r}, but must be one of: {', '.join(_MODES)}.")


def read_pictures(
    folder: Path, names: Sequence[str], resize: Resize | None, mode: str
) -> NDArray[np.uint8]:
    """Decode images: turned as their EXIF says, without alpha, 16 bits scaled down to 8.

    Args:
        folder: Where the files are.
        names: Paths below it.
        resize: None takes images as they are, if all have one size that the networks take.
        mode: ``L``, ``RGB``, or ``auto``: ``L`` if every image is grey by its file's mode.

    Returns:
        Shape ``(num_images, channels, height, width)``; on the disk if it is large.

    Raises:
        ConfigError: The images have several sizes, or a size that the networks do not take, and
            ``resize`` is None.
        DataError: An image is damaged, too large, or of a mode that has no 8-bit form.
    """
    with _strict():
        headers = _map(lambda index: _read_header(folder / names[index]), len(names))
        if mode == "auto":
            mode = "L" if all(header.mode in _GREY for header in headers) else "RGB"
        px = resize.image_px if resize else _native_px(folder, names, headers)
        pixels = _allocate((len(names), 1 if mode == "L" else 3, px, px))

        def decode(index: int) -> None:
            _decode(folder / names[index], resize, mode, pixels[index])

        _map(decode, len(names))
    return pixels


def grey_values(file: Path) -> NDArray[np.uint8]:
    """Decode one image to grey values of 0 to 255 at its own size, shape ``(height, width)``.

    Raises:
        DataError: The image is damaged, too large, or of a mode that has no 8-bit form.
    """
    with _strict(), _opened(file) as image:
        return np.asarray(_convert(file, image, "L"))


@contextmanager
def _strict() -> Iterator[None]:
    """Raise the one warning of Pillow's that is about more than metadata; ignore the others.

    For all threads at once: filters belong to the process.
    """
    # Imported here and below, so that a detector trains on batches without this package.
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


@dataclass(frozen=True, slots=True)
class PictureBatch:
    """Some images of a folder, decoded."""

    names: list[str]
    """Paths below the folder."""

    pixels: NDArray[np.uint8]
    """Shape ``(len(names), channels, height, width)``."""

    skipped: dict[str, str] = field(default_factory=dict)
    """Damaged images that were passed over, and what is wrong with each."""


def read_in_batches(
    folder: Path, names: Sequence[str], resize: Resize, mode: str, *, skips_damaged: bool = False
) -> Iterator[PictureBatch]:
    """Decode images as ``read_pictures`` does, in batches that fit any memory.

    Args:
        folder: Where the files are.
        names: Paths below it.
        resize: The size of the result.
        mode: ``L`` or ``RGB``.
        skips_damaged: Passes over an image that cannot be decoded, instead of raising.

    Raises:
        DataError: An image is damaged, too large, or of a mode that has no 8-bit form.
    """
    for start in range(0, len(names), _BATCH):
        chosen = list(names[start : start + _BATCH])
        try:
            yield PictureBatch(chosen, read_pictures(folder, chosen, resize, mode))
        except DataError:
            if not skips_damaged:
                raise
            yield _read_one_by_one(folder, chosen, resize, mode)


def _read_one_by_one(folder: Path, names: list[str], resize: Resize, mode: str) -> PictureBatch:
    read: dict[str, NDArray[np.uint8]] = {}
    skipped: dict[str, str] = {}
    for name in names:
        try:
            read[name] = read_pictures(folder, [name], resize, mode)
        except DataError as error:
            skipped[name] = str(error)
    empty = np.empty((0, 1 if mode == "L" else 3, resize.image_px, resize.image_px), np.uint8)
    return PictureBatch([*read], np.concatenate([empty, *read.values()]), skipped)


def _map(function: Callable[[int], T], count: int) -> list[T]:
    """Call a function with 0, 1, ... in threads; the first error ends it."""

    def call(start: int) -> list[T]:
        return [function(index) for index in range(start, min(start + _CHUNK, count))]

    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        return [result for chunk in pool.map(call, range(0, count, _CHUNK)) for result in chunk]


def _native_px(folder: Path, names: Sequence[str], headers: Sequence[_Header]) -> int:
    examples: dict[tuple[int, int], str] = {}
    for header, name in zip(headers, names, strict=True):
        examples.setdefault(header.size, name)
    width, height = headers[0].size
    if len(examples) == 1 and width == height and width in SIZES:
        return width
    found = [f"{size[0]} x {size[1]} ({name})" for size, name in examples.items()]
    more = f" and {len(found) - 3} more sizes" if len(found) > 3 else ""
    raise ConfigError(
        f"--size is missing, but must be given for images of {', '.join(found[:3])}{more} in "
        f"{folder}; give --size N, one of {', '.join(map(str, SIZES))}."
    )


def _allocate(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    num_bytes = math.prod(shape)
    if num_bytes <= _MAX_BYTES_IN_MEMORY:
        return np.empty(shape, np.uint8)
    try:
        with tempfile.TemporaryFile() as file:
            # A full disk is an error here; later, in the middle of a write, it ends the process.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, num_bytes)
            return np.memmap(file, np.uint8, "w+", shape=shape)
    except OSError as error:
        raise DataError(
            f"the images take {num_bytes} bytes, but {tempfile.gettempdir()} does not hold them "
            f"({error.strerror}); name a larger folder in TMPDIR, or choose a smaller --size."
        ) from error


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    """Open an image of a sane size, not yet decoded; say what is wrong with any other."""
    from PIL import Image, UnidentifiedImageError

    with naming_damage(file, _ADVICE):
        num_bytes = file.stat().st_size
        # A pipe would keep its reader waiting for ever.
        if not file.is_file():
            raise DataError(f"{file} is no regular file, but must be an image; remove it.")
        if num_bytes > _MAX_FILE_BYTES:
            raise DataError(
                f"{file} has {num_bytes} bytes, but must have at most {_MAX_FILE_BYTES}; {_ADVICE}."
            )
        try:
            with Image.open(file, formats=_FORMATS) as image:
                _check_num_pixels(file, image.size)
                yield image
        except UnidentifiedImageError as error:
            raise DataError(
                f"{file} is no image, but must be one of: {', '.join(_FORMATS)}; {_ADVICE}."
            ) from error
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise DataError(
                f"{file} declares far more pixels than {_MAX_PIXELS}, the most allowed; {_ADVICE}."
            ) from error


def _check_num_pixels(file: Path, size: tuple[int, int]) -> None:
    width, height = size
    if width * height > _MAX_PIXELS:
        raise DataError(
            f"{file} has {width} x {height} pixels, but must have at most {_MAX_PIXELS}; {_ADVICE}."
        )


def _read_header(file: Path) -> _Header:
    with _opened(file) as image:
        if image.mode not in (*_GREY, *_COLOUR):
            raise DataError(
                f"{file} has Pillow's mode {image.mode}, but must have one of: "
                f"{', '.join((*_GREY, *_COLOUR))}; convert it first."
            )
        return _Header(image.size, image.mode)


def _decode(file: Path, resize: Resize | None, mode: str, target: NDArray[np.uint8]) -> None:
    from PIL import ImageOps

    with _opened(file) as image:
        ImageOps.exif_transpose(image, in_place=True)
        converted = _convert(file, image, mode)
        if resize:
            converted = resize.image(converted)
        values = np.asarray(converted)
    planes = values[None] if mode == "L" else np.moveaxis(values, 2, 0)
    if planes.shape != target.shape:
        raise DataError(f"{file} changed while it was read; start again.")
    target[...] = planes


def _convert(file: Path, image: Image.Image, mode: str) -> Image.Image:
    """Return an image of mode ``L`` or ``RGB``; alpha is dropped, whatever it hides."""
    if image.mode in _SIXTEEN_BIT:
        image = _scale_down(file, image)
    # Converted through RGB: Pillow computes grey in another way for some of the modes.
    return _in_mode(_in_mode(image, "L" if image.mode in _GREY else "RGB"), mode)


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    """Convert an image unless it has the mode: Pillow would copy it, at up to 256 MB."""
    return image if image.mode == mode else image.convert(mode)


def _scale_down(file: Path, image: Image.Image) -> Image.Image:
    from PIL import Image

    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise DataError(
            f"{file} has values of {values.min()} to {values.max()}, but must have 0 to 65535; "
            "convert it first."
        )
    # Rounded to the nearest: 65535 / 255 is 257, an odd number, so there is no tie.
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))
