"""Heat maps: pictures of where a picture is anomalous, or differs from its reconstruction.

Axes: C channels, H rows, W columns (H = W).
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FULL_SCALE = 0.5
"""The mean difference that is drawn white: 64 of the 255 grey levels, in pixels of [-1, 1]."""

_MOST_OPACITY = 0.7
"""Opacity of a place at the threshold and above: the picture shows through."""

_GAP_PX = 2
_MIN_TILE_PX = 128
"""Smaller images are enlarged by a whole number, pixel by pixel."""


def heat_map(pixels: NDArray[np.uint8], rebuilt: NDArray[np.float32]) -> bytes:
    """Return a PNG: the picture, its reconstruction, and how far they are apart in each pixel.

    The third tile is the mean of |x - G(x)| over the channels: black at 0, then red and yellow,
    white at ``FULL_SCALE`` and above. The scale is the same for every picture.

    Args:
        pixels: The picture, shape ``(C, H, W)`` with C 1 or 3.
        rebuilt: Its reconstruction of the same shape, in [-1, 1]; clipped to this range when shown.
    """
    x = pixels.astype(np.float32) / 127.5 - 1
    shown = np.rint((np.clip(rebuilt, -1, 1) + 1) * 127.5).astype(np.uint8)
    heat = _coloured(np.abs(x - rebuilt).mean(axis=0) / FULL_SCALE)
    scale = _tile_scale(pixels)
    return _png([_enlarged(tile, scale) for tile in (pixels, shown, heat)])


def anomaly_overlay(
    pixels: NDArray[np.uint8], anomaly_map: NDArray[np.float32], threshold: float
) -> bytes:
    """Return a PNG: the picture, and the picture in grey with its anomalous places in colour.

    A place is clear up to three quarters of the threshold, red at the threshold, yellow at twice
    and white at three times the threshold and above. The scale is the same for every picture.

    Args:
        pixels: The picture, shape ``(C, H, W)`` with C 1 or 3.
        anomaly_map: How anomalous each pixel is, shape ``(H, W)``.
        threshold: The value above which a place is anomalous, above 0.
    """
    share = anomaly_map / np.float32(threshold)
    opacity = np.float32(_MOST_OPACITY) * np.clip(4 * share - 3, 0, 1)
    grey = pixels.mean(axis=0)
    drawn = grey * (1 - opacity) + _coloured(share / np.float32(3)) * opacity
    scale = _tile_scale(pixels)
    tiles = [_enlarged(tile, scale) for tile in (pixels, np.rint(drawn).astype(np.uint8))]
    return _png(tiles)


def _tile_scale(pixels: NDArray[np.uint8]) -> int:
    width: int = pixels.shape[-1]
    return max(1, -(-_MIN_TILE_PX // width))


def _png(tiles: Sequence[NDArray[np.uint8]]) -> bytes:
    """Return a PNG of tiles ``(3, H, W)`` beside each other."""
    # Imported here, so that a detector trains on batches without this package.
    from PIL import Image

    gap = np.full((3, tiles[0].shape[1], _GAP_PX), 255, np.uint8)
    first, *others = tiles
    row = np.concatenate([first, *(part for tile in others for part in (gap, tile))], axis=2)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(row.transpose(1, 2, 0))).save(buffer, format="PNG")
    return buffer.getvalue()


def _coloured(share: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Map shares ``(H, W)`` of the scale to black, red, yellow and white, ``(3, H, W)``."""
    planes = [np.clip(3 * share - channel, 0, 1) for channel in range(3)]
    return np.rint(np.stack(planes) * 255).astype(np.uint8)


def _enlarged(tile: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Return ``(C, H, W)`` as three channels, each pixel a square."""
    colour = np.broadcast_to(tile, (3, *tile.shape[1:]))
    return colour.repeat(scale, axis=1).repeat(scale, axis=2)
