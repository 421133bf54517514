"""CIFAR-10's files, unpacked and in archives, whole and damaged."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pytest

from agad.data.cifar import read_cifar10
from agad.data.images import Part
from agad.errors import DataError

Mode: TypeAlias = Literal["w", "w:gz", "w:xz"]

_REAL = Path(__file__).parents[2].parent / "shared/data/cifar10"
_RECORD = 3073
_TRAIN = [f"data_batch_{number}.bin" for number in range(1, 6)]
_ARCHIVES: list[tuple[str, Mode]] = [
    ("cifar-10-binary.tar", "w"),
    ("cifar-10-binary.tar.gz", "w:gz"),
    ("cifar-10-binary.tar.xz", "w:xz"),
]


def _batch(number: int, num_records: int) -> bytes:
    rng = np.random.default_rng(number)
    records = rng.integers(256, size=(num_records, _RECORD), dtype=np.uint8)
    records[:, 0] %= 10
    return records.tobytes()


def _pack(folder: Path, name: str, mode: Mode, member_folder: str = "cifar-10-batches-bin") -> Path:
    """Move the unpacked batches of a folder into an archive beside them."""
    unpacked = folder / "cifar-10-batches-bin"
    with tarfile.open(folder / name, mode) as tar:
        for path in sorted(unpacked.iterdir()):
            tar.add(path, f"{member_folder}/{path.name}")
            path.unlink()
    unpacked.rmdir()
    return folder / name


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """A folder whose batches hold one to five records, and two in the test batch."""
    batches = tmp_path / "cifar-10-batches-bin"
    batches.mkdir()
    for number, name in enumerate(_TRAIN, start=1):
        (batches / name).write_bytes(_batch(number, num_records=number))
    (batches / "test_batch.bin").write_bytes(_batch(6, num_records=2))
    return tmp_path


@pytest.fixture(params=[("folder", "w"), *_ARCHIVES], ids=["folder", "tar", "tar.gz", "tar.xz"])
def folder(request: pytest.FixtureRequest, unpacked: Path) -> Path:
    name, mode = request.param
    if name != "folder":
        _pack(unpacked, name, mode)
    return unpacked


def test_read_cifar10_returns_the_training_batches_in_order(folder: Path) -> None:
    records = np.frombuffer(b"".join(_batch(n, n) for n in range(1, 6)), np.uint8)
    records = records.reshape(15, _RECORD)
    images = read_cifar10(folder, "train")
    assert images.labels.tolist() == records[:, 0].tolist()
    assert images.pixels.shape == (15, 3, 32, 32)
    np.testing.assert_array_equal(images.pixels.reshape(15, -1), records[:, 1:])
    assert images.pixels.dtype == np.uint8
    assert images.labels.dtype == np.int64


def test_read_cifar10_returns_the_test_batch(folder: Path) -> None:
    records = np.frombuffer(_batch(6, 2), np.uint8).reshape(2, _RECORD)
    images = read_cifar10(folder, "test")
    assert images.labels.tolist() == records[:, 0].tolist()
    np.testing.assert_array_equal(images.pixels.reshape(2, -1), records[:, 1:])


def test_read_cifar10_reads_the_planes_as_red_green_and_blue_row_by_row(unpacked: Path) -> None:
    record = np.zeros(_RECORD, np.uint8)
    record[1 + 1024 + 2 * 32 + 5] = 200  # Green, row 2, column 5.
    (unpacked / "cifar-10-batches-bin/test_batch.bin").write_bytes(record.tobytes())
    images = read_cifar10(unpacked, "test")
    assert images.pixels[0, 1, 2, 5] == 200
    assert images.pixels.sum() == 200


def test_read_cifar10_opens_the_training_batches_alone(unpacked: Path) -> None:
    (unpacked / "cifar-10-batches-bin/test_batch.bin").unlink()
    assert len(read_cifar10(unpacked, "train").labels) == 15


def test_read_cifar10_opens_the_test_batch_alone(unpacked: Path) -> None:
    for name in _TRAIN:
        (unpacked / "cifar-10-batches-bin" / name).unlink()
    assert len(read_cifar10(unpacked, "test").labels) == 2


@pytest.mark.parametrize(("name", "mode"), _ARCHIVES, ids=["tar", "tar.gz", "tar.xz"])
def test_read_cifar10_needs_no_test_batch_in_an_archive_to_train(
    unpacked: Path, name: str, mode: Mode
) -> None:
    (unpacked / "cifar-10-batches-bin/test_batch.bin").unlink()
    _pack(unpacked, name, mode)
    assert len(read_cifar10(unpacked, "train").labels) == 15


def test_read_cifar10_takes_an_archive_whose_members_start_with_a_dot(unpacked: Path) -> None:
    _pack(unpacked, "cifar-10-binary.tar.gz", "w:gz", "./cifar-10-batches-bin")
    assert len(read_cifar10(unpacked, "test").labels) == 2


def test_read_cifar10_unpacks_nothing_to_the_disk(unpacked: Path) -> None:
    archive = _pack(unpacked, "cifar-10-binary.tar.gz", "w:gz")
    read_cifar10(unpacked, "train")
    assert list(unpacked.iterdir()) == [archive]


@pytest.mark.parametrize("part", ["train", "test"])
def test_read_cifar10_names_what_is_missing_and_what_to_do(tmp_path: Path, part: Part) -> None:
    match = r"/cifar-10-batches-bin \(or a cifar-10-binary\.tar beside it\) is missing; put the"
    with pytest.raises(DataError, match=match):
        read_cifar10(tmp_path / "nowhere", part)


@pytest.mark.parametrize(
    ("part", "name"), [("train", "data_batch_4.bin"), ("test", "test_batch.bin")]
)
def test_read_cifar10_names_a_missing_batch(unpacked: Path, part: Part, name: str) -> None:
    (unpacked / "cifar-10-batches-bin" / name).unlink()
    with pytest.raises(DataError, match=rf"{name} is missing; unpack the official archive again"):
        read_cifar10(unpacked, part)


@pytest.mark.parametrize(
    ("part", "name"), [("train", "data_batch_4.bin"), ("test", "test_batch.bin")]
)
def test_read_cifar10_names_a_batch_that_an_archive_lacks(
    unpacked: Path, part: Part, name: str
) -> None:
    (unpacked / "cifar-10-batches-bin" / name).unlink()
    _pack(unpacked, "cifar-10-binary.tar.gz", "w:gz")
    match = rf"cifar-10-binary\.tar\.gz lacks cifar-10-batches-bin/{name}; download it again"
    with pytest.raises(DataError, match=match):
        read_cifar10(unpacked, part)


def test_read_cifar10_does_not_take_a_batch_of_another_folder_of_an_archive(unpacked: Path) -> None:
    _pack(unpacked, "cifar-10-binary.tar.gz", "w:gz", "elsewhere")
    with pytest.raises(DataError, match=r"lacks cifar-10-batches-bin/test_batch\.bin"):
        read_cifar10(unpacked, "test")


@pytest.mark.parametrize("size", [0, 1, _RECORD - 1, _RECORD + 1])
def test_read_cifar10_refuses_a_batch_of_a_broken_record(unpacked: Path, size: int) -> None:
    (unpacked / "cifar-10-batches-bin/data_batch_2.bin").write_bytes(b"\0" * size)
    match = rf"data_batch_2\.bin has {size} bytes, but must be a multiple of 3073 up to 30730000"
    with pytest.raises(DataError, match=match):
        read_cifar10(unpacked, "train")


def test_read_cifar10_refuses_a_batch_larger_than_the_official_ones(unpacked: Path) -> None:
    with (unpacked / "cifar-10-batches-bin/test_batch.bin").open("wb") as file:
        file.truncate(10_001 * _RECORD)  # A sparse file: it takes no room on the disk.
    match = r"test_batch\.bin has \d+ bytes, but must be a multiple of 3073 up to 30730000"
    with pytest.raises(DataError, match=match):
        read_cifar10(unpacked, "test")


def test_read_cifar10_refuses_a_label_above_9(unpacked: Path) -> None:
    path = unpacked / "cifar-10-batches-bin/data_batch_3.bin"
    path.write_bytes(path.read_bytes() + b"\x0a" + b"\0" * (_RECORD - 1))
    with pytest.raises(DataError, match=r"data_batch_3\.bin holds a label above 9"):
        read_cifar10(unpacked, "train")


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize(("name", "mode"), _ARCHIVES, ids=["tar", "tar.gz", "tar.xz"])
def test_read_cifar10_refuses_a_truncated_archive(
    unpacked: Path, name: str, mode: Mode, part: Part
) -> None:
    archive = _pack(unpacked, name, mode)
    archive.write_bytes(archive.read_bytes()[:4000])
    with pytest.raises(DataError, match=rf"{name} is damaged \(.+\); download it again"):
        read_cifar10(unpacked, part)


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>404</html>", b"\x1f\x8b" + b"\xff" * 600, b"\xfd7zXZ\0" + b"\xff" * 600],
)
def test_read_cifar10_refuses_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz (is damaged|lacks)"):
        read_cifar10(tmp_path, "train")


@pytest.mark.skipif(not _REAL.is_dir(), reason="the subset of CIFAR-10 is not here")
@pytest.mark.parametrize(
    ("part", "num_each"), [("train", 1000), ("test", 250)], ids=["train", "test"]
)
def test_read_cifar10_reads_a_subset_of_the_real_images(part: Part, num_each: int) -> None:
    images = read_cifar10(_REAL, part)
    assert np.bincount(images.labels).tolist() == [num_each] * 10
    assert images.pixels.shape == (10 * num_each, 3, 32, 32)
    means = images.pixels.mean(axis=(0, 2, 3)) / 255
    np.testing.assert_allclose(means, [0.4914, 0.4822, 0.4465], atol=0.01)
