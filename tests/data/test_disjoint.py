"""No image, by its pixels, is in two of fitting, validation and test: from files to splits."""

from __future__ import annotations

import hashlib
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from agad.data import (
    Images,
    ImportOptions,
    Library,
    Manifest,
    NodeCache,
    Part,
    Split,
    Task,
    TestChoice,
    draw_split,
    import_dataset,
    open_images,
)
from agad.objects import LocalObjects

if TYPE_CHECKING:
    from tests.data.conftest import WritePictures

_NUM_CLASSES = 4
_OPTIONS = {
    "official": ImportOptions(drop_duplicates=True),
    "chosen": ImportOptions(drop_duplicates=True, test=TestChoice(share=0.3, seed=2)),
    "resized": ImportOptions(drop_duplicates=True, image_px=32),
}
_TASKS = {
    "one-class": (((0,), (1, 2, 3)), 2),
    "leave-one-out": (((0, 1, 3), (2,)), 1),
}


def _planted() -> dict[str, int]:
    """Return pictures of which many are equal, in one class, in two, and across the parts."""
    rng = np.random.default_rng(0)
    pictures = {}
    for part, num_images in (("train", 500), ("test", 150)):
        for place, number in enumerate(rng.integers(900, size=num_images).tolist()):
            is_of_another = rng.random() < 0.05
            label = (number + is_of_another) % _NUM_CLASSES
            pictures[f"{part}/class-{label}/{place:04}.png"] = number
    return pictures


@pytest.fixture(params=_OPTIONS)
def parts(
    request: pytest.FixtureRequest, tmp_path: Path, write_pictures: WritePictures
) -> dict[Part, Images]:
    """Return the imported parts of a folder with planted duplicates."""
    folder = write_pictures(tmp_path / "planted", _planted())
    library = Library(LocalObjects(tmp_path / "store"))
    manifest: Manifest = import_dataset(
        "planted", folder, library, _OPTIONS[request.param]
    ).manifest
    assert {one.reason for one in manifest.dropped} >= {"copy", "of two classes"}
    cache = NodeCache(folder=str(tmp_path / "cache"))
    return {
        "train": open_images(manifest, "train", store=library.uri, cache=cache),
        "test": open_images(manifest, "test", store=library.uri, cache=cache),
    }


def _hashes(images: Images, *indices: list[int]) -> list[str]:
    return [
        hashlib.blake2b(images.pixels[index].tobytes()).hexdigest()
        for some in indices
        for index in some
    ]


def _splits(images: Images, protocol: str) -> list[Split]:
    (normal, anomalous), labelled_classes = _TASKS[protocol]
    task = Task(
        normal_classes=normal,
        anomalous_classes=anomalous,
        labelled_classes=labelled_classes,
        anomaly_ratio=0.05,
        pollution_ratio=0.05,
        num_val_anomalies=8,
        val_share=0.2,
    )
    return [draw_split(images.labels, task, seed) for seed in range(5)]


@pytest.mark.parametrize("protocol", _TASKS)
def test_no_image_is_in_two_of_fitting_validation_and_test(
    parts: dict[Part, Images], protocol: str
) -> None:
    train, test = parts["train"], parts["test"]
    in_test = set(_hashes(test, [*range(len(test.labels))]))
    for split in _splits(train, protocol):
        fitted = _hashes(
            train,
            split.fit_normals.tolist(),
            split.fit_hidden.tolist(),
            split.fit_anomalies.tolist(),
        )
        validating = _hashes(
            train,
            split.val_normals.tolist(),
            split.val_hidden.tolist(),
            split.val_anomalies.tolist(),
        )
        assert min(len(fitted), len(validating), len(in_test)) > 8
        for one, other in combinations((set(fitted), set(validating), in_test), 2):
            assert not one & other


@pytest.mark.parametrize("protocol", _TASKS)
def test_no_image_is_twice_in_fitting_and_validation(
    parts: dict[Part, Images], protocol: str
) -> None:
    for split in _splits(parts["train"], protocol):
        used = [getattr(split, part).tolist() for part in Split.__dataclass_fields__]
        assert set(Counter(_hashes(parts["train"], *used)).values()) == {1}
