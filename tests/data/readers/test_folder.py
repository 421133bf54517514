"""The layout of a folder of images: classes, parts, what is ignored and what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agad.data.images import Part, Source
from agad.data.readers import read_folder
from agad.data.resize import Resize
from agad.errors import ConfigError, DataError

_TO_16 = Resize(image_px=16)


def _draw(root: Path, *names: str, grey: int = 0, size: tuple[int, int] = (16, 16)) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, grey).save(root / name)


@pytest.fixture
def mvtec(tmp_path: Path) -> Path:
    """A set laid out as MVTec AD's, in a folder beside which nothing else is."""
    root = tmp_path / "bottle"
    _draw(root, "train/good/000.png", "train/good/001.png")
    _draw(root, "test/good/000.png", "test/broken/000.png", "test/contamination/000.png")
    _draw(root, "ground_truth/broken/000_mask.png")
    (root / "license.txt").write_text("CC")
    return root


def test_read_folder_reads_the_layout_of_mvtec(
    mvtec: Path, counts: Callable[[Source, Part], list[int]]
) -> None:
    source = read_folder(mvtec, None)
    assert source.class_names == ("good", "broken", "contamination")
    assert counts(source, "train") == [2, 0, 0]
    assert counts(source, "test") == [1, 1, 1]
    assert source.parts["train"].names == ["train/good/000.png", "train/good/001.png"]
    assert source.parts["test"].images.labels.tolist() == [1, 2, 0]
    assert source.parts["test"].images.labels.dtype == np.int64
    assert source.ignored == ("ground_truth/ (1 image)", "license.txt")


def test_read_folder_takes_one_folder_a_class_as_training_alone(tmp_path: Path) -> None:
    _draw(tmp_path, "cat/a.png", "dog/b.png")
    source = read_folder(tmp_path, None)
    assert list(source.parts) == ["train"]
    assert source.class_names == ("cat", "dog")
    assert source.parts["train"].names == ["cat/a.png", "dog/b.png"]
    assert source.parts["train"].images.labels.tolist() == [0, 1]


def test_read_folder_keeps_each_image_with_its_name_and_label(tmp_path: Path) -> None:
    for number in range(200):
        _draw(tmp_path, f"class-{number % 3}/{number:03}.png", grey=number)
    found = read_folder(tmp_path, None).parts["train"]
    greys = [int(Path(name).stem) for name in found.names]
    assert found.images.pixels[:, 0, 5, 5].tolist() == greys
    assert found.images.labels.tolist() == [grey % 3 for grey in greys]
    assert list(found.names) == sorted(found.names)


@pytest.mark.parametrize("name", ["good", "normal", "ok", "OK", "Good"])
def test_read_folder_puts_the_class_that_is_normal_by_its_name_first(
    tmp_path: Path, name: str
) -> None:
    _draw(tmp_path, "zebra/a.png", f"{name}/a.png", "Bee/a.png", "ant/a.png")
    assert read_folder(tmp_path, None).class_names == (name, "Bee", "ant", "zebra")


def test_read_folder_finds_images_in_folders_below_a_class(tmp_path: Path) -> None:
    _draw(tmp_path, "a/x/deep/1.png", "a/0.png", "b/0.png", "a/b/2.JPG")
    names = read_folder(tmp_path, None).parts["train"].names
    assert names == ["a/0.png", "a/b/2.JPG", "a/x/deep/1.png", "b/0.png"]


def test_read_folder_passes_over_what_is_hidden(tmp_path: Path) -> None:
    _draw(tmp_path, "a/0.png", "a/.1.png", "b/0.png", ".cache/0.png", "a/.x/0.png", ".0.png")
    source = read_folder(tmp_path, None)
    assert source.parts["train"].names == ["a/0.png", "b/0.png"]
    assert source.ignored == ()


def test_read_folder_reports_files_that_are_no_images(tmp_path: Path) -> None:
    _draw(tmp_path, "a/0.png", "b/0.png")
    for name in ("notes.txt", "a/Thumbs.db", "b/png", "b/Icon\r"):
        (tmp_path / name).touch()
    assert read_folder(tmp_path, None).ignored == (
        *("'b/Icon\\r'", "a/Thumbs.db", "b/png", "notes.txt"),
    )


def test_read_folder_follows_no_link_to_a_folder(tmp_path: Path) -> None:
    _draw(tmp_path / "outside", "a/0.png")
    _draw(tmp_path / "root", "a/0.png", "b/0.png")
    (tmp_path / "root/a/loop").symlink_to(tmp_path / "root")
    (tmp_path / "root/c").symlink_to(tmp_path / "outside")
    source = read_folder(tmp_path / "root", None)
    assert source.class_names == ("a", "b")
    assert source.ignored == ("a/loop/", "c/")


def test_read_folder_takes_parts_that_are_links(mvtec: Path) -> None:
    (mvtec / "train").rename(mvtec.parent / "elsewhere")
    (mvtec / "train").symlink_to(mvtec.parent / "elsewhere")
    source = read_folder(mvtec, None)
    assert len(source.parts["train"].names) == 2
    assert source.ignored == ("ground_truth/ (1 image)", "license.txt")


