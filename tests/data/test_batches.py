"""Resizing, scaling, and the batches of an epoch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from agad.data import FitBatches, load_images, normalise, to_device
from agad.data.images import Images

_CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Images:
    return load_images("digits", "train", tmp_path_factory.mktemp("data"))


def _weights(size: int, new_size: int) -> NDArray[np.float64]:
    """Bilinear weights, half-pixel centres, edges repeated; shape ``(new_size, size)``."""
    weights = np.zeros((new_size, size))
    for row in range(new_size):
        place = min(max((row + 0.5) * size / new_size - 0.5, 0.0), size - 1.0)
        left = int(place)
        right = min(left + 1, size - 1)
        weights[row, left] += 1 - (place - left)
        weights[row, right] += place - left
    return weights


def _resized(pixels: NDArray[np.uint8], new_size: int) -> NDArray[np.float64]:
    weights = _weights(pixels.shape[-1], new_size)
    return weights @ pixels.astype(np.float64) @ weights.T


def _batches(num_normals: int, num_anomalies: int, **sizes: int) -> FitBatches:
    """Batches of 1 x 1 images: normal i is grey i, anomaly i is grey 255 - i."""
    return FitBatches(
        normals=torch.arange(num_normals, dtype=torch.uint8).view(-1, 1, 1, 1),
        anomalies=(255 - torch.arange(num_anomalies, dtype=torch.uint8)).view(-1, 1, 1, 1),
        num_normals=sizes.get("normals", 12),
        num_anomalies=sizes.get("anomalies", 4),
    )


def _greys(batch: Tensor) -> list[int]:
    return [round(value) for value in ((batch + 1) * 127.5).flatten().tolist()]


@pytest.mark.parametrize(
    ("size", "new_size"), [(8, 16), (28, 32), (32, 16)], ids=["digits", "mnist", "smaller"]
)
def test_to_device_resizes_bilinearly(size: int, new_size: int) -> None:
    rng = np.random.default_rng(size)
    pixels = rng.integers(256, size=(20, 3, size, size), dtype=np.uint8)
    resized = to_device(pixels, new_size, _CPU)
    assert resized.shape == (20, 3, new_size, new_size)
    assert resized.dtype == torch.uint8
    assert np.abs(resized.numpy() - _resized(pixels, new_size)).max() <= 0.5 + 1e-3


def test_to_device_resizes_the_digits_to_what_the_networks_see(digits: Images) -> None:
    resized = to_device(digits.pixels, 16, _CPU)
    assert np.abs(resized.numpy() - _resized(digits.pixels, 16)).max() <= 1


def test_to_device_resizes_more_images_than_one_chunk_as_it_does_one() -> None:
    pixels = np.random.default_rng(0).integers(256, size=(5000, 1, 4, 4), dtype=np.uint8)
    resized = to_device(pixels, 8, _CPU)
    np.testing.assert_array_equal(resized[4990:], to_device(pixels[4990:], 8, _CPU))
    assert len(resized) == 5000


def test_to_device_leaves_images_of_the_right_size_as_they_are(digits: Images) -> None:
    np.testing.assert_array_equal(to_device(digits.pixels, 8, _CPU).numpy(), digits.pixels)


@pytest.mark.parametrize("image_px", [8, 16])
def test_to_device_takes_no_images(image_px: int) -> None:
    resized = to_device(np.zeros((0, 1, 8, 8), np.uint8), image_px, _CPU)
    assert resized.shape == (0, 1, image_px, image_px)
    assert resized.dtype == torch.uint8


def test_to_device_copies_the_pixels(digits: Images) -> None:
    before = digits.pixels.copy()
    to_device(digits.pixels, 8, _CPU).fill_(7)
    np.testing.assert_array_equal(digits.pixels, before)


def test_normalise_maps_grey_levels_to_minus_1_to_1() -> None:
    images = torch.arange(256, dtype=torch.uint8)
    scaled = normalise(images)
    assert scaled.dtype == torch.float32
    torch.testing.assert_close(scaled, torch.linspace(-1, 1, 256), rtol=0, atol=1e-6)
    assert (scaled.min().item(), scaled.max().item()) == (-1.0, 1.0)


def test_normalise_leaves_its_images_unchanged() -> None:
    images = torch.arange(256, dtype=torch.uint8)
    normalise(images)
    assert images.tolist() == list(range(256))


@pytest.mark.parametrize("num_normals", [2, 11, 12, 13, 24, 100])
def test_an_epoch_shows_every_normal_once(num_normals: int) -> None:
    batches = _batches(num_normals, 10)
    seen = [grey for batch, _ in batches.epoch(np.random.default_rng(0)) for grey in _greys(batch)]
    assert sorted(seen) == list(range(num_normals))


@pytest.mark.parametrize(
    ("num_normals", "sizes"),
    [(11, [11]), (12, [12]), (13, [7, 6]), (25, [9, 8, 8]), (100, [12, 11, 11, 11, 11] + [11] * 4)],
)
def test_an_epoch_spreads_the_normals_evenly_over_batches(
    num_normals: int, sizes: list[int]
) -> None:
    batches = _batches(num_normals, 10)
    lengths = [len(batch) for batch, _ in batches.epoch(np.random.default_rng(0))]
    assert lengths == sizes
    assert batches.num_batches == len(sizes)


@pytest.mark.parametrize("num_anomalies", [1, 3, 50], ids=["one", "fewer-than-drawn", "many"])
def test_every_batch_holds_the_number_of_anomalies_asked_for(num_anomalies: int) -> None:
    known = {255 - index for index in range(num_anomalies)}
    for _, anomalies in _batches(100, num_anomalies).epoch(np.random.default_rng(0)):
        assert anomalies is not None
        greys = _greys(anomalies)
        assert len(greys) == 4
        assert set(greys) <= known


def test_batches_draw_anomalies_anew() -> None:
    epoch = _batches(100, 50).epoch(np.random.default_rng(0))
    draws = {tuple(_greys(anomalies)) for _, anomalies in epoch if anomalies is not None}
    assert len(draws) == 9


def test_batches_hold_none_where_there_are_no_anomalies() -> None:
    epoch = _batches(30, 0).epoch(np.random.default_rng(0))
    assert [anomalies for _, anomalies in epoch] == [None, None, None]


def test_batches_are_within_minus_1_and_1(digits: Images) -> None:
    batches = FitBatches(
        normals=to_device(digits.pixels[:100], 16, _CPU),
        anomalies=to_device(digits.pixels[100:120], 16, _CPU),
        num_normals=48,
        num_anomalies=16,
    )
    for both in batches.epoch(np.random.default_rng(0)):
        for images in both:
            assert images is not None
            assert images.dtype == torch.float32
            assert images.shape[1:] == (1, 16, 16)
            assert -1 <= images.min() < images.max() <= 1


def _drawn(seed: int) -> list[list[int]]:
    epoch = _batches(100, 20).epoch(np.random.default_rng(seed))
    return [_greys(images) for both in epoch for images in both if images is not None]


def test_an_epoch_repeats_for_an_equal_generator() -> None:
    assert _drawn(3) == _drawn(3)


def test_an_epoch_differs_for_another_generator() -> None:
    assert _drawn(3) != _drawn(4)


def test_the_next_epoch_of_a_generator_has_another_order() -> None:
    batches, rng = _batches(100, 20), np.random.default_rng(0)
    first, second = ([_greys(batch) for batch, _ in batches.epoch(rng)] for _ in range(2))
    assert first != second
