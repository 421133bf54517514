"""Files of images that are mapped into memory."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
import torch

from agad.data.images import Images, SourceImages
from agad.data.partfile import is_in_use, open_part, sha256_of, write_part
from agad.errors import DataError

if TYPE_CHECKING:
    from tests.data.conftest import MakeSource

_LARGE = (200, 3, 128, 128)


def _random(shape: tuple[int, int, int, int], seed: int = 0) -> SourceImages:
    rng = np.random.default_rng(seed)
    images = Images(rng.integers(256, size=shape, dtype=np.uint8), rng.integers(4, size=shape[0]))
    return SourceImages(images=images, names=[f"a/é {number}.png" for number in range(shape[0])])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file of 50 random images of 4 classes."""
    write_part(tmp_path / "part.arrow", _random((50, 3, 16, 16)), 4)
    return tmp_path / "part.arrow"


@pytest.mark.parametrize(
    "shape", [(50, 1, 16, 16), (1, 3, 32, 32), (7, 3, 128, 128)], ids=["grey", "one", "large"]
)
def test_images_come_back_as_they_were_written(
    tmp_path: Path, shape: tuple[int, int, int, int]
) -> None:
    source = _random(shape)
    write_part(tmp_path / "part.arrow", source, 4)
    images = open_part(tmp_path / "part.arrow")
    np.testing.assert_array_equal(images.pixels, source.images.pixels)
    np.testing.assert_array_equal(images.labels, source.images.labels)
    assert [images.pixels.dtype.name, images.labels.dtype.name] == ["uint8", "int64"]


def test_write_part_returns_what_the_file_is(tmp_path: Path, make_source: MakeSource) -> None:
    source = make_source([(1, 0), (2, 2), (3, 2)]).parts["train"]
    stored = write_part(tmp_path / "part.arrow", source, 5)
    data = (tmp_path / "part.arrow").read_bytes()
    assert stored.sha256 == hashlib.sha256(data).hexdigest() == sha256_of(tmp_path / "part.arrow")
    assert stored.num_bytes == len(data)
    assert stored.class_counts == (1, 0, 2, 0, 0)
    assert stored.num_images == 3


def test_equal_images_give_equal_bytes(tmp_path: Path) -> None:
    sums = {
        write_part(tmp_path / f"{number}.arrow", _random((9, 1, 16, 16)), 4).sha256
        for number in range(3)
    }
    assert len(sums) == 1