@pytest.mark.parametrize("place", ["", "train/", "test/"], ids=["root", "train", "test"])
def test_read_folder_refuses_an_image_in_no_class(mvtec: Path, place: str) -> None:
    _draw(mvtec, f"{place}stray.png")
    match = rf"{mvtec}/{place}stray\.png is an image in no class, but must lie in the folder of"
    with pytest.raises(DataError, match=match):
        read_folder(mvtec, None)


def test_read_folder_names_a_class_without_an_image(mvtec: Path) -> None:
    (mvtec / "test/scratch/empty").mkdir(parents=True)
    match = r"bottle/test/scratch is the folder of a class, but holds no image; remove it, or"
    with pytest.raises(DataError, match=match):
        read_folder(mvtec, None)


def test_read_folder_refuses_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no folder of a class; put one folder a class into"):
        read_folder(tmp_path, None)


def test_read_folder_refuses_a_part_without_a_class(mvtec: Path) -> None:
    (mvtec / "train").rename(mvtec / "moved")
    (mvtec / "train").mkdir()
    with pytest.raises(DataError, match=r"bottle/train holds no folder of a class; put one folder"):
        read_folder(mvtec, None)


def test_read_folder_refuses_one_class_alone(tmp_path: Path) -> None:
    _draw(tmp_path, "train/good/0.png", "test/good/1.png")
    with pytest.raises(DataError, match="holds the one class 'good', but must hold two at least"):
        read_folder(tmp_path, None)


def test_read_folder_refuses_more_than_1000_classes(tmp_path: Path) -> None:
    for number in range(1001):
        (tmp_path / f"{number}").mkdir()
    with pytest.raises(DataError, match="holds 1001 folders, but must hold one a class, 1000 at"):
        read_folder(tmp_path, None)


@pytest.mark.parametrize("name", ["missing", "file"])
def test_read_folder_refuses_what_is_no_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    match = rf"{name} is no folder, but must be one of images; name another with --from"
    with pytest.raises(DataError, match=match):
        read_folder(tmp_path / name, None)


@pytest.mark.parametrize(
    ("name", "shown"), [(b"\xff.png", r"udcff"), (b"a\nb.png", r"a\\nb")], ids=["latin-1", "lines"]
)
def test_read_folder_refuses_the_name_of_an_image_that_is_not_text(
    tmp_path: Path, name: bytes, shown: str
) -> None:
    _draw(tmp_path, "a/0.png", "b/0.png")
    (tmp_path / "a/0.png").rename(os.fsdecode(bytes(tmp_path / "a") + b"/" + name))
    with pytest.raises(
        DataError, match=rf"holds the image 'a/.*{shown}.*', but must hold names of"
    ):
        read_folder(tmp_path, None)


def test_read_folder_names_modes_that_there_are(mvtec: Path) -> None:
    with pytest.raises(ConfigError, match="--mode is 'CMYK', but must be one of: auto, L, RGB"):
        read_folder(mvtec, None, "CMYK")


def test_read_folder_asks_for_a_size_where_there_are_several(mvtec: Path) -> None:
    _draw(mvtec, "test/good/001.png", size=(20, 30))
    match = (
        r"--size is missing, but must be given for images of 16 x 16 \(train/good/000\.png\), "
        r"20 x 30 \(test/good/001\.png\) in .*bottle; give --size N, one of 16, 32, 64, 128, 224, "
    )
    with pytest.raises(ConfigError, match=match):
        read_folder(mvtec, None)


def test_read_folder_shows_only_some_of_many_sizes(tmp_path: Path) -> None:
    for number in range(1, 7):
        _draw(tmp_path, f"a/{number}.png", f"b/{number}.png", size=(number, 5))
    match = r"of 1 x 5 \(a/1.png\), 2 x 5 \(a/2.png\), 3 x 5 \(a/3.png\) and 3 more sizes in"
    with pytest.raises(ConfigError, match=match):
        read_folder(tmp_path, None)


@pytest.mark.parametrize("size", [(28, 28), (16, 32), (1, 1)], ids=["odd", "oblong", "tiny"])
def test_read_folder_asks_for_a_size_where_the_networks_do_not_take_the_one_there_is(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    _draw(tmp_path, "a/0.png", "b/0.png", size=size)
    with pytest.raises(ConfigError, match=rf"--size is missing, .* {size[0]} x {size[1]} \(a/0"):
        read_folder(tmp_path, None)


def test_read_folder_brings_images_of_any_size_to_one(tmp_path: Path) -> None:
    _draw(tmp_path, "a/0.png", size=(20, 30), grey=7)
    _draw(tmp_path, "b/0.png", size=(1, 500), grey=9)
    pixels = read_folder(tmp_path, _TO_16).parts["train"].images.pixels
    assert pixels.shape == (2, 1, 16, 16)
    assert np.unique(pixels[0]).tolist() == [7]
    assert np.unique(pixels[1]).tolist() == [9]


def test_read_folder_leaves_the_folder_as_it_was(
    mvtec: Path, listing: Callable[[Path], dict[str, int]]
) -> None:
    before = listing(mvtec.parent)
    read_folder(mvtec, None)
    assert listing(mvtec.parent) == before
