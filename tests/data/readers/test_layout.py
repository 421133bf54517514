"""The layout of a folder: spellings of its parts, several sets in it, and names of classes."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from agad.data.readers import read_folder
from agad.errors import ConfigError, DataError


def _draw(root: Path, *names: str) -> None:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), number).save(root / name)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Train", "Test"),
        ("TRAINING", "testing"),
        ("Training Set", "test_set"),
        ("train_images", "Test-Images"),
        ("trn", "tst"),
    ],
)
def test_parts_are_found_in_other_spellings(tmp_path: Path, train: str, test: str) -> None:
    _draw(
        tmp_path, f"{train}/good/0.png", f"{test}/good/0.png", f"{test}/hole/0.png", "val/x/0.png"
    )
    source = read_folder(tmp_path, None)
    assert source.class_names == ("good", "hole")
    assert source.parts["train"].names == [f"{train}/good/0.png"]
    assert source.parts["test"].names == [f"{test}/good/0.png", f"{test}/hole/0.png"]
    assert source.ignored == ("val/ (1 image)",)


def test_classes_may_be_called_like_parts_if_the_layout_says_so(tmp_path: Path) -> None:
    _draw(tmp_path, "Train/0.png", "Test/1.png")
    assert read_folder(tmp_path, None, layout="classes").class_names == ("Test", "Train")


def test_a_part_in_two_spellings_is_refused(tmp_path: Path) -> None:
    _draw(tmp_path, "train/good/0.png", "Training/good/1.png", "test/good/2.png")
    with pytest.raises(
        DataError, match="holds Training and train, but must hold one folder of the"
    ):
        read_folder(tmp_path, None)


def test_parts_that_are_asked_for_must_be_there(tmp_path: Path) -> None:
    _draw(tmp_path, "a/0.png", "test/1.png")
    with pytest.raises(DataError, match="holds the folders a, test, but must hold train and test"):
        read_folder(tmp_path, None, layout="parts")


def test_a_folder_of_several_sets_is_refused_with_the_way_out(tmp_path: Path) -> None:
    for name in ("bottle", "cable"):
        _draw(tmp_path, f"{name}/train/good/0.png", f"{name}/test/hole/1.png")
        _draw(tmp_path, f"{name}/ground_truth/hole/1_mask.png")
    with pytest.raises(DataError, match=r"each a data set: bottle, cable.*--from .*/bottle"):
        read_folder(tmp_path, None)
    source = read_folder(tmp_path, None, layout="classes")
    assert source.class_names == ("bottle", "cable")


@pytest.mark.parametrize(
    "names",
    [
        ("Good", "good"),
        tuple(unicodedata.normalize(form, "d\u00e9faut") for form in ("NFC", "NFD")),
    ],
)
def test_names_that_differ_in_form_alone_are_refused(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    _draw(tmp_path, f"train/{names[0]}/0.png", f"test/{names[1]}/1.png", "test/hole/2.png")
    with pytest.raises(DataError, match="which differ in case or Unicode form alone"):
        read_folder(tmp_path, None)


def test_another_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="--layout is 'x', but must be one of: auto, parts, classes"
    ):
        read_folder(tmp_path, None, layout="x")  # type: ignore[arg-type]


def test_official_files_of_another_format_are_known(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").touch()
    with pytest.raises(
        DataError, match="or give --format idx, since train-images-idx3-ubyte looks"
    ):
        read_folder(tmp_path, None)


@pytest.mark.parametrize(
    ("folders", "named"),
    [
        (("train", "val"), "train, val"),
        (("Training", "Validation"), "Training, Validation"),
        (("hole", "test"), "test"),
        (("good_train", "good_test", "NG"), "good_test, good_train"),
        (("train-ok", "test-ok", "ng"), "test-ok, train-ok"),
    ],
)
def test_folders_that_are_called_like_parts_are_asked_about(
    tmp_path: Path, folders: tuple[str, ...], named: str
) -> None:
    _draw(tmp_path, *(f"{folder}/{number}.png" for number, folder in enumerate(folders)))
    with pytest.raises(DataError, match=f"holds the folders {named}, which are called like parts"):
        read_folder(tmp_path, None)
    source = read_folder(tmp_path, None, layout="classes")
    assert sorted(source.class_names) == sorted(folders)


def test_a_class_may_have_a_part_in_its_name(tmp_path: Path) -> None:
    _draw(tmp_path, "good_train/0.png", "NG/1.png", "train station/2.png", "contest/3.png")
    source = read_folder(tmp_path, None)
    assert sorted(source.class_names) == ["NG", "contest", "good_train", "train station"]


@pytest.mark.parametrize("cache", ["__MACOSX", "@eaDir", "$RECYCLE.BIN", "lost+found"])
def test_the_folders_of_a_system_are_left_out_wherever_they_are(tmp_path: Path, cache: str) -> None:
    _draw(tmp_path, "good/0.png", "NG/1.png", f"NG/{cache}/2.png", f"{cache}/3.png")
    source = read_folder(tmp_path, None)
    assert source.parts["train"].names == ["NG/1.png", "good/0.png"]
    assert source.ignored == tuple(sorted([f"NG/{cache}/", f"{cache}/"]))


def test_the_shorter_spelling_of_a_part_goes_first(tmp_path: Path) -> None:
    _draw(tmp_path, "train/a/0.png", "test/b/1.png", "test_images/x/2.png")
    source = read_folder(tmp_path, None)
    assert source.class_names == ("a", "b")
    assert source.ignored == ("test_images/ (1 image)",)


def test_a_folder_like_a_part_without_its_other_part_is_refused(tmp_path: Path) -> None:
    _draw(tmp_path, "Training Set/0.png", "Validation Set/1.png")
    with pytest.raises(DataError, match="Training Set, Validation Set, which are called like"):
        read_folder(tmp_path, None)


def test_folders_with_classes_good_of_their_own_are_refused(tmp_path: Path) -> None:
    for name in ("candle", "pipe"):
        _draw(tmp_path, f"{name}/Data/Images/Normal/0.png", f"{name}/Data/Images/Anomaly/1.png")
    with pytest.raises(DataError, match=r"with good/ or normal/ of their own.*candle, pipe"):
        read_folder(tmp_path, None)
    assert read_folder(tmp_path, None, layout="classes").class_names == ("candle", "pipe")


def test_a_folder_around_the_data_set_is_named(tmp_path: Path) -> None:
    _draw(tmp_path, "set/a/0.png", "set/b/1.png")
    with pytest.raises(DataError, match=r"one folder 'set'.*give --from .*/set if the classes"):
        read_folder(tmp_path, None)
