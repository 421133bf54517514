"""A picture of some images of each class."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from agad.data.contact_sheet import contact_sheet
from agad.data.images import Images


def _images(labels: list[int], channels: int = 1, image_px: int = 16) -> Images:
    shape = (len(labels), channels, image_px, image_px)
    pixels = np.random.default_rng(0).integers(255, size=shape, dtype=np.uint8)
    return Images(pixels, np.array(labels, np.int64))


def _sheet(images: Images, *class_names: str) -> NDArray[np.uint8]:
    """Return the sheet's pixels, ``(height, width, 3)``."""
    png = contact_sheet(images, class_names)
    with Image.open(io.BytesIO(png)) as opened:
        assert (opened.format, opened.mode) == ("PNG", "RGB")
        return np.asarray(opened)


def _enlarged(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Return an image of ``(channels, height, width)`` as the sheet shows it."""
    colours = np.broadcast_to(image, (3, *image.shape[1:])).transpose(1, 2, 0)
    return np.kron(colours, np.ones((scale, scale, 1), np.uint8))


@pytest.mark.parametrize(
    ("image_px", "tile_px"), [(16, 48), (32, 64), (64, 64), (128, 128), (20, 60), (48, 48)]
)
@pytest.mark.parametrize("num_classes", [1, 2, 10])
def test_a_sheet_has_twelve_columns_and_a_row_a_class(
    image_px: int, tile_px: int, num_classes: int
) -> None:
    names = [str(label) for label in range(num_classes)]
    shape = _sheet(_images([0], image_px=image_px), *names).shape
    assert shape == (num_classes * (tile_px + 2 + 16), 12 * (tile_px + 2), 3)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_shows_each_image_at_its_place_enlarged_pixel_by_pixel(channels: int) -> None:
    images = _images([1, 0, 1, 0, 0], channels)
    sheet = _sheet(images, "good", "bad")
    for row, column, place in ((0, 0, 1), (0, 1, 3), (0, 2, 4), (1, 0, 0), (1, 1, 2)):
        top, left = row * 66 + 16, column * 50
        shown = sheet[top : top + 48, left : left + 48]
        np.testing.assert_array_equal(shown, _enlarged(images.pixels[place], 3))


def test_a_sheet_shows_large_images_as_they_are() -> None:
    images = _images([0], 3, 128)
    shown = _sheet(images, "good")[16 : 16 + 128, :128]
    np.testing.assert_array_equal(shown, _enlarged(images.pixels[0], 1))


def test_a_sheet_shows_the_first_twelve_images_of_a_class() -> None:
    images = _images([0] * 30)
    sheet = _sheet(images, "good")
    shown = sheet[16 : 16 + 48, 11 * 50 : 11 * 50 + 48]
    np.testing.assert_array_equal(shown, _enlarged(images.pixels[11], 3))


def test_a_sheet_leaves_the_row_of_a_class_without_images_white() -> None:
    sheet = _sheet(_images([0, 2]), "good", "absent", "bad")
    assert (sheet[66 + 16 : 2 * 66] == 255).all()
    assert (sheet[66 : 66 + 16] < 255).any()  # Its caption is there all the same.


def test_a_sheet_leaves_white_what_follows_the_last_image() -> None:
    sheet = _sheet(_images([0]), "good")
    assert (sheet[16:, 48:] == 255).all()


def test_a_sheet_captions_each_class() -> None:
    images = _images([0, 1])
    one, other = (_sheet(images, "good", name) for name in ("scratch", "hole"))
    assert (one[:66] == other[:66]).all()
    assert (one[66 : 66 + 16] != other[66 : 66 + 16]).any()


@pytest.mark.parametrize("name", ["", "é 汉 \U0001f600", "x" * 500])
def test_a_sheet_takes_a_class_of_any_name(name: str) -> None:
    assert _sheet(_images([0]), name).shape == (66, 600, 3)


def test_equal_images_give_an_equal_sheet() -> None:
    assert contact_sheet(_images([0, 1]), "ab") == contact_sheet(_images([0, 1]), "ab")
