"""Scikit-learn's digits."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits  # type: ignore[import-untyped]

from agad.data.images import Source
from agad.data.readers import read_digits


@pytest.fixture(scope="module")
def source() -> Source:
    return read_digits()


def test_read_digits_returns_every_digit_in_the_training_part_alone(source: Source) -> None:
    bunch = load_digits()
    assert list(source.parts) == ["train"]
    images = source.parts["train"].images
    expected = np.rint(bunch.images * 255 / 16).astype(np.uint8)[:, None]
    np.testing.assert_array_equal(images.pixels, expected)
    np.testing.assert_array_equal(images.labels, bunch.target)
    assert images.pixels.shape == (1797, 1, 8, 8)


def test_read_digits_scales_pixels_to_0_to_255(source: Source) -> None:
    images = source.parts["train"].images
    assert images.pixels.dtype == np.uint8
    assert images.labels.dtype == np.int64
    assert np.unique(images.pixels).tolist() == [round(level * 255 / 16) for level in range(17)]


def test_read_digits_names_classes_and_images_by_their_number(source: Source) -> None:
    assert source.class_names == tuple("0123456789")
    assert source.parts["train"].names[1796] == "train[1796]"
    assert source.ignored == ()
