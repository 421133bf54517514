"""A node's cache: each file fetched once, mapped by all, and removed when nobody needs it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

import numpy as np
import pytest

from agad.data.cache import NodeCache
from agad.data.images import Images, SourceImages
from agad.data.library import Library
from agad.data.manifest import StoredPart
from agad.data.partfile import open_part, write_part
from agad.errors import DataError, StoreError
from agad.objects import open_objects

if TYPE_CHECKING:
    from tests.data.conftest import MakeDataset

_GIB = 2**30


@dataclass(slots=True)
class Kept:
    """A file that a store keeps, which counts how often it is fetched."""

    file: Path
    part: StoredPart
    num_fetched: int = field(default=0)

    def fetch(self, path: Path) -> None:
        self.num_fetched += 1
        shutil.copyfile(self.file, path)

    @property
    def name(self) -> str:
        """Its name in the cache."""
        return f"{self.part.sha256}.arrow"


MakeKept: TypeAlias = Callable[..., Kept]


@pytest.fixture
def make_kept(tmp_path: Path) -> MakeKept:
    """Return a builder of kept files of equal size, whose every pixel is their number."""

    def build(number: int, num_images: int = 100) -> Kept:
        folder = tmp_path / "kept"
        folder.mkdir(exist_ok=True)
        pixels = np.full((num_images, 1, 16, 16), number, np.uint8)
        source = SourceImages(
            images=Images(pixels, np.arange(num_images) % 3), names=["an image"] * num_images
        )
        file = folder / f"{number}.arrow"
        return Kept(file, write_part(file, source, 3))

    return build


@pytest.fixture
def kept(make_kept: MakeKept) -> Kept:
    return make_kept(5)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the folder of the cache, which is not there yet."""
    return tmp_path / "cache"


@pytest.fixture
def cache(root: Path) -> NodeCache:
    return NodeCache(folder=str(root))


def _files(root: Path) -> set[str]:
    """Return the names of all files but the locks."""
    return {path.name for path in root.iterdir() if path.suffix != ".lock"}


def test_a_file_is_fetched_once(cache: NodeCache, kept: Kept) -> None:
    for _ in range(3):
        images = cache.open(kept.part, kept.fetch)
        np.testing.assert_array_equal(images.pixels, open_part(kept.file).pixels)
        np.testing.assert_array_equal(images.labels, open_part(kept.file).labels)
    assert kept.num_fetched == 1


def test_the_cache_holds_the_file_and_nothing_else(
    cache: NodeCache, root: Path, kept: Kept
) -> None:
    cache.open(kept.part, kept.fetch)
    assert _files(root) == {kept.name}
    assert (root / kept.name).read_bytes() == kept.file.read_bytes()


