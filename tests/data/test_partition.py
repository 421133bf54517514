"""A training part of distinct images, none of which is in the test part."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

from agad.data.images import SourceImages
from agad.data.manifest import Dropped
from agad.data.partition import Partition, TestChoice, partition, pixel_hashes
from agad.errors import ConfigError, DataError

if TYPE_CHECKING:
    from tests.data.conftest import MakeSource, Numbered, NumbersOf

_DISTINCT = [(number, number % 3) for number in range(30)]
_HALF = TestChoice(share=0.5)


def _pairs(part: SourceImages, numbers_of: NumbersOf) -> list[tuple[int, int]]:
    return list(zip(numbers_of(part.images.pixels), part.images.labels.tolist(), strict=True))


def _digests(part: SourceImages) -> list[str]:
    return [hashlib.md5(image.tobytes()).hexdigest() for image in part.images.pixels]


def test_pixel_hashes_are_the_sha256_of_each_image(make_source: MakeSource) -> None:
    pixels = make_source([(7, 0), (8, 0), (7, 1)], channels=3).parts["train"].images.pixels
    digests = [hashlib.sha256(image.tobytes()).hexdigest().encode() for image in pixels]
    assert pixel_hashes(pixels).tolist() == digests


def test_pixel_hashes_read_images_in_any_memory_order() -> None:
    pixels = np.random.default_rng(0).integers(256, size=(4, 16, 16, 3), dtype=np.uint8)
    turned = pixels.transpose(0, 3, 1, 2)
    assert pixel_hashes(turned).tolist() == pixel_hashes(turned.copy()).tolist()


def test_partition_keeps_an_official_split(make_source: MakeSource, numbers_of: NumbersOf) -> None:
    test = [(100, 0), (101, 1), (102, 2)]
    parts = partition(make_source(_DISTINCT, test), None, keeps_duplicates_out=False)
    assert _pairs(parts.train, numbers_of) == _DISTINCT
    assert _pairs(parts.test, numbers_of) == test
    assert (parts.test_split, parts.dropped) == ("official", ())


def test_partition_keeps_each_image_with_its_name(make_source: MakeSource) -> None:
    parts = partition(
        make_source([(3, 0), (1, 1), (3, 0), (2, 1)], [(9, 0)]), None, keeps_duplicates_out=False
    )
    assert parts.train.names == ["train[0]", "train[1]", "train[3]"]
    assert parts.test.names == ["test[0]"]


def test_partition_chooses_a_third_where_there_is_no_official_split(
    make_source: MakeSource,
) -> None:
    parts = partition(make_source(_DISTINCT), None, keeps_duplicates_out=False)
    assert np.bincount(parts.test.images.labels).tolist() == [3, 3, 3]
    assert parts.test_split == "0.3333 of each class by pixel hash, seed 0"


def test_partition_chooses_from_both_parts_where_a_choice_is_asked_for(
    make_source: MakeSource, numbers_of: NumbersOf
) -> None:
    source = make_source(_DISTINCT[:20], _DISTINCT[20:])
    parts = partition(source, _HALF, keeps_duplicates_out=False)
    together = _pairs(parts.train, numbers_of) + _pairs(parts.test, numbers_of)
    assert sorted(together) == sorted(_DISTINCT)
    assert np.bincount(parts.test.images.labels).tolist() == [5, 5, 5]
    assert parts.test_split == "0.5 of each class by pixel hash, seed 0"
    assert {name[:5] for name in parts.test.names} == {"train", "test["}


def _chosen(
    numbers_of: NumbersOf, make_source: MakeSource, images: Numbered, choice: TestChoice
) -> list[int]:
    parts = partition(make_source(images), choice, keeps_duplicates_out=True)
    return sorted(set(numbers_of(parts.test.images.pixels)))


@pytest.mark.parametrize(
    ("seed", "chosen"),
    [(0, [1, 3, 4, 5, 6, 11]), (1, [1, 5, 6, 9, 10, 11]), (2**40, [0, 2, 4, 5, 7, 9])],
)
def test_a_chosen_test_part_is_the_same_on_every_machine_and_in_every_version(
    make_source: MakeSource, numbers_of: NumbersOf, seed: int, chosen: list[int]
) -> None:
    choice = TestChoice(share=0.4, seed=seed)
    assert _chosen(numbers_of, make_source, _DISTINCT[:15], choice) == chosen


@pytest.mark.parametrize("seed", range(5))
def test_a_chosen_test_part_does_not_depend_on_the_order_of_the_images(
    make_source: MakeSource, numbers_of: NumbersOf, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    images = [(int(number), int(number) % 4) for number in rng.integers(40, size=80)]
    shuffled = [images[place] for place in rng.permutation(80)]
    one, other = (_chosen(numbers_of, make_source, of, _HALF) for of in (images, shuffled))
    assert one == other


def test_a_chosen_test_part_of_a_class_does_not_depend_on_the_other_classes(
    make_source: MakeSource, numbers_of: NumbersOf
) -> None:
    alone = [image for image in _DISTINCT if image[1] == 0]
    chosen = _chosen(numbers_of, make_source, _DISTINCT, _HALF)
    assert [number for number in chosen if number % 3 == 0] == _chosen(
        numbers_of, make_source, alone, _HALF
    )


def test_a_chosen_test_part_differs_for_another_seed(
    make_source: MakeSource, numbers_of: NumbersOf
) -> None:
    choices = [TestChoice(share=0.5, seed=seed) for seed in range(20)]
    chosen = {tuple(_chosen(numbers_of, make_source, _DISTINCT, choice)) for choice in choices}
    assert len(chosen) == 20


@pytest.mark.parametrize(
    ("share", "sizes", "num_test"),
    [
        (1 / 3, (3, 30, 299, 300), [1, 10, 99, 100]),
        (0.2, (4, 5, 9, 100), [0, 1, 1, 20]),
        (0.5, (1, 2, 3, 101), [0, 1, 1, 50]),
        (0.9, (1, 10, 11, 100), [0, 9, 9, 90]),
    ],
    ids=["third", "fifth", "half", "most"],
)
def test_a_chosen_test_part_holds_the_share_of_each_class_rounded_down(
    make_source: MakeSource, share: float, sizes: tuple[int, ...], num_test: list[int]
) -> None:
    labels = np.repeat(np.arange(4), sizes).tolist()
    source = make_source(list(enumerate(labels)))
    parts = partition(source, TestChoice(share=share), keeps_duplicates_out=False)
    assert np.bincount(parts.test.images.labels, minlength=4).tolist() == num_test


@pytest.mark.parametrize("seed", range(10))
def test_equal_images_of_two_classes_are_on_one_side_of_a_chosen_split(
    make_source: MakeSource, numbers_of: NumbersOf, seed: int
) -> None:
    images = [(number // 2, number % 2) for number in range(40)]  # Each number is of both classes.
    choice = TestChoice(share=0.3, seed=seed)
    parts = partition(
        make_source([*images, (100, 0), (101, 1), (102, 0), (103, 1)]),
        choice,
        keeps_duplicates_out=True,
    )
    in_test = numbers_of(parts.test.images.pixels)
    for number in {number for number in in_test if number < 100}:
        assert in_test.count(number) == 2
    assert all(number >= 100 for number in numbers_of(parts.train.images.pixels))


def test_copies_on_one_side_of_a_chosen_split_are_no_error(make_source: MakeSource) -> None:
    images = [(number, label) for number, label in _DISTINCT for _ in range(2)]
    parts = partition(make_source(images), _HALF, keeps_duplicates_out=False)
    assert {one.reason for one in parts.dropped} == {"copy"}


def test_the_first_of_equal_images_of_one_class_stays(
    make_source: MakeSource, numbers_of: NumbersOf
) -> None:
    train = [(5, 0), (6, 1), (5, 0), (7, 0), (5, 0), (6, 1)]
    parts = partition(make_source(train, [(9, 0)]), None, keeps_duplicates_out=False)
    assert _pairs(parts.train, numbers_of) == [(5, 0), (6, 1), (7, 0)]
    assert parts.dropped == (
        Dropped(name="train[2]", reason="copy", copy_of="train[0]"),
        Dropped(name="train[4]", reason="copy", copy_of="train[0]"),
        Dropped(name="train[5]", reason="copy", copy_of="train[1]"),
    )


def test_training_images_of_the_test_part_or_of_two_classes_are_dropped_with_the_reason(
    make_source: MakeSource, numbers_of: NumbersOf
) -> None:
    train = [(1, 0), (2, 0), (3, 0), (2, 1), (1, 0), (4, 1)]
    parts = partition(make_source(train, [(9, 0), (1, 1)]), None, keeps_duplicates_out=True)
    assert _pairs(parts.train, numbers_of) == [(3, 0), (4, 1)]
    assert parts.dropped == (
        Dropped(name="train[0]", reason="in the test part", copy_of="test[1]"),
        Dropped(name="train[1]", reason="of two classes", copy_of="train[3]"),
        Dropped(name="train[3]", reason="of two classes", copy_of="train[1]"),
        Dropped(name="train[4]", reason="in the test part", copy_of="test[1]"),
    )


def test_an_image_of_three_classes_names_one_of_the_others(make_source: MakeSource) -> None:
    train = [(1, 0), (1, 1), (1, 2), (2, 0)]
    parts = partition(make_source(train, [(9, 0)]), None, keeps_duplicates_out=True)
    copies = {one.name: one.copy_of for one in parts.dropped}
    assert sorted(copies) == sorted(copies.values()) == ["train[0]", "train[1]", "train[2]"]
    assert all(name != copy for name, copy in copies.items())


def test_the_official_test_part_is_never_changed(
    make_source: MakeSource, numbers_of: NumbersOf
) -> None:
    test = [(1, 0), (1, 0), (2, 1), (2, 0), (30, 2)]
    parts = partition(make_source(_DISTINCT, test), None, keeps_duplicates_out=True)
    assert _pairs(parts.test, numbers_of) == test


@pytest.mark.parametrize(
    ("train", "test", "listed"),
    [
        ([(1, 0), (2, 0)], [(1, 0)], "1 training images .*: train[0] = test[0]. Remove"),
        ([(1, 0), (1, 1), (2, 0)], [(9, 0)], ": train[0] = train[1]; train[1] = train[0]. Remove"),
    ],
    ids=["in-both-parts", "of-two-classes"],
)
def test_duplicates_that_matter_are_an_error_that_lists_them(
    make_source: MakeSource, train: Numbered, test: Numbered, listed: str
) -> None:
    match = re.escape(listed).replace(r"\.\*", ".*") + ".*--drop-duplicates"
    with pytest.raises(DataError, match=match):
        partition(make_source(train, test), None, keeps_duplicates_out=False)


def test_a_long_list_of_duplicates_is_cut(make_source: MakeSource) -> None:
    with pytest.raises(DataError, match=r"^29 training .*train\[9\] = test\[9\]; and 19 more\."):
        partition(make_source(_DISTINCT, _DISTINCT[:29]), None, keeps_duplicates_out=False)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("choice", [None, TestChoice(share=0.25, seed=3)], ids=["official", "own"])
def test_no_image_is_in_both_parts_and_none_is_twice_in_training(
    make_source: MakeSource, choice: TestChoice | None, seed: int
) -> None:
    parts = partition(make_source(*_muddle(seed)), choice, keeps_duplicates_out=True)
    train, test = _digests(parts.train), _digests(parts.test)
    assert len(set(train)) == len(train) > 0
    assert not set(train) & set(test)


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_kept_out_of_training_without_need(
    make_source: MakeSource, numbers_of: NumbersOf, seed: int
) -> None:
    train, test = _muddle(seed)
    parts = partition(make_source(train, test), None, keeps_duplicates_out=True)
    assert parts.train.names == [
        f"train[{place}]"
        for place, (number, label) in enumerate(train)
        if number not in {other for other, _ in test}
        and {of for other, of in train if other == number} == {label}
        and number not in {other for other, _ in train[:place]}
    ]
    assert _num_images(parts) + len(parts.dropped) == len(train) + len(test)
    assert _pairs(parts.test, numbers_of) == test


def _muddle(seed: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return training and test images with copies of every kind."""
    rng = np.random.default_rng(seed)
    images = [(int(number), int(number) % 3) for number in rng.integers(150, size=160)]
    images += [(int(number), int(number + 1) % 3) for number in rng.integers(150, size=20)]
    shuffled = [images[place] for place in rng.permutation(180)]
    return shuffled[:140], shuffled[140:]


