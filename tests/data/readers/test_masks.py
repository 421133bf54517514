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


@pytest.mark.parametrize("folder", ["NG_annotations", "defect masks", "Label.1"])
def test_a_name_that_holds_the_word_needs_black_and_white(tmp_path: Path, folder: str) -> None:
    _photos(tmp_path, "good/a.png", "NG/b.png")
    _masks(tmp_path, f"{folder}/1.png")
    assert read_folder(tmp_path, None).ignored == (f"{folder}/ (1 mask)",)
    _photos(tmp_path, f"{folder}/1.png")
    assert folder in read_folder(tmp_path, None, masks="drop").class_names


def test_a_name_that_is_the_word_goes_before_one_that_holds_it(tmp_path: Path) -> None:
    _photos(tmp_path, "good/1.png", "gt_defect/images/1.png", "gt_defect/images/2.png")
    _masks(tmp_path, "gt_defect/masks/7.png", "gt_defect/masks/8.png")
    assert read_folder(tmp_path, None).ignored == ("gt_defect/masks/ (2 masks)",)


def test_classes_of_paired_photos_beside_no_mask_are_asked_about(tmp_path: Path) -> None:
    _photos(tmp_path, "mask/anna.png", "no_mask/anna.png", "hat/anna.png")
    with pytest.raises(DataError, match=r"'mask', 100% of whose images.*--masks keep"):
        read_folder(tmp_path, None)


def test_numbered_thumbnails_are_asked_about(tmp_path: Path) -> None:
    _photos(tmp_path, "good/1.png", "bad/2.png", "thumbs/1.png", "thumbs/2.png")
    with pytest.raises(DataError, match=r"'thumbs', all of whose images have a photo's number"):
        read_folder(tmp_path, None)
    assert read_folder(tmp_path, None, masks="drop").class_names == ("good", "bad")


@pytest.mark.parametrize("ending", ["_label.png", "-annotation.bmp", "_thumb.png"])
def test_other_endings_beside_a_photo_are_known(tmp_path: Path, ending: str) -> None:
    _photos(tmp_path, "good/1.png", "bad/Part 0.jpg", f"bad/Part 0{ending}")
    assert read_folder(tmp_path, _TO_16).ignored == ("bad/ (1 mask)",)


def test_a_black_and_white_file_beside_a_photo_of_its_name_is_left_out(tmp_path: Path) -> None:
    _photos(tmp_path, "good/1.jpg", "bad/2.jpg", "bad/3.jpg", "bad/3.bmp")
    _masks(tmp_path, "good/1.png", "bad/2.png")
    source = read_folder(tmp_path, _TO_16)
    assert source.ignored == ("bad/ (1 mask)", "good/ (1 mask)")
    assert "bad/3.bmp" in source.parts["train"].names


def test_masks_that_leave_one_class_are_named(tmp_path: Path) -> None:
    _photos(tmp_path, "good/1.png", "good/2.png")
    _masks(tmp_path, "mask/1.png", "mask/2.png")
    with pytest.raises(DataError, match=r"mask/ \(2 masks\), which are left out.*--masks keep"):
        read_folder(tmp_path, None)
