"""Images on the device, and the batches of an epoch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from agad.data import FitBatches, Subset, on_device
from agad.data.partfile import open_part, write_part

if TYPE_CHECKING:
    from tests.data.conftest import MakeSource

_CPU = torch.device("cpu")


def _greys(num_images: int) -> NDArray[np.uint8]:
    """Return 1 x 1 images: image i is grey i."""
    return np.arange(num_images, dtype=np.uint8).reshape(-1, 1, 1, 1)


def _subset(*indices: int) -> Subset:
    return on_device(_greys(256), np.array(indices, np.intp), _CPU)


def _batches(num_normals: int, num_anomalies: int) -> FitBatches:
    """Batches of 12 normals, greys from 0 up, and 4 anomalies, greys from 255 down."""
    return FitBatches(
        normals=_subset(*range(num_normals)),
        anomalies=_subset(*range(255, 255 - num_anomalies, -1)),
        num_normals=12,
        num_anomalies=4,
    )


def _levels(batch: Tensor) -> list[int]:
    return [round(value) for value in ((batch + 1) * 127.5).flatten().tolist()]


def test_take_maps_grey_levels_to_minus_1_to_1() -> None:
    taken = _subset(*range(256)).take(torch.arange(256))
    assert taken.dtype == torch.float32
    expected = torch.linspace(-1, 1, 256).view(-1, 1, 1, 1)
    torch.testing.assert_close(taken, expected, rtol=0, atol=1e-6)


def test_take_maps_black_to_exactly_minus_1_and_white_to_exactly_1() -> None:
    assert _subset(0, 255).take(torch.arange(2)).flatten().tolist() == [-1.0, 1.0]


def test_take_returns_the_images_at_places_of_the_subset() -> None:
    subset = _subset(40, 10, 30)
    assert _levels(subset.take(torch.tensor([2, 0, 0, 1]))) == [30, 40, 40, 10]


def test_take_returns_whole_images_with_their_channels() -> None:
    pixels = np.random.default_rng(0).integers(256, size=(9, 3, 4, 4), dtype=np.uint8)
    subset = on_device(pixels, np.array([7, 2], np.intp), _CPU)
    expected = pixels[[2, 7]].astype(np.float64) / 127.5 - 1
    torch.testing.assert_close(
        subset.take(torch.tensor([1, 0])), torch.from_numpy(expected).float(), rtol=0, atol=1e-6
    )


def test_take_leaves_the_images_unchanged() -> None:
    pixels = _greys(256)
    on_device(pixels, np.arange(256), _CPU).take(torch.arange(256)).fill_(7)
    np.testing.assert_array_equal(pixels, _greys(256))


def test_on_device_copies_nothing_on_the_cpu() -> None:
    pixels = _greys(256)
    subset = on_device(pixels, np.array([3, 5], np.intp), _CPU)
    assert subset.images.data_ptr() == pixels.ctypes.data
    assert subset.images.dtype == torch.uint8
    assert len(subset) == 2


def test_on_device_reads_the_mapped_file_itself(tmp_path: Path, make_source: MakeSource) -> None:
    source = make_source([(number, 0) for number in range(20)]).parts["train"]
    write_part(tmp_path / "part.arrow", source, 1)
    images = open_part(tmp_path / "part.arrow")
    subset = on_device(images.pixels, np.arange(5), _CPU)
    assert subset.images.data_ptr() == images.pixels.ctypes.data


def test_on_device_takes_these_images_alone_to_another_device() -> None:
    subset = on_device(_greys(256), np.array([3, 5, 9], np.intp), torch.device("meta"))
    assert subset.images.shape == (3, 1, 1, 1)
    assert subset.images.dtype == torch.uint8
    assert subset.images.device == subset.index.device == torch.device("meta")
    assert len(subset) == 3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_on_device_gives_the_images_of_the_cpu_on_a_gpu() -> None:
    indices = np.array([40, 10, 30], np.intp)
    chosen = torch.tensor([2, 0, 0, 1])
    subset = on_device(_greys(256), indices, torch.device("cuda"))
    assert _levels(subset.take(chosen.cuda()).cpu()) == [30, 40, 40, 10]


@pytest.mark.parametrize(("size", "sizes"), [(3, [3, 3, 1]), (7, [7]), (100, [7]), (1, [1] * 7)])
def test_batches_of_a_subset_hold_all_images_in_order(size: int, sizes: list[int]) -> None:
    batches = list(_subset(9, 8, 7, 1, 2, 3, 4).batches(size))
    assert [len(batch) for batch in batches] == sizes
    assert [grey for batch in batches for grey in _levels(batch)] == [9, 8, 7, 1, 2, 3, 4]


@pytest.mark.parametrize("num_normals", [2, 11, 12, 13, 24, 100])
def test_an_epoch_shows_every_normal_once(num_normals: int) -> None:
    epoch = _batches(num_normals, 10).epoch(np.random.default_rng(0))
    assert sorted(grey for batch, _ in epoch for grey in _levels(batch)) == [*range(num_normals)]


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
    known = {255 - place for place in range(num_anomalies)}
    for _, anomalies in _batches(100, num_anomalies).epoch(np.random.default_rng(0)):
        assert anomalies is not None
        levels = _levels(anomalies)
        assert len(levels) == 4
        assert set(levels) <= known


def test_batches_draw_anomalies_anew() -> None:
    epoch = _batches(100, 50).epoch(np.random.default_rng(0))
    draws = {tuple(_levels(anomalies)) for _, anomalies in epoch if anomalies is not None}
    assert len(draws) == 9


def test_batches_draw_each_anomaly_about_equally_often() -> None:
    batches, rng = _batches(100, 5), np.random.default_rng(0)
    drawn = [
        grey
        for _ in range(100)
        for _, anomalies in batches.epoch(rng)
        if anomalies is not None
        for grey in _levels(anomalies)
    ]
    counts = [drawn.count(grey) for grey in range(251, 256)]
    assert sum(counts) == 100 * 9 * 4
    assert all(abs(count - 720) < 120 for count in counts)  # Five standard deviations.


def test_batches_hold_none_where_there_are_no_anomalies() -> None:
    epoch = _batches(30, 0).epoch(np.random.default_rng(0))
    assert [anomalies for _, anomalies in epoch] == [None, None, None]


def _drawn(seed: int) -> list[list[int]]:
    epoch = _batches(100, 20).epoch(np.random.default_rng(seed))
    return [_levels(images) for both in epoch for images in both if images is not None]


def test_an_epoch_repeats_for_an_equal_generator() -> None:
    assert _drawn(3) == _drawn(3)


def test_an_epoch_differs_for_another_generator() -> None:
    assert _drawn(3) != _drawn(4)


def test_an_epoch_is_the_same_on_every_machine_and_in_every_version() -> None:
    epoch = _batches(14, 9).epoch(np.random.default_rng(5))
    assert [[_levels(images) for images in both if images is not None] for both in epoch] == [
        [[9, 3, 10, 1, 7, 13, 2], [254, 250, 249, 253]],
        [[4, 11, 6, 0, 12, 5, 8], [253, 252, 253, 247]],
    ]


def test_the_next_epoch_of_a_generator_has_another_order() -> None:
    batches, rng = _batches(100, 20), np.random.default_rng(0)
    first, second = ([_levels(batch) for batch, _ in batches.epoch(rng)] for _ in range(2))
    assert first != second
