"""Bringing images to the size at which they are stored, through Pillow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from agad.errors import ConfigError

if TYPE_CHECKING:
    from PIL import Image

SIZES = (16, 32, 64, 128, 224, 256)
"""Heights and widths in pixels that pictures are stored at."""

UNASKED_SIZES = (16, 32, 64, 128)
"""The sizes at which pictures are stored without being asked for: every detector takes them."""

FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
"""The names of Pillow's filters, in lower case."""

Fit: TypeAlias = Literal["stretch", "pad", "crop"]
"""What an image that is not square becomes: stretched to a square, padded with black to a square,
or cut to the square in its middle."""

FITS: tuple[Fit, ...] = get_args(Fit)

_SAID: dict[Fit, str] = {
    "stretch": "",
    "pad": ", padded to a square with black",
    "crop": ", cut to the square in the middle",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """To which size, and how.

    Example:
        ``Resize(image_px=32, fit="pad")`` brings an image of 40 x 20 to 32 x 16, and puts 8 black
        rows above and below.
    """

    image_px: int
    """Height and width of the result, one of ``SIZES``."""

    filter: str = "bilinear"
    """Pillow's filter, one of ``FILTERS``; when it shrinks, it uses the whole footprint of a
    pixel."""

    fit: Fit = "stretch"
    """What an image that is not square becomes."""

    def __post_init__(self) -> None:
        if self.image_px not in SIZES:
            sizes = ", ".join(map(str, SIZES))
            raise ConfigError(f"--size is {self.image_px}, but must be one of: {sizes}.")
        if self.filter not in FILTERS:
            raise ConfigError(
                f"--filter is {self.filter!r}, but must be one of: {', '.join(FILTERS)}."
            )
        if self.fit not in FITS:
            raise ConfigError(f"--fit is {self.fit!r}, but must be one of: {', '.join(FITS)}.")

    def __str__(self) -> str:
        how = f"by Pillow's {self.filter}{_SAID[self.fit]}"
        return f"to {self.image_px} x {self.image_px} {how}"

    def image(self, image: Image.Image) -> Image.Image:
        """Return an 8-bit image of 1 or 3 channels at the size, unchanged if it has the size."""
        # Imported here and below, so that a detector trains on batches without this package.
        from PIL import Image, ImageOps

        size = (self.image_px, self.image_px)
        if image.size == size:
            return image
        method = Image.Resampling[self.filter.upper()]
        if self.fit == "pad":
            return ImageOps.pad(image, size, method)
        width, height = image.size
        if self.fit == "crop" and width != height:
            side = min(width, height)
            left, top = (width - side) // 2, (height - side) // 2
            image = image.crop((left, top, left + side, top + side))
        return image.resize(size, method)

    def pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return images ``(N, C, H, W)`` at the size, C 1 or 3."""
        from PIL import Image

        if pixels.shape[2:] == (self.image_px, self.image_px):
            return pixels
        num_images, channels = pixels.shape[:2]
        resized = np.empty((num_images, channels, self.image_px, self.image_px), np.uint8)
        for source, target in zip(pixels, resized, strict=True):
            # A plane at a time: Pillow resizes each channel by itself anyway.
            for plane, result in zip(source, target, strict=True):
                result[...] = self.image(Image.fromarray(plane))
        return resized
