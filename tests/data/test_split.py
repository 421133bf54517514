"""Who is fitted, who validates, and that nobody does both."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from agad.data import OneClass, OneClassSplit, num_labelled_anomalies, one_class_split
from agad.errors import ConfigError

_LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 100))
_PARTS = ("fit_normals", "fit_anomalies", "val_normals", "val_anomalies")


def _protocol(
    anomaly_ratio: float = 0.2,
    *,
    normal_class: int = 3,
    num_val_anomalies: int = 30,
    val_share: float = 0.1,
) -> OneClass:
    return OneClass(
        normal_class=normal_class,
        anomaly_ratio=anomaly_ratio,
        num_val_anomalies=num_val_anomalies,
        val_share=val_share,
    )


def _lists(split: OneClassSplit) -> list[list[int]]:
    return [getattr(split, part).tolist() for part in _PARTS]


def _spread(labels: NDArray[np.int64]) -> int:
    """Most minus fewest images of the nine anomalous classes of ``_LABELS``."""
    counts = np.delete(np.bincount(labels, minlength=10), 3)
    return int(counts.max() - counts.min())


@pytest.mark.parametrize(
    ("num_normals", "ratios_to_counts"),
    [
        (5000, {0.0: 0, 0.01: 50, 0.03: 154, 0.05: 263, 0.1: 555, 0.2: 1250}),
        (6000, {0.0: 0, 0.01: 60, 0.03: 185, 0.05: 315, 0.1: 666, 0.2: 1500}),
    ],
    ids=["cifar10", "mnist"],
)
def test_num_labelled_anomalies_gives_the_papers_numbers(
    num_normals: int, ratios_to_counts: dict[float, int]
) -> None:
    counts = {ratio: num_labelled_anomalies(num_normals, ratio) for ratio in ratios_to_counts}
    assert counts == ratios_to_counts


@pytest.mark.parametrize("text", ["0", "1e-05", "0.1", "0.2", "0.3", "0.5", "0.75", "0.99"])
@pytest.mark.parametrize("num_normals", [2, 9, 107, 4500])
def test_num_labelled_anomalies_is_the_most_that_stay_within_the_ratio(
    text: str, num_normals: int
) -> None:
    gamma = Fraction(text)
    num = num_labelled_anomalies(num_normals, float(text))
    assert Fraction(num, num_normals + num) <= gamma < Fraction(num + 1, num_normals + num + 1)


@pytest.mark.parametrize("ratio", [0.0, 0.01, 0.2, 0.5])
@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_one_class_split_keeps_its_parts_disjoint(ratio: float, seed: int) -> None:
    parts = _lists(one_class_split(_LABELS, _protocol(ratio), seed))
    everyone = [index for part in parts for index in part]
    assert len(set(everyone)) == len(everyone)


def test_one_class_split_uses_every_normal_image_once() -> None:
    split = one_class_split(_LABELS, _protocol(), 0)
    normals = np.concatenate([split.fit_normals, split.val_normals])
    np.testing.assert_array_equal(np.sort(normals), np.flatnonzero(_LABELS == 3))


@pytest.mark.parametrize("part", ["fit_anomalies", "val_anomalies"])
def test_one_class_split_takes_anomalies_from_the_other_classes(part: str) -> None:
    split = one_class_split(_LABELS, _protocol(), 0)
    assert set(_LABELS[getattr(split, part)]) == set(range(10)) - {3}


def test_one_class_split_returns_ascending_indices() -> None:
    parts = _lists(one_class_split(_LABELS, _protocol(), 0))
    assert parts == [sorted(part) for part in parts]


@pytest.mark.parametrize(("val_share", "num_val"), [(0.1, 10), (0.25, 25), (0.001, 1), (0.98, 98)])
def test_one_class_split_holds_out_a_share_of_the_normals_and_at_least_one(
    val_share: float, num_val: int
) -> None:
    split = one_class_split(_LABELS, _protocol(0.0, val_share=val_share), 0)
    assert (len(split.val_normals), len(split.fit_normals)) == (num_val, 100 - num_val)


@pytest.mark.parametrize(("ratio", "num"), [(0.0, 0), (0.01, 0), (0.02, 1), (0.1, 10), (0.2, 22)])
def test_one_class_split_counts_the_ratio_on_the_fitted_normals(ratio: float, num: int) -> None:
    split = one_class_split(_LABELS, _protocol(ratio), 0)
    assert len(split.fit_anomalies) == num


def test_one_class_split_repeats_for_a_seed() -> None:
    one = one_class_split(_LABELS, _protocol(), 5)
    other = one_class_split(_LABELS.copy(), _protocol(), 5)
    assert _lists(one) == _lists(other)


@pytest.mark.parametrize("part", _PARTS)
def test_one_class_split_differs_for_another_seed(part: str) -> None:
    one, other = (one_class_split(_LABELS, _protocol(), seed) for seed in (5, 6))
    assert getattr(one, part).tolist() != getattr(other, part).tolist()


@pytest.mark.parametrize("part", ["val_normals", "val_anomalies", "fit_normals"])
def test_one_class_split_moves_no_other_part_with_the_ratio(part: str) -> None:
    draws = [one_class_split(_LABELS, _protocol(ratio), 0) for ratio in (0.0, 0.05, 0.2, 0.6)]
    assert len({tuple(getattr(split, part)) for split in draws}) == 1


def test_one_class_split_nests_the_anomalies_of_a_lower_ratio_in_a_higher_one() -> None:
    low, middle, high = (
        set(one_class_split(_LABELS, _protocol(ratio), 0).fit_anomalies.tolist())
        for ratio in (0.05, 0.2, 0.6)
    )
    assert low < middle < high


@pytest.mark.parametrize("num_val_anomalies", [1, 9, 30, 31, 500])
@pytest.mark.parametrize("seed", [0, 1])
def test_one_class_split_draws_validation_anomalies_evenly_over_the_classes(
    num_val_anomalies: int, seed: int
) -> None:
    protocol = _protocol(num_val_anomalies=num_val_anomalies)
    split = one_class_split(_LABELS, protocol, seed)
    assert len(split.val_anomalies) == num_val_anomalies
    assert _spread(_LABELS[split.val_anomalies]) <= 1


@pytest.mark.parametrize("ratio", [0.05, 0.1, 0.2, 0.5, 0.8])
@pytest.mark.parametrize("seed", [0, 1])
def test_one_class_split_draws_labelled_anomalies_evenly_over_the_classes(
    ratio: float, seed: int
) -> None:
    split = one_class_split(_LABELS, _protocol(ratio), seed)
    assert _spread(_LABELS[split.fit_anomalies]) <= 1


def test_one_class_split_takes_all_of_a_small_class_before_more_of_a_large_one() -> None:
    labels = np.repeat([0, 1, 2, 3], [50, 2, 40, 40])
    protocol = _protocol(0.0, normal_class=0, num_val_anomalies=20)
    split = one_class_split(labels, protocol, 0)
    assert np.bincount(labels[split.val_anomalies]).tolist() == [0, 2, 9, 9]


def test_one_class_split_can_use_up_all_anomalies() -> None:
    labels = np.repeat([0, 1, 2], [10, 6, 7])
    protocol = _protocol(0.5, normal_class=0, num_val_anomalies=4)
    split = one_class_split(labels, protocol, 0)
    used = np.concatenate([split.fit_anomalies, split.val_anomalies])
    assert sorted(used.tolist()) == list(range(10, 23))


def test_one_class_split_can_validate_with_all_anomalies_at_ratio_0() -> None:
    labels = np.repeat([0, 1, 2], [10, 6, 7])
    protocol = _protocol(0.0, normal_class=0, num_val_anomalies=13)
    assert len(one_class_split(labels, protocol, 0).val_anomalies) == 13


def test_one_class_split_rejects_a_ratio_that_needs_more_anomalies_than_exist() -> None:
    message = (
        "cells.anomaly_ratio is 0.95, which needs 1710 anomalies beside the 30 for validation, but "
        "the training images hold 900; use a ratio of at most 0.906, or a smaller "
        "selection.num_anomalies."
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        one_class_split(_LABELS, _protocol(0.95), 0)


def _suggested_ratio(labels: NDArray[np.int64], num_val_anomalies: int) -> float:
    protocol = _protocol(0.999, normal_class=0, num_val_anomalies=num_val_anomalies)
    with pytest.raises(ConfigError, match=r"at most 0\.\d+") as refused:
        one_class_split(labels, protocol, 0)
    found = re.search(r"at most (0\.\d+)", str(refused.value))
    assert found is not None
    return float(found[1])


@pytest.mark.parametrize(
    ("num_normals", "num_anomalies"), [(50, 99), (100, 900), (5000, 10_000), (1000, 1998)]
)
def test_one_class_split_suggests_a_ratio_that_works(num_normals: int, num_anomalies: int) -> None:
    labels = np.repeat([0, 1], [num_normals, num_anomalies])
    limit = _suggested_ratio(labels, num_val_anomalies=5)
    protocol = _protocol(limit, normal_class=0, num_val_anomalies=5)
    assert len(one_class_split(labels, protocol, 0).fit_anomalies) > 0


def test_one_class_split_rejects_more_validation_anomalies_than_exist() -> None:
    labels = np.repeat([0, 1, 2], [10, 6, 7])
    protocol = _protocol(0.0, normal_class=0, num_val_anomalies=14)
    match = r"selection\.num_anomalies is 14, but the training images hold 13 anomalies"
    with pytest.raises(ConfigError, match=match):
        one_class_split(labels, protocol, 0)


def test_one_class_split_rejects_a_class_that_is_not_there() -> None:
    match = r"normal class 10 has 0 training images, but needs 2 to fit .* choose another class"
    with pytest.raises(ConfigError, match=match):
        one_class_split(_LABELS, _protocol(normal_class=10), 0)


def test_one_class_split_rejects_a_share_that_leaves_less_than_two_to_fit() -> None:
    match = r"normal class 3 has 100 training images, .* 99 to validate; .* selection\.val_share"
    with pytest.raises(ConfigError, match=match):
        one_class_split(_LABELS, _protocol(val_share=0.99), 0)
