"""From what a reader found to a training and a test part that share no image."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from agad.config import MAX_INT64, check_count
from agad.data.images import Images, Source, SourceImages
from agad.data.manifest import Dropped
from agad.errors import ConfigError, DataError

_IN_TEST, _OF_TWO_CLASSES, _COPY = "in the test part", "of two classes", "copy"
_NUM_SHOWN = 10
_MUCH_MORE = 1.25
"""How many times its share a chosen test part may be before this is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestChoice:
    """How test images are chosen if there is no official test part, or if it is not wanted."""

    __test__ = False  # Not a test class, whatever pytest reads into its name.

    share: float = 1 / 3
    """Share of each class, in (0, 1)."""

    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ConfigError(f"--test-share is {self.share}, but must be between 0 and 1.")
        check_count("--test-seed", self.seed, 0, MAX_INT64)

    def __str__(self) -> str:
        return f"{self.share:.4g} of each class by pixel hash, seed {self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A training part of distinct images, none of which is in the test part."""

    train: SourceImages
    test: SourceImages
    test_split: str
    """``official``, or how the test part was chosen."""

    dropped: tuple[Dropped, ...]
    """Images that were kept out of the training part, in its order."""

    notes: tuple[str, ...] = ()
    """Sentences about the test part that its reader should know, such as copies in it."""


def partition(
    source: Source, choice: TestChoice | None, *, keeps_duplicates_out: bool
) -> Partition:
    """Part a data set, and keep duplicate images out of training.

    A training image is kept out if its pixels are in the test part, or have two labels. If copies
    have one label, the first copy stays. The test part is never changed.

    Args:
        source: The data set, with or without an official test part.
        choice: Chooses a test part, from all images together; None takes the official part, or a
            third of each class if there is none.
        keeps_duplicates_out: Whether to go on if an image is in both parts or of two classes.

    Raises:
        DataError: A part would be empty, or there are duplicates that may not be kept out, or test
            images of two classes are equal.
    """
    notes: list[str] = []
    if choice is None and "test" in source.parts:
        train, test, how = source.parts["train"], source.parts["test"], "official"
        train_hashes, test_hashes = (pixel_hashes(part.images.pixels) for part in (train, test))
    else:
        choice = choice or TestChoice()
        whole, how = _pooled(source), str(choice)
        hashes = pixel_hashes(whole.images.pixels)
        is_test = choose_test(hashes, whole.images.labels, choice)
        train, test = _taken(whole, ~is_test), _taken(whole, is_test)
        train_hashes, test_hashes = hashes[~is_test], hashes[is_test]
        notes += _of_size(choice, is_test)
    notes += _of_copies(test, test_hashes, is_allowed=keeps_duplicates_out)
    dropped = _dropped(train, train_hashes, dict(zip(test_hashes, test.names, strict=True)))
    if not keeps_duplicates_out:
        _refuse([one for one in dropped.values() if one.reason != _COPY])
    is_kept = np.ones(len(train.names), dtype=np.bool_)
    is_kept[list(dropped)] = False
    train = _taken(train, is_kept)
    for name, part in (("training", train), ("test", test)):
        if len(part.names) == 0:
            raise DataError(f"the {name} part holds no image, but must hold at least one.")
    return Partition(
        train=train,
        test=test,
        test_split=how,
        dropped=tuple(dropped.values()),
        notes=tuple(notes),
    )


