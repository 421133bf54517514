"""A picture of some images of each class."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from agad.data.images import Images

if TYPE_CHECKING:
    from PIL import Image

_NUM_COLUMNS = 12
_GAP_PX = 2
_NAME_PX = 16
_MIN_TILE_PX = 48
"""Smaller images are enlarged by a whole number, pixel by pixel."""


def contact_sheet(images: Images, class_names: Sequence[str]) -> bytes:
    """Return a PNG of the first images of each class, a row a class under its label and name.

    Args:
        images: Of 1 or 3 channels.
        class_names: In order of the label.
    """
    # Imported here and below, so that a detector trains on batches without this package.
    from PIL import Image, ImageDraw, ImageFont

    image_px = images.pixels.shape[-1]
    scale = max(1, -(-_MIN_TILE_PX // image_px))
    tile = image_px * scale + _GAP_PX
    row = tile + _NAME_PX
    sheet = Image.new("RGB", (_NUM_COLUMNS * tile, len(class_names) * row), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=12)
    for label, name in enumerate(class_names):
        of_class = np.flatnonzero(images.labels == label)
        caption = f"{label} {name} ({len(of_class)})"
        draw.text((_GAP_PX, label * row), caption, fill="black", font=font)
        for column, place in enumerate(of_class[:_NUM_COLUMNS]):
            shown = _as_picture(images.pixels[place]).resize((image_px * scale,) * 2, 0)
            sheet.paste(shown, (column * tile, label * row + _NAME_PX))
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    return buffer.getvalue()


def _as_picture(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Image.Image:
    """Return an image of ``(channels, height, width)``."""
    from PIL import Image

    if len(pixels) == 1:
        return Image.fromarray(pixels[0])
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
