"""What a folder has that a bucket has not."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from agad.errors import StoreError
from agad.objects import LocalObjects


def _full(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(descriptor))


def _refuse(*names: object) -> None:
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(names))


def test_put_if_absent_leaves_no_temporary_file(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path)
    objects.put_if_absent("a/key", b"first")
    objects.put_if_absent("a/key", b"second")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["key"]


def test_a_temporary_file_of_a_killed_writer_is_not_listed(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path)
    objects.put_if_absent("a/key", b"")
    (tmp_path / "a" / ".0123.tmp").write_bytes(b"half a fi")
    assert objects.list("") == ["a/key"]


def test_a_write_that_fails_midway_leaves_nothing_to_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", _full)
    objects = LocalObjects(tmp_path)
    with pytest.raises(StoreError, match=r"key cannot be written: No space left on device"):
        objects.put_if_absent("key", b"data")
    assert list(tmp_path.iterdir()) == []


def test_put_if_absent_names_hard_links_when_the_file_system_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", _refuse)
    with pytest.raises(StoreError, match=r"not permitted; check .* has hard links"):
        LocalObjects(tmp_path).put_if_absent("key", b"data")


def test_reading_creates_no_folder(tmp_path: Path) -> None:
    LocalObjects(tmp_path / "mistyped").list("")
    assert not (tmp_path / "mistyped").exists()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    objects = LocalObjects(tmp_path / "file")
    with pytest.raises(StoreError, match="file cannot be listed: Not a directory"):
        objects.list("")
    with pytest.raises(StoreError, match="file/key cannot be written"):
        objects.put_if_absent("key", b"")


def test_a_key_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path)
    objects.put_if_absent("a/b", b"")
    with pytest.raises(StoreError, match="a cannot be written: Is a directory"):
        objects.put_if_absent("a", b"")


def test_put_file_if_absent_leaves_no_temporary_file(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path / "store")
    (tmp_path / "first").write_bytes(b"first")
    (tmp_path / "second").write_bytes(b"second")
    objects.put_file_if_absent("key", tmp_path / "first")
    objects.put_file_if_absent("key", tmp_path / "second")
    with pytest.raises(StoreError, match="absent cannot be read"):
        objects.put_file_if_absent("other", tmp_path / "absent")
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["key"]


def test_get_file_gives_the_object_a_second_name(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path / "store")
    objects.put_if_absent("key", b"data")
    objects.get_file("key", tmp_path / "file")
    assert (tmp_path / "file").samefile(tmp_path / "store" / "key")


def test_get_file_copies_when_it_cannot_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = LocalObjects(tmp_path / "store")
    objects.put_if_absent("key", b"data")
    monkeypatch.setattr(os, "link", _refuse)
    objects.get_file("key", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"data"
    assert not (tmp_path / "file").samefile(tmp_path / "store" / "key")


def test_get_file_leaves_no_file_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = LocalObjects(tmp_path / "store")
    objects.put_if_absent("key", b"data")
    monkeypatch.setattr(os, "link", _refuse)
    monkeypatch.setattr(os, "fsync", _full)
    with pytest.raises(StoreError, match=rf"{tmp_path}/file cannot be written: No space left"):
        objects.get_file("key", tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_get_file_refuses_a_key_that_is_a_folder(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path / "store")
    objects.put_if_absent("a/b", b"")
    with pytest.raises(StoreError, match="store/a cannot be read: Is a directory"):
        objects.get_file("a", tmp_path / "file")
    assert not (tmp_path / "file").exists()
