"""Data sets by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agad.data import describe, load_images
from agad.errors import ConfigError, DataError


@pytest.mark.parametrize(
    ("name", "image_shape", "num_val_anomalies"),
    [("digits", (1, 16, 16), 30), ("mnist", (1, 32, 32), 100), ("cifar10", (3, 32, 32), 100)],
)
def test_describe_knows_a_data_set_before_any_file_is_opened(
    name: str, image_shape: tuple[int, int, int], num_val_anomalies: int
) -> None:
    info = describe(name)
    assert info.name == name
    assert len(info.class_names) == 10
    assert info.image_shape == image_shape
    assert info.num_val_anomalies == num_val_anomalies


def test_describe_lists_the_known_names_when_one_is_unknown() -> None:
    match = r"cells\.dataset is 'fashion', but must be one of: cifar10, digits, mnist\."
    with pytest.raises(ConfigError, match=match):
        describe("fashion")


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_load_images_looks_in_the_folder_of_the_data_sets_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"{tmp_path}/{name}/.* is missing"):
        load_images(name, "train", tmp_path)


def test_load_images_finds_files_that_came_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is missing"):
        load_images("cifar10", "test", tmp_path)
    folder = tmp_path / "cifar10/cifar-10-batches-bin"
    folder.mkdir(parents=True)
    (folder / "test_batch.bin").write_bytes(b"\x07" + b"\0" * 3072)
    assert load_images("cifar10", "test", tmp_path).labels.tolist() == [7]


def test_load_images_keeps_the_images_for_the_next_trial(tmp_path: Path) -> None:
    first = load_images("digits", "train", tmp_path)
    assert load_images("digits", "train", tmp_path) is first


@pytest.mark.parametrize("array", ["pixels", "labels"])
def test_load_images_returns_arrays_that_no_trial_can_change(array: str, tmp_path: Path) -> None:
    values = getattr(load_images("digits", "train", tmp_path), array)
    with pytest.raises(ValueError, match="read-only"):
        values[0] = 0


def test_fingerprint_is_equal_for_equal_images_alone(tmp_path: Path) -> None:
    train = load_images("digits", "train", tmp_path)
    test = load_images("digits", "test", tmp_path)
    load_images.cache_clear()
    again = load_images("digits", "train", tmp_path)
    assert again.fingerprint() == train.fingerprint()
    assert test.fingerprint() != train.fingerprint()


@pytest.mark.parametrize("changed", ["pixel", "label", "shape"])
def test_fingerprint_changes_with_every_part_of_the_images(changed: str, tmp_path: Path) -> None:
    images = load_images("digits", "train", tmp_path)
    pixels, labels = np.array(images.pixels), np.array(images.labels)
    others = {
        "pixel": (np.where(np.arange(8) == 7, pixels ^ 1, pixels), labels),
        "label": (pixels, np.where(np.arange(len(labels)) == 5, labels + 1, labels)),
        "shape": (pixels.reshape(-1, 1, 4, 16), labels),
    }
    assert type(images)(*others[changed]).fingerprint() != images.fingerprint()
