"""The split of the digits into a training and a test part."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits  # type: ignore[import-untyped]

from agad.data.digits import choose_test, read_digits
from agad.data.images import Images


@pytest.fixture(scope="module")
def train() -> Images:
    return read_digits("train")


@pytest.fixture(scope="module")
def test() -> Images:
    return read_digits("test")


def _hashes(pixels: NDArray[np.uint8]) -> list[str]:
    return [hashlib.sha256(image.tobytes()).hexdigest() for image in pixels]


def test_read_digits_returns_every_digit_in_one_of_two_parts(train: Images, test: Images) -> None:
    bunch = load_digits()
    expected = np.rint(bunch.images * 255 / 16).astype(np.uint8)
    both = [*zip(_hashes(train.pixels), train.labels.tolist(), strict=True)]
    both += zip(_hashes(test.pixels), test.labels.tolist(), strict=True)
    assert len(both) == 1797
    assert Counter(both) == Counter(zip(_hashes(expected), bunch.target.tolist(), strict=True))


def test_read_digits_keeps_the_parts_disjoint(train: Images, test: Images) -> None:
    assert set(_hashes(train.pixels)).isdisjoint(_hashes(test.pixels))


def test_read_digits_tests_a_third_of_each_class(train: Images, test: Images) -> None:
    num_train, num_test = np.bincount(train.labels), np.bincount(test.labels)
    assert num_test.tolist() == ((num_train + num_test) // 3).tolist()


def test_read_digits_scales_pixels_to_0_to_255(train: Images) -> None:
    assert train.pixels.shape[1:] == (1, 8, 8)
    assert train.pixels.dtype == np.uint8
    assert train.labels.dtype == np.int64
    assert np.unique(train.pixels).tolist() == [round(level * 255 / 16) for level in range(17)]


def test_choose_test_does_not_depend_on_the_order_of_the_images() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(256, size=(90, 1, 2, 2), dtype=np.uint8)
    labels = rng.integers(3, size=90)
    order = rng.permutation(90)
    chosen = choose_test(pixels, labels)
    np.testing.assert_array_equal(choose_test(pixels[order], labels[order]), chosen[order])


def test_choose_test_marks_a_third_of_each_class() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 4, 7], [30, 9, 100])
    pixels = rng.integers(256, size=(139, 1, 4, 4), dtype=np.uint8)
    is_test = choose_test(pixels, labels)
    assert [int(is_test[labels == label].sum()) for label in (0, 4, 7)] == [10, 3, 33]


@pytest.mark.parametrize("copies", [2, 3, 20])
def test_choose_test_keeps_equal_images_of_a_class_on_one_side(copies: int) -> None:
    rng = np.random.default_rng(copies)
    pixels = rng.integers(256, size=(20, 1, 2, 2), dtype=np.uint8)
    repeated = np.repeat(pixels, copies, axis=0)
    is_test = choose_test(repeated, np.zeros(len(repeated), np.int64))
    per_image = is_test.reshape(20, copies)
    assert np.all(per_image == per_image[:, :1])
    assert 0 < per_image[:, 0].sum() <= 7


@pytest.mark.parametrize("seed", range(4))
def test_choose_test_keeps_equal_images_of_two_classes_on_one_side(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shared = rng.integers(256, size=(40, 1, 2, 2), dtype=np.uint8)
    others = rng.integers(256, size=(60, 1, 2, 2), dtype=np.uint8)
    pixels = np.concatenate([shared, shared, others])
    labels = np.repeat([0, 1, 1], [40, 40, 60])
    is_test = choose_test(pixels, labels)
    np.testing.assert_array_equal(is_test[:40], is_test[40:80])


def test_choose_test_takes_no_test_image_from_a_class_of_two() -> None:
    pixels = np.arange(2, dtype=np.uint8).reshape(2, 1, 1, 1)
    assert not choose_test(pixels, np.zeros(2, np.int64)).any()
