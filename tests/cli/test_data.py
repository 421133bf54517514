"""``agad data``: import, fetch, list and show."""

from __future__ import annotations

import gzip
import hashlib
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pytest
from PIL import Image

from agad.data import KNOWN, Library, Manifest, OfficialFile
from agad.objects import open_objects

if TYPE_CHECKING:
    from tests.cli.conftest import RunAgad

ReadStore: TypeAlias = Callable[[], dict[str, int]]
_SHAPES = {f"class-{number % 2}/{number:02}.png": number for number in range(20)}


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Break no line of what is printed."""
    monkeypatch.setenv("COLUMNS", "300")


def _draw(root: Path, pictures: Mapping[str, int]) -> Path:
    """Write 16 x 16 pictures, each of one grey."""
    for name, grey in pictures.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), grey).save(root / name)
    return root


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """Return a folder of ten pictures of each of two classes."""
    return _draw(tmp_path / "pictures", _SHAPES)


@pytest.fixture
def read_store(tmp_path: Path) -> ReadStore:
    """Return what reads the name and the age of every file of the store."""

    def read() -> dict[str, int]:
        files = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
        return {str(path): path.stat().st_mtime_ns for path in files}

    return read


def _manifest(tmp_path: Path, name: str) -> Manifest:
    return Library(open_objects(str(tmp_path / "store"))).manifest(name)


def test_import_keeps_a_folder_of_pictures_and_says_what_it_is(
    run_agad: RunAgad, shapes: Path, tmp_path: Path
) -> None:
    ended = run_agad("data", "import", "shapes", "--from", shapes)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        f"shapes: 14 training and 6 test images of 2 classes, 1 x 16 x 16; imported into "
        f"{tmp_path}/store. Pixel duplicates: none in training, and none of the test part's in "
        "training.\nClasses (training + test images): class-0 (7 + 3), class-1 (7 + 3).\n"
    )
    assert _manifest(tmp_path, "shapes").class_names == ("class-0", "class-1")


def test_import_takes_every_option(run_agad: RunAgad, shapes: Path, tmp_path: Path) -> None:
    options = "--format folder --size 32 --filter box --mode RGB --test-share .2 --test-seed 4"
    ended = run_agad("data", "import", "shapes", "--from", shapes, *options.split())
    assert (ended.code, ended.err) == (0, "")
    manifest = _manifest(tmp_path, "shapes")
    assert manifest.image_shape == (3, 32, 32)
    assert manifest.resize == "to 32 x 32 by Pillow's box"
    assert manifest.test_split == "0.2 of each class by pixel hash, seed 4"
    assert manifest.test.class_counts == (2, 2)


def test_import_keeps_a_data_set_in_the_store_that_is_named(
    run_agad: RunAgad, shapes: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    run_agad("data", "import", "shapes", "--from", shapes, "--store", other)
    assert Library(open_objects(str(other))).names() == ["shapes"]
    assert not (tmp_path / "store").exists()


def test_the_same_import_again_does_nothing(
    run_agad: RunAgad, shapes: Path, tmp_path: Path, read_store: ReadStore
) -> None:
    run_agad("data", "import", "shapes", "--from", shapes)
    before = read_store()
    ended = run_agad("data", "import", "shapes", "--from", shapes)
    assert (ended.code, ended.err) == (0, "")
    assert f"in {tmp_path}/store already, nothing to do" in ended.out
    assert read_store() == before


def test_import_of_other_images_under_a_name_is_refused(
    run_agad: RunAgad, shapes: Path, read_store: ReadStore
) -> None:
    run_agad("data", "import", "shapes", "--from", shapes)
    before = read_store()
    _draw(shapes, {"class-0/new.png": 99})
    ended = run_agad("data", "import", "shapes", "--from", shapes)
    assert ended.code == 2
    assert (
        "already and holds other images; import this one under another name, or remove" in ended.err
    )
    assert read_store() == before


def test_import_says_which_files_are_no_images(run_agad: RunAgad, shapes: Path) -> None:
    for number in range(7):
        (shapes / f"note-{number}.txt").write_text("hello")
    ended = run_agad("data", "import", "shapes", "--from", shapes)
    assert ended.out.startswith(
        "Left out: note-0.txt, note-1.txt, note-2.txt, note-3.txt, note-4.txt and 2 more\n"
    )


@pytest.fixture
def twins(tmp_path: Path) -> Path:
    """Return a folder with an official split, and one training image in its test part."""
    pictures = {f"train/good/{number}.png": number for number in range(5)}
    return _draw(tmp_path / "twins", pictures | {"test/good/a.png": 50, "test/bad/b.png": 3})


_AS_THEY_ARE = ("--drop-duplicates", "--keep-split")


def test_import_refuses_a_training_part_of_one_class_before_the_name_is_taken(
    run_agad: RunAgad, twins: Path, read_store: ReadStore
) -> None:
    ended = run_agad("data", "import", "twins", "--from", twins, "--drop-duplicates")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("agad: the training part holds the class 'good' alone, so a study ")
    assert "Give --test-share 0.5 to choose a test part from all images, or --keep" in ended.err
    assert read_store() == {}
    again = run_agad(
        "data", "import", "twins", "--from", twins, "--drop-duplicates", "--test-share", "0.5"
    )
    assert (again.code, again.err) == (0, "")


def test_import_refuses_duplicates_and_lists_their_files(
    run_agad: RunAgad, twins: Path, read_store: ReadStore
) -> None:
    ended = run_agad("data", "import", "twins", "--from", twins)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.count("\n") == 1
    assert "train/good/3.png = test/bad/b.png. Remove them, or give --drop-duplicates" in ended.err
    assert read_store() == {}


def test_import_keeps_duplicates_out_of_training_where_that_is_asked_for(
    run_agad: RunAgad, twins: Path, tmp_path: Path
) -> None:
    ended = run_agad("data", "import", "twins", "--from", twins, *_AS_THEY_ARE)
    assert (ended.code, ended.err) == (0, "")
    assert "Pixel duplicates kept out of training: 1 in the test part." in ended.out
    assert _manifest(tmp_path, "twins").train.num_images == 4


_WRONG = {
    "format": (
        ("--format", "jpeg"),
        "--format is 'jpeg', but must be one of: digits, idx, cifar10",
    ),
    "size": (("--size", "24"), "--size is 24, but must be one of: 16, 32, 64, 128, 224, 256."),
    "size-0": (("--size", "0"), "--size is 0, but must be one of: 16, 32, 64, 128, 224, 256."),
    "filter": (("--filter", "cubic"), "--filter is 'cubic', but must be one of: nearest, box"),
    "mode": (("--mode", "CMYK"), "--mode is 'CMYK', but must be one of:"),
    "share": (("--test-share", "1"), "--test-share is 1.0, but must be between 0 and 1."),
    "seed": (
        ("--test-share", ".2", "--test-seed", "-1"),
        "--test-seed is -1, but must be a whole number, at least",
    ),
    "seed-alone": (("--test-seed", "3"), "--test-seed is given without --test-share; give both."),
}


@pytest.mark.parametrize(("flags", "message"), _WRONG.values(), ids=_WRONG)
def test_import_refuses_a_wrong_flag_on_one_line_and_writes_nothing(
    run_agad: RunAgad,
    shapes: Path,
    read_store: ReadStore,
    flags: tuple[str, ...],
    message: str,
) -> None:
    ended = run_agad("data", "import", "shapes", "--from", shapes, *flags)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"agad: {message}")
    assert ended.err.count("\n") == 1
    assert read_store() == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mnist",), "--from is missing, but must name the data set's folder or file."),
        (("mine", "--format", "idx"), "--from is missing, but must name"),
        (
            ("mnist", "--from", "/nowhere"),
            "--from is /nowhere, but there is no such folder or file",
        ),
        (("digits", "--from", "/tmp"), "--from is /tmp, but digits come with scikit-learn; leave"),
        (("Shapes", "--from", "/tmp"), "data set name is 'Shapes', but must start with a lower-"),
    ],
    ids=["known", "unknown", "not-there", "digits", "name"],
)
def test_import_refuses_what_it_cannot_read_on_one_line_and_writes_nothing(
    run_agad: RunAgad, read_store: ReadStore, arguments: tuple[str, ...], message: str
) -> None:
    ended = run_agad("data", "import", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"agad: {message}")
    assert ended.err.count("\n") == 1
    assert read_store() == {}


def test_import_needs_a_folder_of_images_in_the_layout_of_classes(
    run_agad: RunAgad, tmp_path: Path, read_store: ReadStore
) -> None:
    ended = run_agad("data", "import", "flat", "--from", _draw(tmp_path / "flat", {"a.png": 1}))
    assert ended.code == 2
    assert "a.png is an image in no class" in ended.err
    assert read_store() == {}


def test_list_shows_the_imported_data_sets_and_the_known_ones(
    run_agad: RunAgad, shapes: Path, twins: Path, tmp_path: Path
) -> None:
    run_agad("data", "import", "shapes", "--from", shapes)
    run_agad("data", "import", "twins", "--from", twins, *_AS_THEY_ARE)
    ended = run_agad("data", "list")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"Data sets in {tmp_path}/store\n")
    lines = [line.split() for line in ended.out.splitlines()]
    fingerprint = _manifest(tmp_path, "shapes").fingerprint[:12]
    assert ["shapes", "2", "1", "x", "16", "x", "16", "14", "6", "chosen", fingerprint] in lines
    assert any(line[:1] == ["twins"] and line[-2] == "official" for line in lines)
    assert "Known by name, not imported here: digits, mnist, fashion-mnist, cifar10" in ended.out


def test_list_of_an_empty_store_writes_nothing(run_agad: RunAgad, tmp_path: Path) -> None:
    ended = run_agad("data", "list")
    assert (ended.code, ended.err) == (0, "")
    assert "none" in ended.out
    assert not (tmp_path / "store").exists()
    assert not (tmp_path / "home").exists()


def test_show_tells_the_classes_and_the_source(
    run_agad: RunAgad, shapes: Path, tmp_path: Path
) -> None:
    run_agad("data", "import", "shapes", "--from", shapes)
    ended = run_agad("data", "show", "shapes")
    assert (ended.code, ended.err) == (0, "")
    lines = [line.split() for line in ended.out.splitlines()]
    assert ["0", "class-0", "7", "3"] in lines
    assert ["1", "class-1", "7", "3"] in lines
    for told in (
        "Images: 1 x 16 x 16; resized: none.",
        "Source: folder pictures. Test part: 0.3333 of each class by pixel hash, seed 0.",
        "Validation: 1 labelled anomaly where",
        f"Content: SHA-256 {_manifest(tmp_path, 'shapes').fingerprint}.",
        "Pixel duplicates: none in training",
    ):
        assert told in ended.out
    assert not (tmp_path / "cache").exists()


def test_show_lists_the_duplicates(run_agad: RunAgad, twins: Path) -> None:
    run_agad("data", "import", "twins", "--from", twins, *_AS_THEY_ARE)
    ended = run_agad("data", "show", "twins")
    assert "train/good/3.png (in the test part): test/bad/b.png" in ended.out


def test_show_writes_a_picture_of_the_training_images(
    run_agad: RunAgad, twins: Path, tmp_path: Path
) -> None:
    run_agad("data", "import", "twins", "--from", twins, *_AS_THEY_ARE)
    png = tmp_path / "sheet.png"
    ended = run_agad("data", "show", "twins", "--png", png)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.endswith(f"Training images of each class: {png}\n")
    with Image.open(png) as opened:
        pixels = np.asarray(opened)
    assert pixels.shape == (2 * 66, 600, 3)
    assert pixels[16 + 20, [20, 70, 120, 170, 220], 0].tolist() == [0, 1, 2, 4, 255]
    assert len(list((tmp_path / "cache").glob("*.arrow"))) == 1


def test_show_takes_the_cache_that_is_named(
    run_agad: RunAgad, shapes: Path, tmp_path: Path
) -> None:
    run_agad("data", "import", "shapes", "--from", shapes)
    png, cache = tmp_path / "sheet.png", tmp_path / "another"
    run_agad("data", "show", "shapes", "--png", png, "--cache", cache)
    assert len(list(cache.glob("*.arrow"))) == 1
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--cache-gib", "0"), "--cache-gib is 0, but must be above 0."),
        (("--cache-gib", "nan"), "--cache-gib is nan, but must be above 0."),
        (("--cache-gib", "1e-9"), "a file of .* does not fit the cache .*; raise --cache-gib"),
        (("--cache", "/dev/null"), "the cache /dev/null cannot be used .*; name another folder"),
    ],
    ids=["zero", "nan", "too-small", "no-folder"],
)
def test_show_refuses_a_cache_that_cannot_be_used(
    run_agad: RunAgad, shapes: Path, tmp_path: Path, flags: tuple[str, ...], message: str
) -> None:
    run_agad("data", "import", "shapes", "--from", shapes)
    ended = run_agad("data", "show", "shapes", "--png", tmp_path / "sheet.png", *flags)
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert re.match(f"agad: {message}", ended.err)
    assert not (tmp_path / "sheet.png").exists()


def test_show_of_a_data_set_that_is_not_there_says_how_to_import_it(
    run_agad: RunAgad, tmp_path: Path
) -> None:
    ended = run_agad("data", "show", "mnist")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        f"agad: data set 'mnist' is not in {tmp_path}/store, which holds: none; import it: agad "
        f"data import mnist --from PATH --store {tmp_path}/store\n"
    )


def test_show_imports_digits_by_itself(run_agad: RunAgad, tmp_path: Path) -> None:
    ended = run_agad("data", "show", "digits")
    assert (ended.code, ended.err) == (0, "")
    assert _manifest(tmp_path, "digits").class_names == tuple("0123456789")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let MNIST be a small data set that a server on loopback publishes from this folder."""
    folder = tmp_path / "published"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for prefix, num_images in (("train", 20), ("t10k", 10)):
        pixels = rng.integers(256, size=(num_images, 28, 28), dtype=np.uint8)
        shape = bytes((0, 0, 0, num_images, 0, 0, 0, 28, 0, 0, 0, 28))
        labels = bytes(number % 10 for number in range(num_images))
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(
            gzip.compress(bytes((0, 0, 8, 3)) + shape + pixels.tobytes())
        )
        (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(
            gzip.compress(bytes((0, 0, 8, 1)) + shape[:4] + labels)
        )
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    files = [
        OfficialFile(
            name=file.name,
            url=f"http://127.0.0.1:{server.server_port}/{file.name}",
            md5=hashlib.md5(file.read_bytes()).hexdigest(),
        )
        for file in sorted(folder.iterdir())
    ]
    monkeypatch.setitem(KNOWN, "mnist", replace(KNOWN["mnist"], files=tuple(files)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield folder
    server.shutdown()
    thread.join()
    server.server_close()


def test_fetch_downloads_a_known_data_set_and_imports_it(
    run_agad: RunAgad, publisher: Path, tmp_path: Path
) -> None:
    ended = run_agad("data", "fetch", "mnist")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count(": downloading http://127.0.0.1:") == 4
    assert ended.out.count("checksum ok") == 4
    assert "mnist: 20 training and 10 test images of 10 classes, 1 x 32 x 32; imported" in ended.out
    downloads = tmp_path / "home" / ".agad" / "downloads" / "mnist"
    assert {path.name for path in downloads.iterdir()} == {
        path.name for path in publisher.iterdir()
    }
    assert _manifest(tmp_path, "mnist").test_split == "official"


def test_fetch_downloads_nothing_twice(
    run_agad: RunAgad, publisher: Path, read_store: ReadStore
) -> None:
    run_agad("data", "fetch", "mnist")
    before = read_store()
    for path in publisher.iterdir():
        path.unlink()
    ended = run_agad("data", "fetch", "mnist")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count(": there already, checksum ok") == 4
    assert "already, nothing to do" in ended.out
    assert read_store() == before


def test_fetch_downloads_into_the_folder_that_is_named(
    run_agad: RunAgad, publisher: Path, tmp_path: Path
) -> None:
    ended = run_agad("data", "fetch", "mnist", "--to", tmp_path / "official", "--size", "16")
    assert (ended.code, ended.err) == (0, "")
    assert len(list((tmp_path / "official").iterdir())) == len(list(publisher.iterdir()))
    assert not (tmp_path / "home").exists()
    assert _manifest(tmp_path, "mnist").image_px == 16


def test_fetch_refuses_a_file_that_is_not_what_was_published(
    run_agad: RunAgad, publisher: Path, read_store: ReadStore
) -> None:
    (publisher / "t10k-labels-idx1-ubyte.gz").write_bytes(b"something else")
    ended = run_agad("data", "fetch", "mnist")
    assert ended.code == 2
    assert "t10k-labels-idx1-ubyte.gz cannot be downloaded: it has the MD5" in ended.err
    assert read_store() == {}


@pytest.mark.parametrize("name", ["digits", "imagenet", "shapes"])
def test_fetch_knows_only_the_known_data_sets_with_files(
    run_agad: RunAgad, tmp_path: Path, name: str
) -> None:
    ended = run_agad("data", "fetch", name)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(
        f"agad: data set name is '{name}', but only these can be fetched: mnist, fashion-mnist, cif"
    )
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "store").exists()
    assert not (tmp_path / "home").exists()


def test_the_console_script_imports_and_lists(shapes: Path, tmp_path: Path) -> None:
    agad = Path(sys.executable).parent / "agad"
    environment = {
        "HOME": str(tmp_path / "home"),
        "AGAD_STORE": str(tmp_path / "store"),
        "COLUMNS": "200",
    }
    outputs = [
        subprocess.run(
            [agad, "data", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout
        for arguments in (("import", "shapes", "--from", str(shapes)), ("list",))
    ]
    assert outputs[0].startswith("shapes: 14 training and 6 test images of 2 classes")
    assert "shapes" in outputs[1]