def _num_images(parts: Partition) -> int:
    return len(parts.train.names) + len(parts.test.names)


@pytest.mark.parametrize(
    ("train", "test", "empty"),
    [
        ([], [(1, 0)], "training"),
        ([(1, 0)], [], "test"),
        ([(1, 0), (1, 0)], [(1, 0)], "training"),
        ([(1, 0), (2, 1)], None, "test"),
    ],
    ids=["no-training", "no-test", "all-duplicates", "too-few-to-choose-from"],
)
def test_an_empty_part_is_refused(
    make_source: MakeSource, train: Numbered, test: Numbered | None, empty: str
) -> None:
    with pytest.raises(DataError, match=f"the {empty} part holds no image, but must hold at least"):
        partition(make_source(train, test), None, keeps_duplicates_out=True)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_share_of_nothing_or_all_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match=rf"^--test-share is {share}, but must be between 0 and"):
        TestChoice(share=share)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(
        ConfigError,
        match=r"^--test-seed is -1, but must be a whole number, at least 0 and at most 9",
    ):
        TestChoice(seed=-1)


def test_copies_in_the_test_part_are_told(make_source: MakeSource) -> None:
    parts = partition(
        make_source([(1, 0), (2, 1)], [(5, 0), (5, 0), (6, 1)]), None, keeps_duplicates_out=False
    )
    assert parts.notes == (
        "Copies of another test image: 1 of 3 test images; each counts in the AUROC.",
    )


