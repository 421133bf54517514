"""What every object store must do, tried on each."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agad.errors import StoreError
from agad.objects import (
    MissingObjectError,
    ObjectStore,
    check_conditional_put,
    check_key,
    open_objects,
)

_HOSTILE_KEYS = [
    "",
    "/etc/passwd",
    "../outside",
    "a/../../outside",
    "a/./b",
    "a//b",
    "a/",
    ".hidden",
    "a/.hidden",
    "-flag",
    "a b",
    "a\nb",
    "a\n",
    "a\0b",
    "a\\b",
    "é",
    "a%2e%2e",
    "a" * 201,
]
_LONG = bytes(range(251)) * 10_000
_FILE_BYTES = [
    pytest.param(b"", id="empty"),
    pytest.param(b"\x00one\n", id="short"),
    pytest.param(bytes(2**20), id="one-chunk"),
    pytest.param(_LONG, id="several-chunks"),
]


def test_put_if_absent_keeps_the_bytes(objects: ObjectStore) -> None:
    assert objects.put_if_absent("study/a.json", b"\x00one\n")
    assert objects.get("study/a.json") == b"\x00one\n"


def test_put_if_absent_refuses_other_bytes_and_keeps_the_first(objects: ObjectStore) -> None:
    objects.put_if_absent("key", b"first")
    assert not objects.put_if_absent("key", b"second")
    assert objects.get("key") == b"first"


def test_put_if_absent_says_true_when_the_same_bytes_are_there(objects: ObjectStore) -> None:
    objects.put_if_absent("key", b"same")
    assert objects.put_if_absent("key", b"same")


def test_put_if_absent_takes_an_empty_object(objects: ObjectStore) -> None:
    assert objects.put_if_absent("key", b"")
    assert objects.get("key") == b""


def test_put_if_absent_has_one_winner_among_eight_threads(objects: ObjectStore) -> None:
    barrier = threading.Barrier(8)

    def put(data: bytes) -> bool:
        barrier.wait()
        return objects.put_if_absent("race/key", data)

    offers = [bytes([writer]) * 10_000 for writer in range(8)]
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(put, offers))
    assert sum(won) == 1
    assert objects.get("race/key") == offers[won.index(True)]
    assert objects.list("") == ["race/key"]


def test_get_raises_when_the_key_is_missing(objects: ObjectStore) -> None:
    objects.put_if_absent("there", b"")
    with pytest.raises(MissingObjectError, match=r"prefix/missing does not exist|store/missing"):
        objects.get("missing")


@pytest.mark.parametrize("data", _FILE_BYTES)
def test_put_file_if_absent_keeps_the_bytes(
    objects: ObjectStore, tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert objects.put_file_if_absent("data/images", path)
    assert objects.get("data/images") == data
    assert path.read_bytes() == data


def test_put_file_if_absent_keeps_the_bytes_when_the_file_changes_later(
    objects: ObjectStore, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"first")
    objects.put_file_if_absent("key", path)
    path.write_bytes(b"second")
    assert objects.get("key") == b"first"


@pytest.mark.parametrize("data", _FILE_BYTES)
def test_put_file_if_absent_says_true_when_the_same_bytes_are_there(
    objects: ObjectStore, tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    objects.put_if_absent("key", data)
    assert objects.put_file_if_absent("key", path)


@pytest.mark.parametrize(
    "there",
    [
        pytest.param(b"", id="empty"),
        pytest.param(_LONG[:-1], id="shorter"),
        pytest.param(_LONG + b"0", id="longer"),
        pytest.param(_LONG[:-1] + b"0", id="another-last-byte"),
    ],
)
def test_put_file_if_absent_refuses_other_bytes_and_keeps_the_first(
    objects: ObjectStore, tmp_path: Path, there: bytes
) -> None:
    path = tmp_path / "file"
    path.write_bytes(_LONG)
    objects.put_if_absent("key", there)
    assert not objects.put_file_if_absent("key", path)
    assert objects.get("key") == there


def test_put_file_if_absent_has_one_winner_among_eight_threads(
    objects: ObjectStore, tmp_path: Path
) -> None:
    barrier = threading.Barrier(8)
    paths = [tmp_path / f"file-{writer}" for writer in range(8)]
    for writer, path in enumerate(paths):
        path.write_bytes(bytes([writer]) * 10_000)

    def put(path: Path) -> bool:
        barrier.wait()
        return objects.put_file_if_absent("race/key", path)

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(put, paths))
    assert sum(won) == 1
    assert objects.get("race/key") == paths[won.index(True)].read_bytes()
    assert objects.list("") == ["race/key"]


def test_put_file_if_absent_names_the_file_when_it_cannot_be_read(
    objects: ObjectStore, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match=r"absent cannot be read: No such file") as caught:
        objects.put_file_if_absent("key", tmp_path / "absent")
    assert not isinstance(caught.value, MissingObjectError)
    with pytest.raises(StoreError, match=rf"{tmp_path} cannot be read: Is a directory"):
        objects.put_file_if_absent("key", tmp_path)
    assert objects.list("") == []


@pytest.mark.parametrize("data", _FILE_BYTES)
def test_get_file_writes_the_bytes(objects: ObjectStore, tmp_path: Path, data: bytes) -> None:
    objects.put_if_absent("data/images", data)
    objects.get_file("data/images", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == data


def test_get_file_replaces_a_file_and_leaves_the_object_that_it_was(
    objects: ObjectStore, tmp_path: Path
) -> None:
    objects.put_if_absent("a", b"first")
    objects.put_if_absent("b", b"second")
    objects.get_file("a", tmp_path / "file")
    objects.get_file("b", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"second"
    assert objects.get("a") == b"first"


def test_get_file_allows_that_the_file_is_removed(objects: ObjectStore, tmp_path: Path) -> None:
    objects.put_if_absent("key", b"data")
    objects.get_file("key", tmp_path / "file")
    (tmp_path / "file").unlink()
    assert objects.get("key") == b"data"


def test_get_file_raises_and_leaves_no_file_when_the_key_is_missing(
    objects: ObjectStore, tmp_path: Path
) -> None:
    objects.put_if_absent("there", b"")
    with pytest.raises(MissingObjectError, match=r"prefix/missing does not exist|store/missing"):
        objects.get_file("missing", tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_get_file_names_the_file_when_its_folder_is_missing(
    objects: ObjectStore, tmp_path: Path
) -> None:
    objects.put_if_absent("key", b"data")
    with pytest.raises(StoreError, match=r"absent/file cannot be written: No such file") as caught:
        objects.get_file("key", tmp_path / "absent" / "file")
    assert not isinstance(caught.value, MissingObjectError)


def test_list_returns_sorted_keys_that_start_with_the_prefix(objects: ObjectStore) -> None:
    keys = ["s/b/2", "s/b/10", "s/a", "s-2/a", "t/a"]
    for key in keys:
        objects.put_if_absent(key, b"")
    assert objects.list("") == sorted(keys)
    assert objects.list("s/") == ["s/a", "s/b/10", "s/b/2"]
    assert objects.list("s/b") == ["s/b/10", "s/b/2"]
    assert objects.list("s") == ["s-2/a", "s/a", "s/b/10", "s/b/2"]


def test_list_is_empty_when_nothing_was_put(objects: ObjectStore) -> None:
    assert objects.list("") == []
    assert objects.list("study/") == []
    assert objects.list_folders() == []


def test_list_folders_returns_first_segments_once(objects: ObjectStore) -> None:
    for key in ("b/x/1", "b/x/2", "a/1", "file"):
        objects.put_if_absent(key, b"")
    assert objects.list_folders() == ["a", "b"]


@pytest.mark.parametrize("key", _HOSTILE_KEYS)
def test_check_key_refuses_a_hostile_key(key: str) -> None:
    with pytest.raises(StoreError, match=r"object key is .*, but must be segments"):
        check_key(key)


def test_a_key_that_leaves_the_store_is_refused_everywhere(
    objects: ObjectStore, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match=r"object key is 'a/../../x', but must be segments"):
        objects.put_if_absent("a/../../x", b"x")
    with pytest.raises(StoreError, match=r"object key is '../x', but must be segments"):
        objects.get("../x")
    with pytest.raises(StoreError, match=r"object key is '../x', but must be segments"):
        objects.get_file("../x", tmp_path / "file")
    with pytest.raises(StoreError, match=r"object key is '../x', but must be segments"):
        objects.put_file_if_absent("../x", tmp_path / "file")
    for prefix in ("../", "/", "a/../", ".."):
        with pytest.raises(StoreError, match=r"object key is .*, but must be segments"):
            objects.list(prefix)


def test_the_uri_opens_the_same_objects(objects: ObjectStore) -> None:
    objects.put_if_absent("key", b"data")
    assert open_objects(objects.uri).get("key") == b"data"


def test_check_conditional_put_accepts_any_number_of_starts_at_once(objects: ObjectStore) -> None:
    check_conditional_put(objects)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(check_conditional_put, [objects] * 4))
    assert objects.list_folders() == []
