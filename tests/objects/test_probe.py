"""A store that breaks its promise is refused, and one that keeps it is asked once."""

from __future__ import annotations

import io
import os
import re
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest

from agad.errors import StoreError
from agad.objects import (
    LocalObjects,
    MissingObjectError,
    ObjectStore,
    check_conditional_put,
    open_objects,
)
from agad.objects.s3 import S3Bucket


class _Careless:
    """Objects in memory; a put replaces what is there."""

    uri = identity = "s3://careless/prefix"

    def __init__(self) -> None:
        self._data: dict[str, bytes] = {}

    def get(self, key: str) -> bytes:
        if key not in self._data:
            raise MissingObjectError(f"{key} does not exist.")
        return self._data[key]

    def open(self, key: str) -> BinaryIO:
        return io.BytesIO(self.get(key))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self._data[key] = data
        return True

    def get_file(self, key: str, path: Path) -> None:
        path.write_bytes(self.get(key))

    def put_file_if_absent(self, key: str, path: Path) -> bool:
        return self.put_if_absent(key, path.read_bytes())

    def overwrite(self, key: str, data: bytes) -> None:
        self._data[key] = data

    def delete(self, key: str) -> None:
        self._data.pop(key, None)

    def sizes(self, prefix: str) -> dict[str, int]:
        return {key: len(self._data[key]) for key in self.list(prefix)}

    def list_folders(self) -> list[str]:
        return sorted({key.split("/")[0] for key in self._data if "/" in key})

    def list(self, prefix: str) -> list[str]:
        return sorted(key for key in self._data if key.startswith(prefix))


class _CheckingFirst(_Careless):
    """A store that looks whether a key is free, and then writes: right, but for a race.

    The puts of one race look at once, all of them, as a slow server's may.
    """

    def __init__(self) -> None:
        super().__init__()
        self._race = threading.Barrier(8)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        is_free = key not in self._data
        if threading.current_thread() is not threading.main_thread():
            self._race.wait()
        return super().put_if_absent(key, data) if is_free else self._data[key] == data


class _Torn(LocalObjects):
    """A store that tells the winner right, and keeps other bytes."""

    def get(self, key: str) -> bytes:
        data = super().get(key)
        return data if data == b"first" else data[::-1]


def test_check_conditional_put_refuses_a_store_that_overwrites() -> None:
    objects = _Careless()
    with pytest.raises(StoreError, match=r"s3://careless/prefix replaced an object .* condition"):
        check_conditional_put(objects)
    assert objects.list("") == []


def test_check_conditional_put_refuses_a_store_whose_condition_is_not_atomic() -> None:
    objects = _CheckingFirst()
    with pytest.raises(
        StoreError, match=r"careless/prefix let 8 of 8 writers win .* not atomic.*; use a folder or"
    ):
        check_conditional_put(objects)
    assert objects.list("") == []


def test_check_conditional_put_refuses_a_store_that_keeps_other_bytes(tmp_path: Path) -> None:
    objects = _Torn(tmp_path)
    with pytest.raises(StoreError, match=r"kept other bytes than those of the writer"):
        check_conditional_put(objects)
    assert objects.list("") == []


def test_check_conditional_put_leaves_a_mark_alone(objects: ObjectStore) -> None:
    check_conditional_put(objects)
    (mark,) = objects.list("")
    assert re.fullmatch(r"_probes/passed-2-[0-9a-f]{16}", mark)


def test_check_conditional_put_trusts_the_mark(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path)
    check_conditional_put(objects)
    before = tmp_path.joinpath("_probes").stat().st_mtime_ns
    check_conditional_put(objects)
    assert tmp_path.joinpath("_probes").stat().st_mtime_ns == before


def test_check_conditional_put_accepts_a_store_with_the_key_of_an_older_check(
    objects: ObjectStore,
) -> None:
    objects.put_if_absent("_probe", b"agad")
    check_conditional_put(objects)
    older, _ = objects.list("")
    assert older == "_probe"


def test_check_conditional_put_accepts_any_number_of_starts_at_once(objects: ObjectStore) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(check_conditional_put, [objects] * 4))
    (mark,) = objects.list("")
    assert re.fullmatch(r"_probes/passed-2-[0-9a-f]{16}", mark)


def _marks(objects: ObjectStore) -> list[str]:
    return [key for key in objects.list("_probes/") if "passed" in key]


def test_check_conditional_put_checks_a_copy_of_a_store_anew(tmp_path: Path) -> None:
    first = LocalObjects(tmp_path / "first")
    check_conditional_put(first)
    shutil.copytree(tmp_path / "first", tmp_path / "copy")
    with pytest.raises(StoreError, match="kept other bytes"):
        check_conditional_put(_Torn(tmp_path / "copy"))
    check_conditional_put(LocalObjects(tmp_path / "copy"))
    assert len(_marks(LocalObjects(tmp_path / "copy"))) == 2


def test_an_identity_names_the_server_and_no_secret(
    s3_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = open_objects(s3_uri)
    host = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
    assert usual.identity == f"{s3_uri} {host}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://user:secret@{host}")
    assert S3Bucket("bucket", "prefix").identity == f"s3://bucket/prefix {host}"