def test_the_default_folder_is_in_the_home_of_whoever_opens_the_cache(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = NodeCache()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    cache.open(kept.part, kept.fetch)
    assert _files(tmp_path / "home" / ".agad" / "cache") == {kept.name}


def test_threads_that_open_a_file_at_once_fetch_it_once(cache: NodeCache, kept: Kept) -> None:
    barrier = threading.Barrier(8)

    def fetch_slowly(path: Path) -> None:
        kept.fetch(path)
        time.sleep(0.2)

    def open_it(_: int) -> Images:
        barrier.wait(timeout=30)
        return cache.open(kept.part, fetch_slowly)

    with ThreadPoolExecutor(8) as pool:
        sums = [int(images.pixels.sum()) for images in pool.map(open_it, range(8))]
    assert sums == [5 * 100 * 16 * 16] * 8
    assert kept.num_fetched == 1


def test_files_of_two_data_sets_are_fetched_at_the_same_time(
    cache: NodeCache, make_kept: MakeKept
) -> None:
    both = [make_kept(1), make_kept(2)]
    barrier = threading.Barrier(2)

    def open_it(one: Kept) -> Images:
        def fetch_abreast(path: Path) -> None:
            barrier.wait(timeout=30)
            one.fetch(path)

        return cache.open(one.part, fetch_abreast)

    with ThreadPoolExecutor(2) as pool:
        found = [int(images.pixels.max()) for images in pool.map(open_it, both)]
    assert found == [1, 2]


def test_a_file_with_the_wrong_checksum_is_refused_and_nothing_is_left(
    cache: NodeCache, root: Path, kept: Kept, make_kept: MakeKept
) -> None:
    match = (
        f"^the fetched file has SHA-256 {make_kept(6).part.sha256}, but must have "
        f"{kept.part.sha256}: the store's object was changed; restore it from a copy"
    )
    with pytest.raises(DataError, match=match):
        cache.open(kept.part, make_kept(6).fetch)
    assert _files(root) == set()


@pytest.mark.parametrize(
    "error",
    [StoreError("the store went away"), KeyboardInterrupt("Ctrl-C"), RuntimeError("a bug")],
    ids=repr,
)
def test_an_interrupted_fetch_leaves_nothing_and_the_next_one_works(
    cache: NodeCache, root: Path, kept: Kept, error: BaseException
) -> None:
    def fetch_half(path: Path) -> None:
        path.write_bytes(kept.file.read_bytes()[:1000])
        raise error

    with pytest.raises(type(error), match=str(error)):
        cache.open(kept.part, fetch_half)
    assert _files(root) == set()
    assert len(cache.open(kept.part, kept.fetch).labels) == 100


def test_what_a_crashed_fetch_left_is_written_over(
    cache: NodeCache, root: Path, kept: Kept
) -> None:
    root.mkdir()
    (root / f"{kept.part.sha256}.part").write_bytes(bytes(10**6))
    cache.open(kept.part, kept.fetch)
    assert _files(root) == {kept.name}


@pytest.mark.parametrize("length", [0, 1, 1000])
def test_a_truncated_file_is_fetched_again(
    cache: NodeCache, root: Path, kept: Kept, length: int
) -> None:
    cache.open(kept.part, kept.fetch)
    os.truncate(root / kept.name, length)
    assert len(cache.open(kept.part, kept.fetch).labels) == 100
    assert kept.num_fetched == 2
    assert (root / kept.name).stat().st_size == kept.part.num_bytes


def test_a_damaged_file_of_the_right_size_is_named(
    cache: NodeCache, root: Path, kept: Kept
) -> None:
    cache.open(kept.part, kept.fetch)
    (root / kept.name).write_bytes(bytes(kept.part.num_bytes))
    match = rf"^{root / kept.name} is no file of imported images .*; remove it, and it is fetched"
    with pytest.raises(DataError, match=match):
        cache.open(kept.part, kept.fetch)


def _limited(root: Path, one: Kept, num_files: float) -> NodeCache:
    return NodeCache(folder=str(root), max_gib=num_files * one.part.num_bytes / _GIB)


def _filled(root: Path, make_kept: MakeKept) -> list[Kept]:
    """Fill a cache with three files that were last used one after the other, long ago."""
    several = [make_kept(number) for number in range(3)]
    for one in several:
        NodeCache(folder=str(root)).open(one.part, one.fetch)
    for second, one in enumerate(several):
        os.utime(root / one.name, (1000.0 + second,) * 2)
    return several


@pytest.mark.parametrize(
    ("num_files", "stay"), [(4, {0, 1, 2}), (3.5, {1, 2}), (2, {2}), (1, set())]
)
def test_the_longest_unused_files_are_removed_to_stay_below_the_limit(
    root: Path, make_kept: MakeKept, num_files: float, stay: set[int]
) -> None:
    _filled(root, make_kept)
    new = make_kept(9)
    _limited(root, new, num_files).open(new.part, new.fetch)
    assert _files(root) == {make_kept(number).name for number in stay} | {new.name}
    sizes = sum(path.stat().st_size for path in root.glob("*.arrow"))
    assert sizes <= num_files * new.part.num_bytes


def test_opening_a_file_counts_as_a_use(root: Path, make_kept: MakeKept) -> None:
    first, second, third = _filled(root, make_kept)
    new = make_kept(9)
    cache = _limited(root, new, 3)
    cache.open(first.part, first.fetch)
    cache.open(new.part, new.fetch)
    assert _files(root) == {first.name, third.name, new.name}
    assert (first.num_fetched, second.num_fetched) == (1, 1)


def test_a_file_in_use_is_not_removed(root: Path, make_kept: MakeKept) -> None:
    first, _, third = _filled(root, make_kept)
    images = open_part(root / first.name)
    new = make_kept(9)
    _limited(root, new, 3).open(new.part, new.fetch)
    assert _files(root) == {first.name, third.name, new.name}
    assert int(images.pixels.max()) == 0


def test_a_removed_file_is_fetched_again(root: Path, make_kept: MakeKept) -> None:
    first, _, _ = _filled(root, make_kept)
    new = make_kept(9)
    cache = _limited(root, new, 1)
    cache.open(new.part, new.fetch)
    cache.open(first.part, first.fetch)
    assert first.num_fetched == 2
    assert _files(root) == {first.name}


def test_a_cache_whose_files_are_all_in_use_grows_and_says_so(
    root: Path, make_kept: MakeKept, caplog: pytest.LogCaptureFixture
) -> None:
    in_use = [open_part(root / one.name) for one in _filled(root, make_kept)]
    new = make_kept(9)
    images = _limited(root, new, 2).open(new.part, new.fetch)
    assert len(images.labels) == 100
    assert len(_files(root)) == 4
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"{root} holds more than" in caplog.text
    del in_use


def test_a_file_larger_than_the_limit_is_refused_and_removes_nothing(
    root: Path, make_kept: MakeKept
) -> None:
    several = _filled(root, make_kept)
    new = make_kept(9)
    match = r"^a file of .* GiB does not fit the cache .* GiB; raise --cache-gib\.$"
    with pytest.raises(DataError, match=match):
        _limited(root, new, 0.9).open(new.part, new.fetch)
    assert _files(root) == {one.name for one in several}
    assert new.num_fetched == 0


@pytest.mark.parametrize("below", ["", "deeper", "deeper/still"])
def test_a_file_in_place_of_the_folder_is_named(root: Path, kept: Kept, below: str) -> None:
    root.write_text("a file")
    match = rf"^the cache {root}.* cannot be used \(.*\); name another folder with --cache\.$"
    with pytest.raises(DataError, match=match):
        NodeCache(folder=str(root / below)).open(kept.part, kept.fetch)
    assert kept.num_fetched == 0


def test_the_home_of_an_unknown_user_is_refused(kept: Kept) -> None:
    with pytest.raises(DataError, match=r"^--cache is ~nobody-here/cache, whose home is not known"):
        NodeCache(folder="~nobody-here/cache").open(kept.part, kept.fetch)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into every folder")
@pytest.mark.parametrize("mode", [0o500, 0o000])
def test_a_folder_that_cannot_be_written_is_named(root: Path, kept: Kept, mode: int) -> None:
    root.mkdir(mode=mode)
    match = rf"^the cache {root} cannot be used \(Permission denied\); name another folder with"
    with pytest.raises(DataError, match=match):
        NodeCache(folder=str(root)).open(kept.part, kept.fetch)


def test_a_full_disk_is_one_line_that_names_the_cache(
    cache: NodeCache, root: Path, kept: Kept
) -> None:
    def fetch(_: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    match = rf"^the cache {root} cannot be used \(No space left on device\); name another folder"
    with pytest.raises(DataError, match=match):
        cache.open(kept.part, fetch)


def test_the_file_of_another_user_is_opened_all_the_same(
    cache: NodeCache, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    cache.open(kept.part, kept.fetch)
    monkeypatch.setattr(os, "utime", refuse)
    assert len(cache.open(kept.part, kept.fetch).labels) == 100
    assert kept.num_fetched == 1


_WORKERS = """
import json, multiprocessing, sys
import pyarrow  # Loaded before the processes part, so that their growth is the images alone.
from pathlib import Path
from agad.data import Manifest, NodeCache, open_images

context = multiprocessing.get_context("fork")
manifest = Manifest.from_json(Path(sys.argv[1]).read_bytes(), "")
cache = NodeCache(folder=sys.argv[3])
barrier, answers = context.Barrier(8), context.SimpleQueue()

def pss_bytes():
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return 1024 * int(line.split()[1])

def work():
    barrier.wait(60)
    before = pss_bytes()
    barrier.wait(60)
    images = open_images(manifest, "train", store=sys.argv[2], cache=cache)
    total = int(images.pixels.sum())
    barrier.wait(60)
    growth = pss_bytes() - before
    barrier.wait(60)
    answers.put((total, growth))

processes = [context.Process(target=work) for _ in range(8)]
for process in processes:
    process.start()
for process in processes:
    process.join()
    assert process.exitcode == 0, process.exitcode
print(json.dumps([answers.get() for _ in processes]))
"""
"""Opens the training images in 8 processes at once: one import of torch, but 8 cold starts."""


def _open_in_8_processes(manifest: bytes, store: str, root: Path) -> tuple[list[int], int]:
    """Return the sum of pixels that each process found, and how much memory they took together."""
    path = root.parent / "manifest.json"
    path.write_bytes(manifest)
    done = subprocess.run(
        [sys.executable, "-c", _WORKERS, str(path), store, str(root)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    return [total for total, _ in answers], sum(growth for _, growth in answers)


class _Counting(ThreadingHTTPServer):
    """Passes on every GET to another server, and notes its path."""

    daemon_threads = True

    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), _PassOn)
        self.behind = urlsplit(endpoint).netloc
        self.paths: list[str] = []


class _PassOn(BaseHTTPRequestHandler):
    server: _Counting

    def do_GET(self) -> None:
        self.server.paths.append(self.path.partition("?")[0])
        with closing(HTTPConnection(self.server.behind, timeout=30)) as behind:
            behind.request("GET", self.path, headers=dict(self.headers))
            answer = behind.getresponse()
            body = answer.read()
        self.send_response(answer.status)
        for name in ("Content-Type", "ETag", "Last-Modified"):
            self.send_header(name, answer.getheader(name, ""))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def gets(s3_endpoint: str) -> Iterator[_Counting]:
    """Return a server in front of the S3 server."""
    server = _Counting(s3_endpoint)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_8_processes_on_a_cold_cache_fetch_an_object_once(
    gets: _Counting,
    s3_uri: str,
    make_dataset: MakeDataset,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manifest, files = make_dataset()
    Library(open_objects(s3_uri)).put(manifest, files)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{gets.server_port}")
    sums, _ = _open_in_8_processes(manifest.to_json(), s3_uri, root)
    fetched = [path for path in gets.paths if path.endswith(".arrow")]
    assert [path.rpartition("/")[2] for path in fetched] == [f"{manifest.train.sha256}.arrow"]
    assert sums == [int(open_part(files["train"]).pixels.sum())] * 8


def test_8_processes_share_one_copy_of_the_images(
    make_dataset: MakeDataset, tmp_path: Path, root: Path
) -> None:
    manifest, files = make_dataset()
    pixels = np.random.default_rng(0).integers(256, size=(1250, 3, 128, 128), dtype=np.uint8)
    labels = np.zeros(1250, np.int64)
    large = SourceImages(images=Images(pixels, labels), names=["an image"] * 1250)
    stored = write_part(files["train"], large, len(manifest.class_names))
    document = json.loads(manifest.to_json())
    document["train"] |= {
        "sha256": stored.sha256,
        "num_bytes": stored.num_bytes,
        "class_counts": list(stored.class_counts),
    }
    kept = tmp_path / "store" / "_datasets" / "shapes" / f"{stored.sha256}.arrow"
    kept.parent.mkdir(parents=True)
    files["train"].rename(kept)
    sums, growth = _open_in_8_processes(
        json.dumps(document).encode(), str(tmp_path / "store"), root
    )
    assert sums == [int(pixels.sum())] * 8
    assert 0.5 * stored.num_bytes < growth < 2 * stored.num_bytes


def test_the_first_free_name_is_taken(tmp_path: Path) -> None:
    cache = NodeCache(folder=str(tmp_path))
    with cache.exclusively("a", "b") as first, cache.exclusively("a", "b") as second:
        assert (first, second) == (0, 1)
        with cache.exclusively("c", "a") as other:
            assert other == 0
    with cache.exclusively("a", "b") as again:
        assert again == 0


def test_where_no_name_is_free_the_caller_waits_for_the_first(tmp_path: Path) -> None:
    cache = NodeCache(folder=str(tmp_path))
    order = []

    def wait() -> None:
        with cache.exclusively("a") as place:
            order.append(place)

    with cache.exclusively("a"):
        waiting = threading.Thread(target=wait)
        waiting.start()
        waiting.join(0.2)
        assert order == []
    waiting.join(30)
    assert order == [0]


def test_an_error_of_an_exclusive_block_is_no_error_of_the_cache(tmp_path: Path) -> None:
    cache = NodeCache(folder=str(tmp_path))
    with pytest.raises(FileNotFoundError, match="weights"), cache.exclusively("a"):
        raise FileNotFoundError("no weights")
    (tmp_path / "file").touch()
    with (
        pytest.raises(DataError, match=r"the cache .* cannot be used"),
        NodeCache(folder=str(tmp_path / "file")).exclusively("a"),
    ):
        pass
