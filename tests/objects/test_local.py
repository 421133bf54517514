"""What a folder has that a bucket has not."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from agad.errors import StoreError
from agad.objects import LocalObjects


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
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(descriptor))

    monkeypatch.setattr(os, "fsync", full)
    objects = LocalObjects(tmp_path)
    with pytest.raises(StoreError, match=r"key cannot be written: No space left on device"):
        objects.put_if_absent("key", b"data")
    assert list(tmp_path.iterdir()) == []


def test_put_if_absent_names_hard_links_when_the_file_system_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*names: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(names))

    monkeypatch.setattr(os, "link", refuse)
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
