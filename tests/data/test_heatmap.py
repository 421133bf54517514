"""Heat maps: their size, their parts and their scale."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from agad.data import FULL_SCALE, anomaly_overlay, heat_map


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("image_px", "tile"), [(16, 128), (32, 128), (64, 128), (128, 128)])
def test_a_heat_map_is_three_tiles_in_a_row(channels: int, image_px: int, tile: int) -> None:
    shape = (channels, image_px, image_px)
    data = heat_map(np.zeros(shape, np.uint8), np.zeros(shape, np.float32))
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (3 * tile + 4, tile))


@pytest.mark.parametrize(
    ("difference", "colour"),
    [
        (0.0, (0, 0, 0)),
        (FULL_SCALE / 3, (255, 0, 0)),
        (FULL_SCALE * 2 / 3, (255, 255, 0)),
        (FULL_SCALE, (255, 255, 255)),
        (2.0, (255, 255, 255)),
        (40.0, (255, 255, 255)),
    ],
)
def test_the_scale_is_the_same_for_every_picture(
    difference: float, colour: tuple[int, int, int]
) -> None:
    black = np.zeros((1, 128, 128), np.uint8)
    data = heat_map(black, np.full((1, 128, 128), difference - 1, np.float32))
    with Image.open(io.BytesIO(data)) as image:
        assert image.getpixel((383, 5)) == pytest.approx(colour, abs=1)


def test_the_difference_is_the_mean_over_the_channels() -> None:
    black = np.zeros((3, 128, 128), np.uint8)
    rebuilt = np.full((3, 128, 128), -1, np.float32)
    rebuilt[0] += FULL_SCALE
    with Image.open(io.BytesIO(heat_map(black, rebuilt))) as image:
        assert image.getpixel((383, 5)) == pytest.approx((255, 0, 0), abs=1)


def test_the_picture_stands_before_its_reconstruction() -> None:
    rng = np.random.default_rng(0)
    pixels, other = rng.integers(256, size=(2, 3, 128, 128), dtype=np.uint8)
    rebuilt = other.astype(np.float32) / 127.5 - 1
    with Image.open(io.BytesIO(heat_map(pixels, rebuilt))) as image:
        shown = np.asarray(image).transpose(2, 0, 1)
    assert (shown[:, :, :128] == pixels).all()
    assert (shown[:, :, 130:258] == other).all()


@pytest.mark.parametrize(
    ("value", "colour"),
    [
        (0.0, (100, 100, 100)),
        (3.0, (100, 100, 100)),
        (3.5, (143, 65, 65)),  # 35 % of seven eighths of red.
        (4.0, (208, 30, 30)),
        (8.0, (208, 208, 30)),
        (12.0, (208, 208, 208)),
        (99.0, (208, 208, 208)),
    ],
)
def test_an_overlay_is_clear_below_the_threshold_and_red_at_the_threshold(
    value: float, colour: tuple[int, int, int]
) -> None:
    grey = np.full((1, 224, 224), 100, np.uint8)
    data = anomaly_overlay(grey, np.full((224, 224), value, np.float32), threshold=4.0)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (2 * 224 + 2, 224))
        assert image.getpixel((5, 5)) == (100, 100, 100)
        assert image.getpixel((300, 5)) == pytest.approx(colour, abs=1)


def test_an_overlay_stands_beside_the_picture_in_its_colours() -> None:
    pixels = np.random.default_rng(0).integers(256, size=(3, 64, 64), dtype=np.uint8)
    with Image.open(
        io.BytesIO(anomaly_overlay(pixels, np.zeros((64, 64), np.float32), 1))
    ) as image:
        shown = np.asarray(image).transpose(2, 0, 1)
    assert (shown[:, ::2, :128:2] == pixels).all()
    assert (shown[0, ::2, 130::2] == np.rint(pixels.mean(axis=0))).all()