def test_test_images_under_two_classes_are_refused_and_on_demand_told(
    make_source: MakeSource,
) -> None:
    source = make_source([(1, 0), (2, 1)], [(5, 0), (5, 1), (6, 1)])
    with pytest.raises(
        DataError, match=r"equal images of two classes: test\[0\] = test\[1\]\. One of"
    ):
        partition(source, None, keeps_duplicates_out=False)
    parts = partition(source, None, keeps_duplicates_out=True)
    assert parts.notes[1] == "The test part holds equal images of two classes: test[0] = test[1]."


def test_a_chosen_test_part_that_grows_is_told(make_source: MakeSource) -> None:
    source = make_source([(7, 0)] * 8 + [(1, 0), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1)], None)
    for seed in range(20):
        parts = partition(source, TestChoice(share=0.2, seed=seed), keeps_duplicates_out=True)
        grown = [note for note in parts.notes if note.startswith("The chosen test part has")]
        assert bool(grown) == (len(parts.test.names) > 0.25 * 14)


def test_copies_of_two_classes_head_the_refusal(make_source: MakeSource) -> None:
    same = [(one, 0) for one in range(20, 32)]
    source = make_source([*same, (1, 0), (1, 1)], [*same, (6, 1)])
    with pytest.raises(DataError, match=r"another class: train\[12\] = train\[13\]; "):
        partition(source, None, keeps_duplicates_out=False)
