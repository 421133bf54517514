"""Masks among photos: what is left out, what is kept, and what is asked about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agad.data.readers import read_folder
from agad.data.resize import Resize
from agad.errors import ConfigError, DataError

_TO_16 = Resize(image_px=16)


def _photos(root: Path, *names: str) -> None:
    """Draw pictures of many grey values, each another."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        seed = sum(map(ord, name))
        values = np.random.default_rng(seed).integers(40, 200, (16, 16), dtype=np.uint8)
        Image.fromarray(values).save(root / name)


def _masks(root: Path, *names: str) -> None:
    """Draw black pictures with a white square."""
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        values = np.zeros((16, 16), np.uint8)
        values[2 : 5 + number, 2:9] = 255
        Image.fromarray(values).save(root / name)


def test_a_folder_of_black_and_white_masks_is_left_out_and_counted(tmp_path: Path) -> None:
    _photos(tmp_path, "good_train/0.png", "good_train/1.png", "NG/0.png", "NG/1.png")
    _masks(tmp_path, "mask/0.png", "mask/1.png")
    source = read_folder(tmp_path, None)
    assert source.class_names == ("NG", "good_train")
    assert source.ignored == ("mask/ (2 masks)",)


@pytest.mark.parametrize("folder", ["Ground Truth", "GT", "masks", "ground-truth", "thumbnails"])
def test_a_folder_with_the_names_of_photos_is_left_out(tmp_path: Path, folder: str) -> None:
    _photos(tmp_path, "good/screw_1.png", "bad/screw_2.png", "bad/screw_3.png")
    _photos(tmp_path, f"{folder}/screw_2.jpg", f"{folder}/screw_3.jpg")
    source = read_folder(tmp_path, None)
    assert source.class_names == ("good", "bad")
    assert source.ignored == (f"{folder}/ (2 masks)",)


def test_classes_that_are_called_mask_stay(tmp_path: Path) -> None:
    _photos(tmp_path, "mask/0001.png", "mask/anna.png", "no_mask/0001.png", "no_mask/ben.png")
    source = read_folder(tmp_path, None)
    assert source.class_names == ("mask", "no_mask")
    assert source.ignored == ()


def test_drawings_beside_drawings_show_nothing(tmp_path: Path) -> None:
    _masks(tmp_path, "mask/a.png", "mask/b.png", "hat/c.png", "hat/d.png")
    assert read_folder(tmp_path, None).class_names == ("hat", "mask")


def test_a_file_beside_its_photo_is_left_out(tmp_path: Path) -> None:
    _photos(tmp_path, "good/1.png", "defect/1.jpg", "defect/2.jpg")
    _masks(tmp_path, "defect/1_mask.png", "defect/2-MASK.png")
    source = read_folder(tmp_path, _TO_16)
    assert source.parts["train"].names == ["defect/1.jpg", "defect/2.jpg", "good/1.png"]
    assert source.ignored == ("defect/ (2 masks)",)


def test_the_masks_of_a_test_part_are_left_out(tmp_path: Path) -> None:
    _photos(tmp_path, "train/good/1.png", "test/good/2.png", "test/hole/3.png")
    _masks(tmp_path, "test/hole/3_mask.png", "test/masks/3.png")
    source = read_folder(tmp_path, None)
    assert source.class_names == ("good", "hole")
    assert source.parts["test"].names == ["test/good/2.png", "test/hole/3.png"]
    assert source.ignored == ("test/hole/ (1 mask)", "test/masks/ (1 mask)")


def test_a_folder_of_both_kinds_is_asked_about(tmp_path: Path) -> None:
    _photos(tmp_path, "good/a1.png", "good/b1.png", "mask/a1.png", "mask/c.png", "mask/d.png")
    with pytest.raises(
        DataError, match=r"'mask', 33% of whose images.*--masks drop .*--masks keep"
    ):
        read_folder(tmp_path, None)
    assert read_folder(tmp_path, None, masks="keep").class_names == ("good", "mask")


def test_a_mask_without_a_photo_beside_paired_masks_is_asked_about(tmp_path: Path) -> None:
    _photos(tmp_path, "good/1.png", "bad/1.png", "bad/2_mask.png")
    _masks(tmp_path, "bad/1_mask.png")
    with pytest.raises(DataError, match=r"'bad/2_mask\.png', which is called a mask but lies"):
        read_folder(tmp_path, None)
    names = read_folder(tmp_path, None, masks="drop").parts["train"].names
    assert names == ["bad/1.png", "good/1.png"]
    assert len(read_folder(tmp_path, None, masks="keep").parts["train"].names) == 4


def test_drop_leaves_out_by_the_name_alone(tmp_path: Path) -> None:
    _photos(tmp_path, "mask/x.png", "hat/y.png", "cap/z.png", "cap/w_mask.png")
    source = read_folder(tmp_path, None, masks="drop")
    assert source.class_names == ("cap", "hat")
    assert source.ignored == ("cap/ (1 mask)", "mask/ (1 mask)")


def test_another_rule_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--masks is 'no', but must be one of: auto, keep, drop"):
        read_folder(tmp_path, None, masks="no")  # type: ignore[arg-type]


def test_photos_of_16_bits_are_not_taken_for_black_and_white(tmp_path: Path) -> None:
    _photos(tmp_path, "hat/c.png", "hat/d.png")
    (tmp_path / "mask").mkdir()
    for name in "ab":
        values = np.random.default_rng(ord(name)).integers(9000, 50000, (16, 16), dtype=np.uint16)
        Image.fromarray(values).save(tmp_path / f"mask/{name}.png")
    assert read_folder(tmp_path, None).class_names == ("hat", "mask")


def test_masks_in_a_folder_of_their_class_are_left_out(tmp_path: Path) -> None:
    _photos(tmp_path, "good/images/1.png", "good/images/2.png", "hole/images/1.png")
    _masks(tmp_path, "hole/masks/1.png", "hole/masks/old/2.png")
    source = read_folder(tmp_path, None)
    assert source.parts["train"].names == [
        "good/images/1.png",
        "good/images/2.png",
        "hole/images/1.png",
    ]
    assert source.ignored == ("hole/masks/ (1 mask)", "hole/masks/old/ (1 mask)")
