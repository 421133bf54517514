"""A folder of pictures without classes: what is found in it, and decoding it in parts."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agad.data.readers import find_pictures, pictures, read_in_batches
from agad.data.resize import Resize
from agad.errors import DataError

_TO_16 = Resize(image_px=16)


def _draw(root: Path, *names: str, grey: int = 0) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), grey).save(root / name)


def test_find_pictures_finds_them_at_any_depth_in_order(tmp_path: Path) -> None:
    _draw(tmp_path, "b.png", "a/c.jpg", "a/b/d.BMP", "train/x/e.tiff")
    names, ignored = find_pictures(tmp_path)
    assert names == ["a/b/d.BMP", "a/c.jpg", "b.png", "train/x/e.tiff"]
    assert ignored == ()


def test_find_pictures_passes_over_what_is_hidden_and_names_the_rest(tmp_path: Path) -> None:
    _draw(tmp_path, "a.png", ".hidden/b.png", ".c.png", "d/e.png")
    (tmp_path / "d" / "notes.txt").write_text("none")
    (tmp_path / "link").symlink_to(tmp_path / "d")
    assert find_pictures(tmp_path) == (["a.png", "d/e.png"], ("d/notes.txt", "link/"))


def test_find_pictures_does_not_follow_a_ring_of_links(tmp_path: Path) -> None:
    _draw(tmp_path, "a/b.png")
    (tmp_path / "a" / "ring").symlink_to(tmp_path)
    assert find_pictures(tmp_path)[0] == ["a/b.png"]


def test_find_pictures_refuses_a_folder_without_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no image, but must hold one at least"):
        find_pictures(tmp_path)


@pytest.mark.parametrize("name", ["nothing", "a.png"])
def test_find_pictures_refuses_what_is_no_folder(tmp_path: Path, name: str) -> None:
    _draw(tmp_path, "a.png")
    with pytest.raises(DataError, match=f"{name} is no folder, but must be one of images"):
        find_pictures(tmp_path / name)


@pytest.mark.parametrize("name", [b"a\nb.png", b"\xff.png", b"a\x1b[0m.png"])
def test_find_pictures_refuses_a_name_that_is_no_line_of_text(tmp_path: Path, name: bytes) -> None:
    (tmp_path / os.fsdecode(name)).write_bytes(b"")
    with pytest.raises(DataError, match="must hold names of one line of Unicode; rename it"):
        find_pictures(tmp_path)


def test_read_in_batches_decodes_every_picture_once_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_BATCH", 3)
    names = [f"{number}.png" for number in range(8)]
    for number, name in enumerate(names):
        _draw(tmp_path, name, grey=number)
    batches = [*read_in_batches(tmp_path, names, _TO_16, "RGB")]
    assert [len(batch.names) for batch in batches] == [3, 3, 2]
    assert [name for batch in batches for name in batch.names] == names
    pixels = np.concatenate([batch.pixels for batch in batches])
    assert pixels.shape == (8, 3, 16, 16)
    assert pixels[:, 2, 5, 5].tolist() == [*range(8)]


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_read_in_batches_passes_over_what_is_damaged_where_asked_for(
    tmp_path: Path, mode: str
) -> None:
    _draw(tmp_path, "a.png", grey=1)
    _draw(tmp_path, "c.png", grey=3)
    (tmp_path / "b.png").write_bytes(b"no picture")
    names = ["a.png", "b.png", "c.png"]
    (batch,) = read_in_batches(tmp_path, names, _TO_16, mode, skips_damaged=True)
    assert batch.names == ["a.png", "c.png"]
    assert batch.pixels[:, 0, 0, 0].tolist() == [1, 3]
    assert [*batch.skipped] == ["b.png"]
    assert "b.png is no image, but must be one of" in batch.skipped["b.png"]


def test_read_in_batches_gives_no_picture_where_all_are_damaged(tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(b"no picture")
    (batch,) = read_in_batches(tmp_path, ["b.png"], _TO_16, "RGB", skips_damaged=True)
    assert batch.names == []
    assert batch.pixels.shape == (0, 3, 16, 16)


def test_read_in_batches_names_what_is_damaged(tmp_path: Path) -> None:
    _draw(tmp_path, "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"b\.png is no image"):
        [*read_in_batches(tmp_path, ["a.png", "b.png"], _TO_16, "L")]
