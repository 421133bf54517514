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

from agad.config import count_text
from agad.data.readers.damage import naming_damage
from agad.data.readers.values import FULL_RANGE, ValueRange
from agad.data.resize import SIZES, UNASKED_SIZES, Resize
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

_MANY_PAGES = ("TIFF", "GIF", "WEBP", "PNG")
_TURNED_BY_A_QUARTER = (5, 6, 7, 8)
"""Values of the EXIF orientation that swap width and height."""

_ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of a picture before its pixels are wanted."""

    size: tuple[int, int]
    """Width and height, turned as the EXIF says."""

    mode: str
    """Pillow's."""

    pages: int = 1
    values: tuple[int, int] | None = None
    """Lowest and highest value of a grey picture of 16 bits."""

    brightest: int | None = None
    """Highest value of a colour picture of 16 bits, of which Pillow reads the upper 8."""


def check_mode(mode: str) -> None:
    """Refuse a mode that ``read_pictures`` does not have."""
    if mode not in _MODES:
        raise ConfigError(f"--mode is {mode!r}, but must be one of: {', '.join(_MODES)}.")


def read_headers(folder: Path, names: Sequence[str]) -> list[Header]:
    """Read what the pictures' files say of themselves; those of 16 bits are decoded too.

    Raises:
        DataError: An image is damaged, too large, or of a mode that has no 8-bit form.
    """
    with _strict():
        return _map(lambda index: _read_header(folder / names[index], is_surveyed=True), len(names))


def read_pictures(  # noqa: PLR0913  How pictures are read, a keyword each.
    folder: Path,
    names: Sequence[str],
    resize: Resize | None,
    mode: str,
    *,
    headers: Sequence[Header] | None = None,
    values: ValueRange = FULL_RANGE,
) -> NDArray[np.uint8]:
    """Decode images: turned as their EXIF says, without alpha, 16 bits scaled down to 8.

    Args:
        folder: Where the files are.
        names: Paths below it.
        resize: None takes images as they are, if all have one of ``UNASKED_SIZES``.
        mode: ``L``, ``RGB``, or ``auto``: ``L`` if every image is grey by its file's mode.
        headers: The pictures' headers, if they are read already.
        values: The values of 16-bit pictures that become 0 and 255.

    Returns:
        Shape ``(num_images, channels, height, width)``; on the disk if it is large.

    Raises:
        ConfigError: The images have several sizes, or a size that the networks do not take, and
            ``resize`` is None.
        DataError: An image is damaged, too large, or of a mode that has no 8-bit form.
    """
    with _strict():
        if headers is None:
            headers = _map(lambda index: _read_header(folder / names[index]), len(names))
        if mode == "auto":
            mode = "L" if all(header.mode in _GREY for header in headers) else "RGB"
        px = resize.image_px if resize else _native_px(folder, names, headers)
        pixels = _allocate((len(names), *_shape(px, mode)))

        def decode(index: int) -> None:
            file = folder / names[index]
            _decode(file, resize, lambda image: _convert(file, image, mode, values), pixels[index])

        _map(decode, len(names))
    return pixels


def grey_values(file: Path) -> NDArray[np.uint8]:
    """Decode one image to grey values of 0 to 255 at its own size, shape ``(height, width)``.

    Raises:
        DataError: The image is damaged, too large, or of a mode that has no 8-bit form.
    """
    with _strict(), _opened(file) as image:
        return np.asarray(_convert(file, image, "L", FULL_RANGE))