def test_images_in_another_memory_order_give_equal_bytes(tmp_path: Path) -> None:
    source = _random((9, 3, 16, 16))
    turned = np.ascontiguousarray(source.images.pixels.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    other = SourceImages(images=Images(turned, source.images.labels), names=source.names)
    one = write_part(tmp_path / "one.arrow", source, 4)
    assert write_part(tmp_path / "other.arrow", other, 4) == one


@pytest.mark.parametrize("changed", ["pixels", "labels", "names"])
def test_other_images_give_other_bytes(tmp_path: Path, changed: str) -> None:
    pixels = np.full((2, 1, 16, 16), changed == "pixels", np.uint8)
    labels = np.full(2, changed == "labels", np.int64)
    names = ["other" if changed == "names" else "same"] * 2
    plain = Images(np.zeros((2, 1, 16, 16), np.uint8), np.zeros(2, np.int64))
    one = write_part(tmp_path / "one", SourceImages(images=plain, names=["same"] * 2), 4)
    other = SourceImages(images=Images(pixels, labels), names=names)
    assert write_part(tmp_path / "other", other, 4).sha256 != one.sha256


def test_plain_arrow_reads_the_file(path: Path) -> None:
    source = _random((50, 3, 16, 16))
    with pa.OSFile(str(path)) as file:
        table = pa.ipc.open_file(file).read_all()
    assert table.column_names == ["name", "label", "pixels"]
    assert table["name"].to_pylist() == source.names
    assert table["label"].to_pylist() == source.images.labels.tolist()
    assert table["pixels"].to_pylist() == [image.tobytes() for image in source.images.pixels]


def test_the_pixels_are_the_mapped_file_itself(path: Path) -> None:
    images = open_part(path)
    ranges = [
        [int(end, 16) for end in line.split()[0].split("-")]
        for line in Path("/proc/self/maps").read_text().splitlines()
        if line.endswith(str(path))
    ]
    first = images.pixels.ctypes.data
    assert any(start <= first and first + images.pixels.nbytes <= end for start, end in ranges)


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_opening_a_large_file_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.arrow"
    assert write_part(path, _random((1000, 3, 128, 128)), 4).num_bytes > 49e6
    open_part(path)
    before = _resident_bytes()
    images = open_part(path)
    assert _resident_bytes() - before < 5e6
    assert images.pixels.shape == (1000, 3, 128, 128)


def test_writing_into_the_images_changes_neither_the_file_nor_another_opener(path: Path) -> None:
    data = path.read_bytes()
    one, other = open_part(path), open_part(path)
    expected = other.pixels.copy(), other.labels.copy()
    one.pixels[:] = 7
    one.labels[:] = 1
    np.testing.assert_array_equal(other.pixels, expected[0])
    np.testing.assert_array_equal(other.labels, expected[1])
    assert path.read_bytes() == data
    np.testing.assert_array_equal(open_part(path).pixels, expected[0])


def test_torch_takes_the_images_without_a_copy_or_a_warning(path: Path) -> None:
    images = open_part(path)
    tensor = torch.from_numpy(images.pixels)
    assert tensor.data_ptr() == images.pixels.ctypes.data
    torch.from_numpy(images.labels)


def test_a_file_that_nobody_opened_is_not_in_use(path: Path) -> None:
    assert not is_in_use(path)


def test_a_file_is_in_use_while_its_images_live(path: Path) -> None:
    images = open_part(path)
    assert is_in_use(path)
    del images
    assert not is_in_use(path)


@pytest.mark.parametrize("field", ["pixels", "labels"])
def test_a_file_is_in_use_while_a_view_of_it_lives(path: Path, field: str) -> None:
    view = getattr(open_part(path), field)[3:5]
    assert is_in_use(path)
    del view
    assert not is_in_use(path)


def test_a_file_is_in_use_while_a_tensor_of_it_lives(path: Path) -> None:
    tensor = torch.from_numpy(open_part(path).pixels)[3:5]
    assert is_in_use(path)
    del tensor
    assert not is_in_use(path)


def test_a_file_is_in_use_until_its_last_opener_is_done(path: Path) -> None:
    one, other = open_part(path), open_part(path)
    del one
    assert is_in_use(path)
    del other
    assert not is_in_use(path)


def test_images_outlive_their_file(path: Path) -> None:
    images = open_part(path)
    path.unlink()
    np.testing.assert_array_equal(images.pixels, _random((50, 3, 16, 16)).images.pixels)


def _foreign(**changes: object) -> Callable[[Path], None]:
    """Return a writer of an Arrow file as ours but for some changes."""

    def write(path: Path) -> None:
        with pa.OSFile(str(path)) as file:
            table = pa.ipc.open_file(file).read_all()
        metadata = changes.get("metadata", table.schema.metadata)
        table = table.replace_schema_metadata(metadata).drop_columns(changes.get("without", []))
        table = table.slice(0, changes.get("num_rows", table.num_rows))
        options = pa.ipc.IpcWriteOptions(compression=changes.get("compression"))
        with (
            pa.OSFile(str(path), "wb") as file,
            pa.ipc.new_file(file, table.schema, options=options) as writer,
        ):
            writer.write_table(table)

    return write


def _write_stream(path: Path) -> None:
    with pa.OSFile(str(path)) as file:
        table = pa.ipc.open_file(file).read_all()
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _lose_pixels(path: Path) -> None:
    """Take a piece out of the middle, which keeps the start and the end."""
    data = path.read_bytes()
    path.write_bytes(data[:10_000] + data[20_000:])


_DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut": _cut,
    "cut-by-one-byte": lambda path: os.truncate(path, path.stat().st_size - 1),
    "no-middle": _lose_pixels,
    "text": lambda path: path.write_text("name,label\n" * 99),
    "zeros": lambda path: path.write_bytes(bytes(5000)),
    "stream": _write_stream,
    "no-shape": _foreign(metadata={}),
    "other-shape": _foreign(metadata={"agad_image_shape": "[3, 99, 99]"}),
    "shape-is-no-json": _foreign(metadata={"agad_image_shape": "[3, 16"}),
    "shape-is-no-list": _foreign(metadata={"agad_image_shape": "{}"}),
    "no-pixels": _foreign(without=["pixels"]),
    "no-label": _foreign(without=["label"]),
    "no-rows": _foreign(num_rows=0),
    "compressed": _foreign(compression="zstd"),
}


_REFUSAL = r"part\.arrow is no file of imported images .*; remove it, and it is fetched again"


@pytest.mark.parametrize("damage", _DAMAGE.values(), ids=_DAMAGE)
def test_a_damaged_or_foreign_file_is_refused(path: Path, damage: Callable[[Path], object]) -> None:
    damage(path)
    with pytest.raises(DataError, match=_REFUSAL):
        open_part(path)


@pytest.mark.parametrize("damage", _DAMAGE.values(), ids=_DAMAGE)
def test_a_refused_file_is_not_in_use(path: Path, damage: Callable[[Path], object]) -> None:
    damage(path)
    with pytest.raises(DataError, match=r"part\.arrow"):
        open_part(path)
    assert not is_in_use(path)


def test_an_empty_file_is_refused(path: Path) -> None:
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"part\.arrow is empty; remove it"):
        open_part(path)


def test_a_file_cut_anywhere_is_refused(path: Path) -> None:
    data = path.read_bytes()
    for length in range(1, len(data), 397):
        path.write_bytes(data[:length])
        with pytest.raises(DataError, match=r"part\.arrow is no file of imported images"):
            open_part(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing\.arrow"):
        open_part(tmp_path / "missing.arrow")


def test_a_file_with_any_one_byte_changed_is_read_or_refused(path: Path) -> None:
    data = path.read_bytes()
    refusals = []
    for place in [*range(0, 1500, 11), *range(len(data) - 1500, len(data), 11)]:
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x81]) + data[place + 1 :])
        try:
            open_part(path).pixels.sum()
        except DataError as error:
            refusals.append(str(error))
    assert refusals
    assert [text for text in refusals if not re.search(_REFUSAL, text)] == []
