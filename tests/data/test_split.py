"""Who is fitted, who validates, and that nobody does both."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agad.data import LabelPool, Split, SplitCounts, Task, draw_split
from agad.data.split import num_for_share
from agad.errors import ConfigError

_LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 100))
_PARTS = (
    "fit_normals",
    "fit_hidden",
    "fit_anomalies",
    "val_normals",
    "val_hidden",
    "val_anomalies",
)
_ONE_CLASS = Task(
    normal_classes=(3,),
    anomalous_classes=(0, 1, 2, 4, 5, 6, 7, 8, 9),
    labelled_classes=9,
    anomaly_ratio=0.2,
    pollution_ratio=0.1,
    num_val_anomalies=30,
    val_share=0.1,
)
_LEAVE_ONE_OUT = Task(
    normal_classes=(0, 1, 2, 4, 5, 6, 7, 8, 9),
    anomalous_classes=(3,),
    labelled_classes=1,
    anomaly_ratio=0.03,
    pollution_ratio=0.02,
    num_val_anomalies=30,
    val_share=0.1,
)
_BOTH = pytest.mark.parametrize(
    "task", [_ONE_CLASS, _LEAVE_ONE_OUT], ids=["one-class", "leave-one"]
)


def _lists(split: Split) -> dict[str, list[int]]:
    return {part: getattr(split, part).tolist() for part in _PARTS}


def _labels_in(split: Split, *parts: str) -> list[int]:
    return [int(_LABELS[index]) for part in parts for index in getattr(split, part)]


def _spread(labels: NDArray[np.int64], classes: tuple[int, ...]) -> int:
    """Most minus fewest images of some classes."""
    counts = [int((labels == label).sum()) for label in classes]
    return max(counts) - min(counts)


@pytest.mark.parametrize(
    ("num_others", "counts"),
    [(5000, [0, 50, 154, 263, 555, 1250]), (6000, [0, 60, 185, 315, 666, 1500])],
    ids=["cifar10", "mnist"],
)
def test_num_for_share_gives_the_papers_numbers(num_others: int, counts: list[int]) -> None:
    shares = [0.0, 0.01, 0.03, 0.05, 0.1, 0.2]
    assert [num_for_share(num_others, share) for share in shares] == counts


@pytest.mark.parametrize("text", ["0", "1e-05", "0.1", "0.2", "0.3", "0.5", "0.75", "0.99"])
@pytest.mark.parametrize("num_others", [2, 9, 107, 4500])
def test_num_for_share_is_the_most_that_stay_within_the_share(text: str, num_others: int) -> None:
    share = Fraction(text)
    num = num_for_share(num_others, float(text))
    assert Fraction(num, num_others + num) <= share < Fraction(num + 1, num_others + num + 1)


def test_draw_split_gives_the_counts_of_a_polluted_mnist_worked_out_by_hand() -> None:
    labels = np.repeat([0, 1, 2], [6667, 2000, 2000])
    task = Task(
        normal_classes=(0,),
        anomalous_classes=(1, 2),
        labelled_classes=1,
        anomaly_ratio=0.05,
        pollution_ratio=0.1,
        num_val_anomalies=100,
        val_share=0.1,
    )
    # 667 of 6,667 validate and 6,000 are fitted. 6000 * .1 / .9 = 666.7 hidden beside these and
    # 667 / 9 = 74.1 beside those; (6000 + 666) * .05 / .95 = 350.8 labelled.
    assert draw_split(labels, task, 0).counts == SplitCounts(
        num_fit_normals=6000,
        num_fit_hidden=666,
        num_fit_anomalies=350,
        num_val_normals=667,
        num_val_hidden=74,
        num_val_anomalies=100,
    )


@_BOTH
@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_draw_split_draws_no_image_twice(task: Task, seed: int) -> None:
    everyone = [
        index for part in _lists(draw_split(_LABELS, task, seed)).values() for index in part
    ]
    assert len(set(everyone)) == len(everyone)


@_BOTH
def test_draw_split_uses_every_normal_image(task: Task) -> None:
    split = draw_split(_LABELS, task, 0)
    used = set(split.fit_normals.tolist()) | set(split.val_normals.tolist())
    assert used == {index for index in range(1000) if _LABELS[index] in task.normal_classes}


@_BOTH
def test_draw_split_takes_anomalies_from_every_anomalous_class_alone(task: Task) -> None:
    split = draw_split(_LABELS, task, 0)
    for part in ("fit_hidden", "fit_anomalies", "val_anomalies"):
        assert set(_labels_in(split, part)) == set(task.anomalous_classes)


@_BOTH
def test_draw_split_returns_ascending_indices(task: Task) -> None:
    parts = _lists(draw_split(_LABELS, task, 0))
    assert parts == {part: sorted(indices) for part, indices in parts.items()}


@_BOTH
def test_draw_split_repeats_for_a_seed(task: Task) -> None:
    one, other = (draw_split(_LABELS.copy(), task, 5) for _ in range(2))
    assert _lists(one) == _lists(other)


@_BOTH
@pytest.mark.parametrize("part", _PARTS)
def test_draw_split_differs_for_another_seed(task: Task, part: str) -> None:
    draws = {tuple(getattr(draw_split(_LABELS, task, seed), part)) for seed in range(5)}
    assert len(draws) > 1


def test_draw_split_is_the_same_on_every_machine_and_in_every_version() -> None:
    labels = np.arange(30) % 3
    task = replace(
        _ONE_CLASS,
        normal_classes=(1,),
        anomalous_classes=(0, 2),
        labelled_classes=1,
        num_val_anomalies=3,
        val_share=0.3,
        pollution_ratio=0.25,
    )
    assert _lists(draw_split(labels, task, 7)) == {
        "fit_normals": [4, 7, 10, 13, 16, 19, 28],
        "fit_hidden": [12, 23],
        "fit_anomalies": [11, 14],
        "val_normals": [1, 22, 25],
        "val_hidden": [15],
        "val_anomalies": [2, 26, 29],
    }


@pytest.mark.parametrize(("val_share", "num_val"), [(0.1, 10), (0.25, 25), (0.001, 1), (0.98, 98)])
def test_draw_split_holds_out_a_share_of_the_normals_and_at_least_one(
    val_share: float, num_val: int
) -> None:
    split = draw_split(_LABELS, replace(_ONE_CLASS, val_share=val_share), 0)
    assert (len(split.val_normals), len(split.fit_normals)) == (num_val, 100 - num_val)


@pytest.mark.parametrize(("ratio", "num"), [(0.0, 0), (0.01, 1), (0.02, 2), (0.1, 11), (0.2, 25)])
def test_draw_split_counts_the_labelled_anomalies_on_all_unlabelled_images(
    ratio: float, num: int
) -> None:
    split = draw_split(_LABELS, replace(_ONE_CLASS, anomaly_ratio=ratio), 0)
    assert len(split.fit_normals) + len(split.fit_hidden) == 90 + 10
    assert len(split.fit_anomalies) == num


@pytest.mark.parametrize(
    ("ratio", "num_fit", "num_val"), [(0.0, 0, 0), (0.01, 0, 0), (0.1, 10, 1), (0.5, 90, 10)]
)
def test_draw_split_pollutes_validation_at_the_ratio_of_fitting(
    ratio: float, num_fit: int, num_val: int
) -> None:
    split = draw_split(_LABELS, replace(_ONE_CLASS, pollution_ratio=ratio), 0)
    assert (len(split.fit_hidden), len(split.val_hidden)) == (num_fit, num_val)


@_BOTH
@pytest.mark.parametrize("part", [part for part in _PARTS if part != "fit_anomalies"])
def test_draw_split_moves_no_other_part_with_the_anomaly_ratio(task: Task, part: str) -> None:
    ratios = (0.0, 0.01, 0.02, 0.04)
    splits = [draw_split(_LABELS, replace(task, anomaly_ratio=ratio), 0) for ratio in ratios]
    assert len({tuple(getattr(split, part)) for split in splits}) == 1


@_BOTH
@pytest.mark.parametrize("part", ["fit_normals", "val_normals", "val_anomalies"])
def test_draw_split_moves_no_normals_and_no_validation_anomalies_with_the_pollution_ratio(
    task: Task, part: str
) -> None:
    ratios = (0.0, 0.01, 0.02, 0.04)
    splits = [draw_split(_LABELS, replace(task, pollution_ratio=ratio), 0) for ratio in ratios]
    assert len({tuple(getattr(split, part)) for split in splits}) == 1


@pytest.mark.parametrize("seed", range(3))
def test_draw_split_nests_the_labelled_anomalies_of_a_lower_ratio_in_a_higher_one(
    seed: int,
) -> None:
    low, middle, high = (
        set(
            draw_split(
                _LABELS, replace(_ONE_CLASS, anomaly_ratio=ratio), seed
            ).fit_anomalies.tolist()
        )
        for ratio in (0.05, 0.2, 0.6)
    )
    assert low < middle < high


@pytest.mark.parametrize("num_val_anomalies", [1, 9, 30, 31, 500])
@pytest.mark.parametrize("seed", [0, 1])
def test_draw_split_draws_validation_anomalies_evenly_over_the_classes(
    num_val_anomalies: int, seed: int
) -> None:
    task = replace(_ONE_CLASS, num_val_anomalies=num_val_anomalies)
    split = draw_split(_LABELS, task, seed)
    assert len(split.val_anomalies) == num_val_anomalies
    assert _spread(_LABELS[split.val_anomalies], task.anomalous_classes) <= 1


@pytest.mark.parametrize("ratio", [0.05, 0.1, 0.2, 0.5, 0.8])
@pytest.mark.parametrize("part", ["fit_anomalies", "fit_hidden", "val_hidden"])
@pytest.mark.parametrize("seed", [0, 1])
def test_draw_split_draws_anomalies_to_fit_evenly_over_the_classes(
    ratio: float, part: str, seed: int
) -> None:
    field = {"fit_anomalies": "anomaly_ratio"}.get(part, "pollution_ratio")
    ratios: dict[str, Any] = {"anomaly_ratio": 0.0, "pollution_ratio": 0.0, field: ratio}
    task = replace(_ONE_CLASS, **ratios)
    split = draw_split(_LABELS, task, seed)
    assert _spread(_LABELS[getattr(split, part)], task.anomalous_classes) <= 1


def test_draw_split_takes_all_of_a_small_class_before_more_of_a_large_one() -> None:
    labels = np.repeat([0, 1, 2, 3], [50, 2, 40, 40])
    split = draw_split(labels, _small(num_val_anomalies=20, anomalous_classes=(1, 2, 3)), 0)
    assert np.bincount(labels[split.val_anomalies]).tolist() == [0, 2, 9, 9]


def test_draw_split_draws_the_labelled_classes_by_the_seed() -> None:
    task = replace(_ONE_CLASS, labelled_classes=2)
    pairs = {
        tuple(sorted(set(_labels_in(draw_split(_LABELS, task, seed), "val_anomalies"))))
        for seed in range(40)
    }
    assert {len(pair) for pair in pairs} == {2}
    assert len(pairs) > 20
    assert {label for pair in pairs for label in pair} == set(task.anomalous_classes)


@pytest.mark.parametrize("num_classes", [1, 2, 5, 9])
@pytest.mark.parametrize("seed", [0, 1])
def test_draw_split_labels_so_many_classes_for_fitting_and_validation(
    num_classes: int, seed: int
) -> None:
    task = replace(_ONE_CLASS, labelled_classes=num_classes)
    split = draw_split(_LABELS, task, seed)
    labelled = set(_labels_in(split, "fit_anomalies"))
    assert len(labelled) == num_classes
    assert set(_labels_in(split, "val_anomalies")) == labelled


def test_draw_split_labels_the_same_classes_at_every_ratio() -> None:
    task = replace(_ONE_CLASS, labelled_classes=3)
    changes: list[dict[str, Any]] = [
        {"anomaly_ratio": 0.5},
        {"pollution_ratio": 0.5},
        {"num_val_anomalies": 9},
    ]
    labelled = {
        tuple(
            sorted(set(_labels_in(draw_split(_LABELS, replace(task, **one), 0), "fit_anomalies")))
        )
        for one in changes
    }
    assert len(labelled) == 1


def test_draw_split_labels_the_classes_that_are_named() -> None:
    task = replace(_ONE_CLASS, labelled_classes=(2, 7))
    split = draw_split(_LABELS, task, 0)
    assert set(_labels_in(split, "fit_anomalies")) == {2, 7}
    assert set(_labels_in(split, "val_anomalies")) == {2, 7}


@pytest.mark.parametrize("labelled_classes", [1, (2, 7)], ids=["drawn", "named"])
def test_draw_split_hides_anomalies_of_all_classes_whatever_is_labelled(
    labelled_classes: int | tuple[int, ...],
) -> None:
    task = replace(_ONE_CLASS, labelled_classes=labelled_classes, pollution_ratio=0.5)
    split = draw_split(_LABELS, task, 0)
    assert set(_labels_in(split, "fit_hidden")) == set(task.anomalous_classes)
    assert set(_labels_in(split, "val_hidden")) == set(task.anomalous_classes)


def _random_task(rng: np.random.Generator) -> Task:
    order = [int(label) for label in rng.permutation(10)]
    num_normal = int(rng.choice([1, 2, 5, 9]))
    anomalous = tuple(sorted(order[num_normal:]))
    return Task(
        normal_classes=tuple(sorted(order[:num_normal])),
        anomalous_classes=anomalous,
        labelled_classes=int(rng.integers(1, len(anomalous) + 1)),
        anomaly_ratio=round(float(rng.uniform(0, 0.03)), 3),
        pollution_ratio=round(float(rng.uniform(0, 0.03)), 3),
        num_val_anomalies=int(rng.integers(1, 30)),
        val_share=float(rng.uniform(0.01, 0.5)),
    )


@pytest.mark.parametrize("seed", range(100))
def test_draw_split_keeps_its_promises_for_any_task(seed: int) -> None:
    task = _random_task(np.random.default_rng(seed))
    split = draw_split(_LABELS, task, seed)
    everyone = [index for part in _lists(split).values() for index in part]
    assert len(set(everyone)) == len(everyone)
    normal, hidden = ("fit_normals", "val_normals"), ("fit_hidden", "val_hidden")
    labelled = ("fit_anomalies", "val_anomalies")
    assert set(_labels_in(split, *normal)) == set(task.normal_classes)
    assert set(_labels_in(split, *hidden, *labelled)) <= set(task.anomalous_classes)
    assert isinstance(task.labelled_classes, int)
    assert len(set(_labels_in(split, *labelled))) <= task.labelled_classes
    assert len(split.val_anomalies) == task.num_val_anomalies
    gamma, pollution = Fraction(str(task.anomaly_ratio)), Fraction(str(task.pollution_ratio))
    counts = split.counts
    for num_hidden, num_normals in (
        (counts.num_fit_hidden, counts.num_fit_normals),
        (counts.num_val_hidden, counts.num_val_normals),
    ):
        assert _is_most(num_hidden, num_normals, pollution)
    num_unlabelled = counts.num_fit_normals + counts.num_fit_hidden
    assert _is_most(counts.num_fit_anomalies, num_unlabelled, gamma)


def _is_most(num: int, num_others: int, share: Fraction) -> bool:
    """Whether one image more would exceed the share."""
    return Fraction(num, num_others + num) <= share < Fraction(num + 1, num_others + num + 1)


def _small(**changes: Any) -> Task:  # noqa: ANN401
    """Return a task of normal class 0 of a small data set, without labelled or hidden images."""
    task = Task(
        normal_classes=(0,),
        anomalous_classes=(1, 2),
        labelled_classes=9,
        anomaly_ratio=0.0,
        pollution_ratio=0.0,
        num_val_anomalies=4,
        val_share=0.1,
    )
    return replace(task, **changes)


_FEW = np.repeat([0, 1, 2], [10, 6, 7])


def test_draw_split_can_use_up_all_anomalies() -> None:
    split = draw_split(_FEW, _small(anomaly_ratio=0.5), 0)
    used = [*split.fit_anomalies.tolist(), *split.val_anomalies.tolist()]
    assert sorted(used) == list(range(10, 23))


def test_draw_split_can_validate_with_all_anomalies_at_ratio_0() -> None:
    split = draw_split(_FEW, _small(num_val_anomalies=13), 0)
    assert split.val_anomalies.tolist() == list(range(10, 23))


def test_draw_split_rejects_an_anomaly_ratio_that_needs_more_anomalies_than_exist() -> None:
    message = (
        "cells.anomaly_ratio is 0.95, which needs 1900 anomalies of labelled classes beside the 30 "
        "for validation, but the training part has 859 left; use a ratio of at most 0.895, or a "
        "smaller selection.num_anomalies."
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        draw_split(_LABELS, replace(_ONE_CLASS, anomaly_ratio=0.95), 0)


def test_draw_split_counts_only_labelled_classes_for_the_anomaly_ratio() -> None:
    task = replace(_ONE_CLASS, labelled_classes=(0,), pollution_ratio=0.0, anomaly_ratio=0.5)
    with pytest.raises(
        ConfigError, match=r"needs 90 .* has 70 left; use a ratio of at most 0\.437"
    ):
        draw_split(_LABELS, task, 0)


def test_draw_split_rejects_a_pollution_ratio_that_needs_more_anomalies_than_exist() -> None:
    message = (
        "cells.pollution_ratio is 0.95, which needs 1900 anomalies beside the 30 labelled ones for "
        "validation, but the training part has 870 left; use a ratio of at most 0.896."
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        draw_split(_LABELS, replace(_ONE_CLASS, pollution_ratio=0.95), 0)


def _suggested(labels: NDArray[np.int64], task: Task) -> float:
    """Return the limit that the error for a task names."""
    with pytest.raises(ConfigError, match=r"use a ratio of at most 0\.\d+") as refused:
        draw_split(labels, task, 0)
    found = re.search(r"at most (0\.\d+)", str(refused.value))
    assert found is not None
    return float(found[1])


@pytest.mark.parametrize("field", ["anomaly_ratio", "pollution_ratio"])
@pytest.mark.parametrize(
    ("num_normals", "num_anomalies"), [(50, 99), (100, 900), (5000, 10_000), (1000, 1998)]
)
def test_draw_split_suggests_the_highest_ratio_that_works(
    field: str, num_normals: int, num_anomalies: int
) -> None:
    labels = np.repeat([0, 1], [num_normals, num_anomalies])
    limit = _suggested(labels, _small(anomalous_classes=(1,), **{field: 0.999}))
    split = draw_split(labels, _small(anomalous_classes=(1,), **{field: limit}), 0)
    assert len(split.fit_anomalies) + len(split.fit_hidden) > 0
    with pytest.raises(ConfigError, match=field):
        draw_split(labels, _small(anomalous_classes=(1,), **{field: limit + 0.01}), 0)


def test_draw_split_suggests_a_number_of_validation_anomalies_that_works() -> None:
    match = (
        r"^selection\.num_anomalies is 14, but the training part holds 13 anomalies of labelled "
        r"classes; use at most so many\.$"
    )
    with pytest.raises(ConfigError, match=match):
        draw_split(_FEW, _small(num_val_anomalies=14), 0)
    assert len(draw_split(_FEW, _small(num_val_anomalies=13), 0).val_anomalies) == 13


def test_draw_split_says_how_to_get_anomalies_where_training_has_none() -> None:
    labels = np.zeros(50, np.int64)  # As in MVTec AD, whose training part is normal alone.
    match = r"holds 0 anomalies of labelled classes; import it with --test-share, which leaves some"
    with pytest.raises(ConfigError, match=match):
        draw_split(labels, _small(), 0)


def test_draw_split_rejects_a_class_that_is_not_there() -> None:
    match = r"^normal class 10 has 0 training images, but needs 2 to fit .* choose another class"
    with pytest.raises(ConfigError, match=match):
        draw_split(_LABELS, replace(_ONE_CLASS, normal_classes=(10,)), 0)


def test_draw_split_rejects_a_share_that_leaves_less_than_two_to_fit() -> None:
    match = r"^normal class 3 has 100 training images, .* 99 to validate; .* selection\.val_share"
    with pytest.raises(ConfigError, match=match):
        draw_split(_LABELS, replace(_ONE_CLASS, val_share=0.99), 0)


_POLLUTED = replace(_ONE_CLASS, pollution_ratio=0.2)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("part", ["fit_normals", "fit_hidden", "fit_anomalies"])
def test_fewer_normals_and_the_anomalies_beside_them_are_among_more(part: str, seed: int) -> None:
    nums = (4, 20, 50, None)
    drawn = [
        set(getattr(draw_split(_LABELS, replace(_POLLUTED, num_normals=num), seed), part).tolist())
        for num in nums
    ]
    assert all(few < more for few, more in itertools.pairwise(drawn))


@pytest.mark.parametrize("part", ["val_normals", "val_hidden", "val_anomalies"])
def test_the_number_of_normals_changes_nothing_of_validation(part: str) -> None:
    splits = [draw_split(_LABELS, replace(_POLLUTED, num_normals=num), 3) for num in (2, 50, None)]
    assert len({tuple(getattr(split, part)) for split in splits}) == 1


def test_ratios_are_relative_to_the_normals_that_are_fitted() -> None:
    counts = draw_split(_LABELS, replace(_POLLUTED, num_normals=40), 0).counts
    # A fifth of 50 unlabelled images is hidden, and a fifth of 62 in all is labelled.
    assert (counts.num_fit_normals, counts.num_fit_hidden) == (40, 10)
    assert counts.num_fit_anomalies == 12


def test_draw_split_rejects_more_normals_than_the_fit_split_has() -> None:
    message = (
        "cells.num_normals holds 91, but the fit split has 90 normal images, beside the 10 that "
        "validate; use at most 90, or None for all."
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        draw_split(_LABELS, replace(_ONE_CLASS, num_normals=91), 0)


def test_a_task_names_for_its_key_only_what_differs_from_an_earlier_version() -> None:
    assert "num_normals" not in _ONE_CLASS.as_key()
    assert replace(_ONE_CLASS, num_normals=5).as_key() == _ONE_CLASS.as_key() | {"num_normals": 5}


_SEEDS = range(20)


def _of_budget(num: int, num_val: int, **changes: Any) -> Task:  # noqa: ANN401
    pool = LabelPool(num_anomalies=num, seed=changes.pop("study_seed", 0))
    values: dict[str, Any] = {"anomaly_ratio": 0.0, "num_val_anomalies": num_val, "pool": pool}
    return replace(_ONE_CLASS, **(values | changes))


def _labelled(task: Task, seed: int) -> set[int]:
    split = draw_split(_LABELS, task, seed)
    return {*split.fit_anomalies.tolist(), *split.val_anomalies.tolist()}


@pytest.mark.parametrize("num_val", [0, 15, 30])
@pytest.mark.parametrize("labelled", [9, 2, (2, 7)], ids=["all", "drawn", "named"])
def test_no_seed_uses_a_labelled_anomaly_outside_of_the_pool(num_val: int, labelled: Any) -> None:  # noqa: ANN401
    task = _of_budget(30, num_val, labelled_classes=labelled)
    used = [_labelled(task, seed) for seed in _SEEDS]
    assert len(set().union(*used)) == 30
    assert {len(one) for one in used} == {30}


@pytest.mark.parametrize("study_seed", range(5))
def test_a_smaller_pool_lies_inside_a_larger_one(study_seed: int) -> None:
    pools = [_labelled(_of_budget(n, n // 2, study_seed=study_seed), 7) for n in (2, 5, 10, 30)]
    assert all(small < large for small, large in itertools.pairwise(pools))


@pytest.mark.parametrize("num", [2, 3, 9, 10, 30, 31])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_pool_and_its_halves_are_even_over_the_classes(num: int, seed: int) -> None:
    split = draw_split(_LABELS, _of_budget(num, num // 2), seed)
    assert (len(split.fit_anomalies), len(split.val_anomalies)) == (num - num // 2, num // 2)
    whole = np.concatenate([split.fit_anomalies, split.val_anomalies])
    for part, most in ((whole, 1), (split.fit_anomalies, 1), (split.val_anomalies, 2)):
        assert _spread(_LABELS[part], _ONE_CLASS.anomalous_classes) <= most


def test_the_seed_of_a_trial_draws_who_of_the_pool_is_fitted() -> None:
    halves = {tuple(draw_split(_LABELS, _of_budget(10, 5), seed).fit_anomalies) for seed in _SEEDS}
    assert len(halves) > 10


def test_the_seed_of_the_study_draws_the_pool() -> None:
    pools = {tuple(sorted(_labelled(_of_budget(10, 5, study_seed=one), 0))) for one in range(5)}
    assert len(pools) == 5


@pytest.mark.parametrize("seed", _SEEDS)
def test_a_polluted_split_with_a_pool_draws_no_image_twice(seed: int) -> None:
    split = draw_split(_LABELS, _of_budget(30, 15, pollution_ratio=0.3), seed)
    everyone = [index for part in _lists(split).values() for index in part]
    assert len(set(everyone)) == len(everyone)
    assert len(split.fit_hidden) > 0


def test_a_pool_is_drawn_from_the_images_that_a_user_named() -> None:
    named = tuple(np.flatnonzero(np.isin(_LABELS, (2, 7)))[:20].tolist())
    pool = LabelPool(num_anomalies=20, seed=0, named=named)
    assert _labelled(_of_budget(20, 10, pool=pool), 4) == {*named}
    few = replace(pool, num_anomalies=5)
    assert _labelled(_of_budget(5, 2, pool=few), 4) < {*named}


def test_draw_split_rejects_a_budget_above_the_labelled_anomalies() -> None:
    message = (
        "cells.labels holds 201, but the training part holds 200 anomalies of labelled classes; "
        "use a budget of at most so many."
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        draw_split(_LABELS, _of_budget(201, 100, labelled_classes=(2, 7)), 0)


def test_a_pool_leaves_the_normals_of_a_split_as_they_are() -> None:
    ratio, budget = (draw_split(_LABELS, task, 3) for task in (_ONE_CLASS, _of_budget(10, 5)))
    for part in ("fit_normals", "val_normals"):
        assert getattr(ratio, part).tolist() == getattr(budget, part).tolist()


def test_the_ratio_of_a_pool_is_that_of_the_images_that_are_fitted() -> None:
    assert _of_budget(10, 5).ratio_of(95, 5) == 0.05
    assert _ONE_CLASS.ratio_of(95, 5) == 0.2