def pixel_hashes(pixels: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    """Return the SHA-256 of each image of ``(N, C, H, W)``, as 64 hexadecimal digits ``(N,)``."""
    digests = [hashlib.sha256(image).hexdigest() for image in np.ascontiguousarray(pixels)]
    return np.array(digests, dtype="S64")


def choose_test(
    hashes: NDArray[np.bytes_], labels: NDArray[np.int64], choice: TestChoice
) -> NDArray[np.bool_]:
    """Mark a share of each class as test images, by the order of a hash of pixels and seed.

    The choice depends on nothing else: it is the same on every machine and for every order of the
    images. Equal images are in the same part.

    Args:
        hashes: Hash of each image's pixels, shape ``(num_images,)``.
        labels: Shape ``(num_images,)``.
        choice: The share and the seed.

    Returns:
        Whether each image is a test image, shape ``(num_images,)``.
    """
    seed = f"{choice.seed}:".encode()
    places = np.array([hashlib.sha256(seed + one).digest() for one in hashes], dtype="S32")
    is_test = np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        num_test = int(Fraction(choice.share).limit_denominator(1000) * len(of_class))
        is_test[of_class[np.argsort(places[of_class], kind="stable")[:num_test]]] = True
    # If an image is a test image, all equal images are too, also those of other classes.
    return np.isin(hashes, hashes[is_test])


def _pooled(source: Source) -> SourceImages:
    """Return all images of a source as one part."""
    parts = list(source.parts.values())
    return SourceImages(
        images=Images(
            np.concatenate([part.images.pixels for part in parts]),
            np.concatenate([part.images.labels for part in parts]),
        ),
        names=[name for part in parts for name in part.names],
    )


def _taken(part: SourceImages, is_taken: NDArray[np.bool_]) -> SourceImages:
    if is_taken.all():
        return part  # No copy of what may be large.
    images = Images(part.images.pixels[is_taken], part.images.labels[is_taken])
    return SourceImages(images=images, names=list(compress(part.names, is_taken)))


def _dropped(
    train: SourceImages, hashes: NDArray[np.bytes_], test_names: dict[bytes, str]
) -> dict[int, Dropped]:
    """Return what to keep out of training, by its place there."""
    by_hash: dict[bytes, list[int]] = defaultdict(list)
    for place, one in enumerate(hashes):
        by_hash[one].append(place)
    dropped: dict[int, Dropped] = {}
    for one, places in by_hash.items():
        if one in test_names:
            dropped |= {place: _drop(train, place, _IN_TEST, test_names[one]) for place in places}
        elif len(set(train.images.labels[places])) > 1:
            labels = train.images.labels
            for at, place in enumerate(places):
                others = [*places[at + 1 :], *places[:at]]
                other = next(one for one in others if labels[one] != labels[place])
                dropped[place] = _drop(train, place, _OF_TWO_CLASSES, train.names[other])
        else:
            first = train.names[places[0]]
            dropped |= {place: _drop(train, place, _COPY, first) for place in places[1:]}
    return dict(sorted(dropped.items()))


def _of_size(choice: TestChoice, is_test: NDArray[np.bool_]) -> list[str]:
    """Say if a chosen test part is much larger than its share."""
    num_test = np.count_nonzero(is_test)
    if num_test <= _MUCH_MORE * choice.share * len(is_test):
        return []
    return [
        f"The chosen test part has {num_test:,} of {len(is_test):,} images, more than the share of "
        f"{choice.share:.4g}, because copies of an image stay together."
    ]


def _of_copies(test: SourceImages, hashes: NDArray[np.bytes_], *, is_allowed: bool) -> list[str]:
    """Say how many test images are copies of others; refuse copies of two classes."""
    places: dict[bytes, list[int]] = defaultdict(list)
    for place, one in enumerate(hashes):
        places[one].append(place)
    labels, names = test.images.labels, test.names
    alike = [of for of in places.values() if len(of) > 1]
    if not alike:
        return []
    num_copies = sum(len(of) - 1 for of in alike)
    notes = [
        f"Copies of another test image: {num_copies:,} of {len(names):,} test images; each counts "
        "in the AUROC."
    ]
    of_two = [of for of in alike if len(set(labels[of])) > 1]
    if of_two:
        shown = "; ".join(" = ".join(names[place] for place in of) for of in of_two[:_NUM_SHOWN])
        what = f"test part holds equal images of two classes: {shown}"
        if not is_allowed:
            raise DataError(
                f"the {what}. One of the labels is wrong: remove or relabel them, or give "
                "--drop-duplicates to go on with them."
            )
        notes.append(f"The {what}.")
    return notes


def _drop(train: SourceImages, place: int, reason: str, copy_of: str) -> Dropped:
    return Dropped(name=train.names[place], reason=reason, copy_of=copy_of)


def _refuse(duplicates: Sequence[Dropped]) -> None:
    if not duplicates:
        return
    # Copies of two classes come first: one of their labels is wrong.
    first = sorted(duplicates, key=lambda one: one.reason != _OF_TWO_CLASSES)
    shown = "; ".join(f"{one.name} = {one.copy_of}" for one in first[:_NUM_SHOWN])
    more = f"; and {len(duplicates) - _NUM_SHOWN} more" if len(duplicates) > _NUM_SHOWN else ""
    raise DataError(
        f"{len(duplicates)} training images have the pixels of a test image or of an image of "
        f"another class: {shown}{more}. Remove them, or give --drop-duplicates to keep them out "
        "of training."
    )
