"""What every object store must do, tried on each."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from agad.errors import StoreError
from agad.objects import MissingObjectError, ObjectStore, check_key, open_objects

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


@pytest.mark.parametrize("data", _FILE_BYTES)
def test_open_reads_the_whole_object(objects: ObjectStore, data: bytes) -> None:
    objects.put_if_absent("a/key", data)
    with objects.open("a/key") as file:
        assert file.read() == data
        assert file.read() == b""


_RANGES = {
    "first": (0, io.SEEK_SET, 4),
    "last": (-8, io.SEEK_END, 8),
    "over the end": (-8, io.SEEK_END, 20),
    "across the buffer": (2**20 - 3, io.SEEK_SET, 6),
    "more than the buffer": (5, io.SEEK_SET, 2**21 + 5),
    "at the end": (len(_LONG), io.SEEK_SET, 1),
    "behind the end": (len(_LONG) + 9, io.SEEK_SET, 1),
}


def test_open_reads_any_range(objects: ObjectStore) -> None:
    objects.put_if_absent("key", _LONG)
    for name, (offset, whence, num_bytes) in _RANGES.items():
        with objects.open("key") as file:
            start = file.seek(offset, whence)
            assert file.tell() == start, name
            assert file.read(num_bytes) == _LONG[start : start + num_bytes], name


def test_open_moves_on_from_where_it_is(objects: ObjectStore) -> None:
    objects.put_if_absent("key", _LONG)
    with objects.open("key") as file:
        assert file.read(3) == _LONG[:3]
        assert file.seek(2**21, io.SEEK_CUR) == 2**21 + 3
        assert file.read(3) == _LONG[2**21 + 3 : 2**21 + 6]
        assert file.seek(0) == 0
        assert file.read(3) == _LONG[:3]


def test_open_gives_a_file_that_cannot_be_written(objects: ObjectStore) -> None:
    objects.put_if_absent("key", b"data")
    with objects.open("key") as file:
        assert file.readable()
        assert file.seekable()
        assert not file.writable()
        with pytest.raises(io.UnsupportedOperation, match="write"):
            file.write(b"other")
    assert objects.get("key") == b"data"


def test_open_serves_a_parquet_column(objects: ObjectStore) -> None:
    rng = np.random.default_rng(0)
    table = pa.table({name: rng.normal(size=100_000) for name in ("a", "b", "c")})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, row_group_size=30_000)
    objects.put_if_absent("scores.parquet", buffer.getvalue())
    with objects.open("scores.parquet") as file:
        assert pq.ParquetFile(file).read(columns=["b"]).equals(table.select(["b"]))


def test_open_raises_when_the_key_is_missing(objects: ObjectStore) -> None:
    objects.put_if_absent("there", b"")
    with pytest.raises(MissingObjectError, match=r"prefix/missing does not exist|store/missing"):
        objects.open("missing")


def test_delete_removes_one_object(objects: ObjectStore) -> None:
    for key in ("a/key", "a/key-2", "b/key"):
        objects.put_if_absent(key, b"data")
    objects.delete("a/key")
    assert objects.list("") == ["a/key-2", "b/key"]
    with pytest.raises(MissingObjectError, match="a/key does not exist"):
        objects.get("a/key")


def test_delete_of_the_last_object_of_a_folder_leaves_no_folder(objects: ObjectStore) -> None:
    for key in ("a/x/key", "b/key"):
        objects.put_if_absent(key, b"data")
    objects.delete("a/x/key")
    assert objects.list_folders() == ["b"]
    assert objects.sizes("") == {"b/key": 4}


def test_delete_allows_that_nothing_is_there(objects: ObjectStore) -> None:
    objects.delete("a/missing")
    objects.put_if_absent("a/key", b"data")
    objects.delete("a/key")
    objects.delete("a/key")
    assert objects.list("") == []


def test_delete_leaves_the_file_that_an_object_was_read_to(
    objects: ObjectStore, tmp_path: Path
) -> None:
    objects.put_if_absent("key", b"data")
    objects.get_file("key", tmp_path / "file")
    objects.delete("key")
    assert (tmp_path / "file").read_bytes() == b"data"


def test_sizes_returns_the_listed_keys_with_their_bytes(objects: ObjectStore) -> None:
    sizes = {"s/b/2": 7, "s/b/10": 0, "s/a": 3_000_000, "t/a": 1}
    for key, size in sizes.items():
        objects.put_if_absent(key, bytes(size))
    assert objects.sizes("") == sizes
    assert list(objects.sizes("s/")) == objects.list("s/") == ["s/a", "s/b/10", "s/b/2"]
    assert objects.sizes("none/") == {}


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
        objects.open("../x")
    with pytest.raises(StoreError, match=r"object key is '../x', but must be segments"):
        objects.delete("../x")
    with pytest.raises(StoreError, match=r"object key is '../x', but must be segments"):
        objects.put_file_if_absent("../x", tmp_path / "file")
    for prefix in ("../", "/", "a/../", ".."):
        with pytest.raises(StoreError, match=r"object key is .*, but must be segments"):
            objects.list(prefix)
        with pytest.raises(StoreError, match=r"object key is .*, but must be segments"):
            objects.sizes(prefix)


def test_the_uri_opens_the_same_objects(objects: ObjectStore) -> None:
    objects.put_if_absent("key", b"data")
    assert open_objects(objects.uri).get("key") == b"data"


def test_overwrite_replaces_what_is_there(objects: ObjectStore) -> None:
    objects.overwrite("study/status.json", b"first")
    assert objects.get("study/status.json") == b"first"
    objects.overwrite("study/status.json", b"second, and longer")
    assert objects.get("study/status.json") == b"second, and longer"
    assert objects.list("study/") == ["study/status.json"]


def test_overwrite_is_never_seen_half_done(objects: ObjectStore) -> None:
    offers = [bytes([place]) * 200_000 for place in range(20)]
    objects.overwrite("key", offers[0])

    def overwrite_all() -> None:
        for data in offers:
            objects.overwrite("key", data)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(overwrite_all)
        while not writing.done():
            assert objects.get("key") in offers
        writing.result()
    assert objects.get("key") == offers[-1]


def test_overwrite_refuses_every_hostile_key(objects: ObjectStore) -> None:
    found = {key: _refusal(objects, key) for key in _HOSTILE_KEYS}
    allowed = {key: text for key, text in found.items() if "must be segments joined by" not in text}
    assert allowed == {}


def _refusal(objects: ObjectStore, key: str) -> str:
    """Return how a store refuses to overwrite a key, or nothing."""
    try:
        objects.overwrite(key, b"")
    except StoreError as error:
        return str(error)
    return ""