@contextmanager
def _strict() -> Iterator[None]:
    """Make an error of Pillow's one warning that is about more than metadata.

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


def read_in_batches(  # noqa: PLR0913  How pictures are read, a keyword each.
    folder: Path,
    names: Sequence[str],
    resize: Resize,
    mode: str,
    *,
    values: ValueRange = FULL_RANGE,
    skips_damaged: bool = False,
) -> Iterator[PictureBatch]:
    """Decode images as ``read_pictures`` does, in batches that fit any memory.

    Args:
        folder: Where the files are.
        names: Paths below it.
        resize: The size of the result.
        mode: ``L`` or ``RGB``.
        values: The values of 16-bit pictures that become 0 and 255.
        skips_damaged: Passes over an image that cannot be decoded, instead of raising.

    Raises:
        DataError: An image is damaged, too large, or of a mode that has no 8-bit form.
    """

    def read(chosen: Sequence[str]) -> NDArray[np.uint8]:
        return read_pictures(folder, chosen, resize, mode, values=values)

    for start in range(0, len(names), _BATCH):
        chosen = list(names[start : start + _BATCH])
        try:
            yield PictureBatch(chosen, read(chosen))
        except DataError:
            if not skips_damaged:
                raise
            empty = np.empty((0, *_shape(resize.image_px, mode)), np.uint8)
            yield _read_one_by_one(chosen, read, empty)


def _read_one_by_one(
    names: list[str],
    read_some: Callable[[Sequence[str]], NDArray[np.uint8]],
    empty: NDArray[np.uint8],
) -> PictureBatch:
    read: dict[str, NDArray[np.uint8]] = {}
    skipped: dict[str, str] = {}
    for name in names:
        try:
            read[name] = read_some([name])
        except DataError as error:
            skipped[name] = str(error)
    return PictureBatch([*read], np.concatenate([empty, *read.values()]), skipped)


def _map(function: Callable[[int], T], count: int) -> list[T]:
    """Call a function with 0, 1, ... in threads; the first error ends it."""

    def call(start: int) -> list[T]:
        return [function(index) for index in range(start, min(start + _CHUNK, count))]

    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        return [result for chunk in pool.map(call, range(0, count, _CHUNK)) for result in chunk]


def _shape(px: int, mode: str) -> tuple[int, int, int]:
    return (1 if mode == "L" else 3, px, px)


def _native_px(folder: Path, names: Sequence[str], headers: Sequence[Header]) -> int:
    examples: dict[tuple[int, int], str] = {}
    for header, name in zip(headers, names, strict=True):
        examples.setdefault(header.size, name)
    width, height = headers[0].size
    if len(examples) == 1 and width == height and width in UNASKED_SIZES:
        return width
    found = [f"{size[0]} x {size[1]} ({name})" for size, name in examples.items()]
    more = f" and {count_text(len(found) - 3, 'more size')}" if len(found) > 3 else ""
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


def _read_header(file: Path, *, is_surveyed: bool = False) -> Header:
    with _opened(file) as image:
        if image.mode not in (*_GREY, *_COLOUR):
            raise DataError(
                f"{file} has Pillow's mode {image.mode}, but must have one of: "
                f"{', '.join((*_GREY, *_COLOUR))}; convert it first."
            )
        if not is_surveyed:
            return Header(image.size, image.mode)
        size, mode = image.size, image.mode
        has_many = image.format in _MANY_PAGES
        # Files of 16 bits a colour have a mode of 8 bits; only the decoder's setting tells.
        has_16_bit_colours = mode in _COLOUR and ";16" in str(getattr(image, "tile", ""))
        # Before the pixels of 16 bits, whose decoding empties the list of tiles.
        pages = int(getattr(image, "n_frames", 1)) if has_many else 1
        if pages > 1:
            image.seek(0)
        values = _extent(image) if mode in _SIXTEEN_BIT else None
        brightest = _extent(image)[1] if has_16_bit_colours else None
        if image.getexif().get(_ORIENTATION) in _TURNED_BY_A_QUARTER:
            size = (size[1], size[0])
        return Header(size, mode, pages, values, brightest)


def _extent(image: Image.Image) -> tuple[int, int]:
    values = np.asarray(image)
    return int(values.min()), int(values.max())


def _decode(
    file: Path,
    resize: Resize | None,
    convert: Callable[[Image.Image], Image.Image],
    target: NDArray[np.uint8],
) -> None:
    from PIL import ImageOps

    with _opened(file) as image:
        ImageOps.exif_transpose(image, in_place=True)
        converted = convert(image)
        if resize:
            converted = resize.image(converted)
        values = np.asarray(converted)
    planes = values[None] if values.ndim == 2 else np.moveaxis(values, 2, 0)
    if planes.shape != target.shape:
        raise DataError(f"{file} changed while it was read; start again.")
    target[...] = planes


def _convert(file: Path, image: Image.Image, mode: str, values: ValueRange) -> Image.Image:
    """Return an image of mode ``L`` or ``RGB``; alpha is dropped, whatever it hides."""
    if image.mode in _SIXTEEN_BIT:
        image = _scale_down(file, image, values)
    # Converted through RGB: Pillow computes grey in another way for some of the modes.
    return _in_mode(_in_mode(image, "L" if image.mode in _GREY else "RGB"), mode)


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    """Convert an image unless it has the mode: Pillow would copy it, at up to 256 MB."""
    return image if image.mode == mode else image.convert(mode)


def _scale_down(file: Path, image: Image.Image, allowed: ValueRange) -> Image.Image:
    from PIL import Image

    values = np.asarray(image).astype(np.int64)
    low, high = int(values.min()), int(values.max())
    allowed.check(file, low, high)
    return Image.fromarray(allowed.to_bytes(values))
