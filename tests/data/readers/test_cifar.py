"""CIFAR-10's files, unpacked and in archives, whole and damaged."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pytest

from agad.data.images import Part, Source
from agad.data.readers import read_cifar10, read_cifar100
from agad.errors import ConfigError, DataError

Mode: TypeAlias = Literal["w", "w:gz", "w:bz2", "w:xz"]

_REAL = Path(__file__).parents[3].parent / "shared/data/cifar10"
_RECORD = 3073
_TRAIN = [f"data_batch_{number}.bin" for number in range(1, 6)]
_ARCHIVES: list[tuple[str, Mode]] = [
    ("cifar-10-binary.tar", "w"),
    ("cifar-10-binary.tar.gz", "w:gz"),
    ("cifar-10-binary.tar.bz2", "w:bz2"),
    ("cifar-10-binary.tar.xz", "w:xz"),
]
_ARCHIVE_IDS = ["tar", "tar.gz", "tar.bz2", "tar.xz"]


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


@pytest.fixture(params=[("folder", "w"), *_ARCHIVES], ids=["folder", *_ARCHIVE_IDS])
def folder(request: pytest.FixtureRequest, unpacked: Path) -> Path:
    name, mode = request.param
    if name != "folder":
        _pack(unpacked, name, mode)
    return unpacked


def test_read_cifar10_returns_the_training_batches_in_order(folder: Path) -> None:
    records = np.frombuffer(b"".join(_batch(n, n) for n in range(1, 6)), np.uint8)
    records = records.reshape(15, _RECORD)
    found = read_cifar10(folder).parts["train"]
    assert found.images.labels.tolist() == records[:, 0].tolist()
    assert found.images.pixels.shape == (15, 3, 32, 32)
    np.testing.assert_array_equal(found.images.pixels.reshape(15, -1), records[:, 1:])
    assert found.images.pixels.dtype == np.uint8
    assert found.images.labels.dtype == np.int64
    assert list(found.names) == [f"train[{number}]" for number in range(15)]


def test_read_cifar10_returns_the_test_batch(folder: Path) -> None:
    records = np.frombuffer(_batch(6, 2), np.uint8).reshape(2, _RECORD)
    found = read_cifar10(folder).parts["test"]
    assert found.images.labels.tolist() == records[:, 0].tolist()
    np.testing.assert_array_equal(found.images.pixels.reshape(2, -1), records[:, 1:])
    assert list(found.names) == ["test[0]", "test[1]"]


def test_read_cifar10_names_its_classes(unpacked: Path) -> None:
    names = "airplane automobile bird cat deer dog frog horse ship truck"
    assert " ".join(read_cifar10(unpacked).class_names) == names


def test_read_cifar10_reads_the_planes_as_red_green_and_blue_row_by_row(unpacked: Path) -> None:
    record = np.zeros(_RECORD, np.uint8)
    record[1 + 1024 + 2 * 32 + 5] = 200  # Green, row 2, column 5.
    (unpacked / "cifar-10-batches-bin/test_batch.bin").write_bytes(record.tobytes())
    pixels = read_cifar10(unpacked).parts["test"].images.pixels
    assert pixels[0, 1, 2, 5] == 200
    assert pixels.sum() == 200


def test_read_cifar10_takes_the_folder_of_the_batches_itself(unpacked: Path) -> None:
    (unpacked / "cifar-10-batches-bin").rename(unpacked / "renamed")
    assert len(read_cifar10(unpacked / "renamed").parts["train"].names) == 15


@pytest.mark.parametrize(("name", "mode"), _ARCHIVES, ids=_ARCHIVE_IDS)
def test_read_cifar10_takes_the_archive_itself_under_any_name(
    unpacked: Path, name: str, mode: Mode
) -> None:
    archive = _pack(unpacked, name, mode).rename(unpacked / "download")
    assert len(read_cifar10(archive).parts["train"].names) == 15


def test_read_cifar10_takes_an_archive_whose_members_start_with_a_dot(unpacked: Path) -> None:
    _pack(unpacked, "cifar-10-binary.tar.gz", "w:gz", "./cifar-10-batches-bin")
    assert len(read_cifar10(unpacked).parts["test"].names) == 2


def test_read_cifar10_unpacks_nothing_to_the_disk(
    unpacked: Path, listing: Callable[[Path], dict[str, int]]
) -> None:
    _pack(unpacked, "cifar-10-binary.tar.gz", "w:gz")
    before = listing(unpacked.parent)
    read_cifar10(unpacked)
    assert listing(unpacked.parent) == before


def test_read_cifar10_names_what_is_missing_and_what_to_do(tmp_path: Path) -> None:
    match = r"/cifar-10-batches-bin \(or a cifar-10-binary\.tar beside it\) is missing; put the"
    with pytest.raises(DataError, match=match):
        read_cifar10(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["data_batch_4.bin", "test_batch.bin"])
def test_read_cifar10_names_a_missing_batch(unpacked: Path, name: str) -> None:
    (unpacked / "cifar-10-batches-bin" / name).unlink()
    with pytest.raises(DataError, match=rf"{name} is missing; unpack the official archive again"):
        read_cifar10(unpacked)


@pytest.mark.parametrize("name", ["data_batch_4.bin", "test_batch.bin"])
def test_read_cifar10_names_a_batch_that_an_archive_lacks(unpacked: Path, name: str) -> None:
    (unpacked / "cifar-10-batches-bin" / name).unlink()
    _pack(unpacked, "cifar-10-binary.tar.gz", "w:gz")
    match = rf"cifar-10-binary\.tar\.gz lacks cifar-10-batches-bin/{name}; download it again"
    with pytest.raises(DataError, match=match):
        read_cifar10(unpacked)


def test_read_cifar10_does_not_take_a_batch_of_another_folder_of_an_archive(unpacked: Path) -> None:
    _pack(unpacked, "cifar-10-binary.tar.gz", "w:gz", "elsewhere")
    with pytest.raises(DataError, match=r"lacks cifar-10-batches-bin/data_batch_1\.bin"):
        read_cifar10(unpacked)


@pytest.mark.parametrize("size", [0, 1, _RECORD - 1, _RECORD + 1])
def test_read_cifar10_refuses_a_batch_of_a_broken_record(unpacked: Path, size: int) -> None:
    (unpacked / "cifar-10-batches-bin/data_batch_2.bin").write_bytes(b"\0" * size)
    match = rf"data_batch_2\.bin has {size} bytes, but must have a multiple of 3073 up to 30730000"
    with pytest.raises(DataError, match=match):
        read_cifar10(unpacked)


def test_read_cifar10_refuses_a_batch_larger_than_the_official_ones(unpacked: Path) -> None:
    with (unpacked / "cifar-10-batches-bin/test_batch.bin").open("wb") as file:
        file.truncate(10_001 * _RECORD)  # A sparse file: it takes no room on the disk.
    match = r"test_batch\.bin has more than 30730000 bytes, but must have a multiple of 3073 up"
    with pytest.raises(DataError, match=match):
        read_cifar10(unpacked)


def test_read_cifar10_refuses_a_label_above_9(unpacked: Path) -> None:
    path = unpacked / "cifar-10-batches-bin/data_batch_3.bin"
    path.write_bytes(path.read_bytes() + b"\x0a" + b"\0" * (_RECORD - 1))
    with pytest.raises(
        DataError, match=r"data_batch_3\.bin holds the label 10, but must hold labels of 0 to 9"
    ):
        read_cifar10(unpacked)


@pytest.mark.parametrize(("name", "mode"), _ARCHIVES, ids=_ARCHIVE_IDS)
def test_read_cifar10_refuses_a_truncated_archive(unpacked: Path, name: str, mode: Mode) -> None:
    archive = _pack(unpacked, name, mode)
    archive.write_bytes(archive.read_bytes()[:4000])
    with pytest.raises(DataError, match=rf"{name} is damaged \(.+\); download it again"):
        read_cifar10(unpacked)


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>404</html>", b"\x1f\x8b" + b"\xff" * 600, b"\xfd7zXZ\0" + b"\xff" * 600],
)
def test_read_cifar10_refuses_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz (is damaged|lacks)"):
        read_cifar10(tmp_path)


def _add(tar: tarfile.TarFile, name: str, body: bytes = b"", kind: bytes = tarfile.REGTYPE) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(body)
    member.type = kind
    member.linkname = "/etc/passwd"
    tar.addfile(member, io.BytesIO(body))


def _pack_first(folder: Path, name: str, kind: bytes = tarfile.REGTYPE, body: bytes = b"") -> None:
    """Pack the batches behind a member of another kind."""
    with tarfile.open(folder / "cifar-10-binary.tar", "w") as tar:
        _add(tar, name, body, kind)
        for path in sorted((folder / "cifar-10-batches-bin").iterdir()):
            tar.add(path, f"cifar-10-batches-bin/{path.name}")
            path.unlink()
    (folder / "cifar-10-batches-bin").rmdir()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../../escaped.bin", tarfile.REGTYPE),
        ("/tmp/escaped.bin", tarfile.REGTYPE),
        ("cifar-10-batches-bin", tarfile.SYMTYPE),
        ("cifar-10-batches-bin/readme.html", tarfile.CHRTYPE),
        ("n" * 300, tarfile.REGTYPE),
    ],
    ids=["above", "absolute", "link-as-folder", "device", "long-name"],
)
def test_read_cifar10_passes_over_other_members_and_writes_nothing(
    unpacked: Path, listing: Callable[[Path], dict[str, int]], name: str, kind: bytes
) -> None:
    _pack_first(unpacked, name, kind)
    before = listing(unpacked.parent)
    assert len(read_cifar10(unpacked).parts["train"].names) == 15
    assert listing(unpacked.parent) == before


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CHRTYPE,
        tarfile.DIRTYPE,
        tarfile.GNUTYPE_SPARSE,
    ],
    ids=["symlink", "hard-link", "pipe", "device", "folder", "sparse"],
)
def test_read_cifar10_refuses_a_member_that_is_no_plain_file(unpacked: Path, kind: bytes) -> None:
    _pack_first(unpacked, "cifar-10-batches-bin/data_batch_1.bin", kind)
    match = (
        r"\.tar/cifar-10-batches-bin/data_batch_1\.bin is a link, a folder or a device, but must"
    )
    with pytest.raises(DataError, match=match):
        read_cifar10(unpacked)


@pytest.mark.parametrize(
    ("name", "size", "match"),
    [
        ("other.bin", 10**9, r"tar\.gz unpacks to more than twice what the official archive holds"),
        ("other.bin", 2**60, r"tar\.gz unpacks to more than twice what the official archive holds"),
        ("other.bin", -512, r"tar\.gz is damaged \(a member declares a negative size\)"),
        ("cifar-10-batches-bin/test_batch.bin", 2**40, r"test_batch\.bin has 1099511627776 bytes"),
        ("cifar-10-batches-bin/test_batch.bin", 3073, r"damaged \(it ends within a member\)"),
    ],
    ids=["large", "huge", "negative", "huge-batch", "missing-data"],
)
def test_read_cifar10_refuses_a_member_by_the_size_it_declares(
    tmp_path: Path, name: str, size: int, match: str
) -> None:
    member = tarfile.TarInfo(name)
    member.size = size
    content = gzip.compress(member.tobuf(tarfile.GNU_FORMAT))
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(content)
    with pytest.raises(DataError, match=match):
        read_cifar10(tmp_path)


@pytest.mark.parametrize(
    "kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME], ids=["pax", "gnu-long-name"]
)
def test_read_cifar10_does_not_read_a_huge_extended_header(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("extended")
    member.size = 2**32
    member.type = kind
    zeros = gzip.compress(bytes(2**24)) * 256  # 4 GiB.
    archive = tmp_path / "cifar-10-binary.tar.gz"
    archive.write_bytes(gzip.compress(member.tobuf(tarfile.GNU_FORMAT)) + zeros)
    with pytest.raises(DataError, match=r"tar\.gz unpacks to more than twice"):
        read_cifar10(tmp_path)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_read_cifar10_reads_a_bomb_in_small_pieces_and_only_so_far(
    unpacked: Path, compress: Callable[[bytes], bytes]
) -> None:
    archive = _pack(unpacked, "cifar-10-binary.tar", "w")
    bomb = compress(bytes(2**24)) * 32  # 512 MiB behind the end of the archive.
    archive.write_bytes(compress(archive.read_bytes()) + bomb)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"binary\.tar unpacks to more than twice"):
        read_cifar10(unpacked)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**24


def test_read_cifar10_refuses_an_archive_of_too_many_members(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "cifar-10-binary.tar", "w") as tar:
        for number in range(1001):
            _add(tar, f"{number}.bin")
    with pytest.raises(DataError, match=r"tar holds more than 1000 members; take the official"):
        read_cifar10(tmp_path)


def test_read_cifar10_refuses_an_archive_with_a_wrong_checksum_at_its_end(unpacked: Path) -> None:
    archive = _pack(unpacked, "cifar-10-binary.tar.gz", "w:gz")
    content = archive.read_bytes()
    archive.write_bytes(content[:-8] + bytes(4) + content[-4:])
    with pytest.raises(DataError, match=r"tar\.gz is damaged \(CRC check failed"):
        read_cifar10(unpacked)


def test_read_cifar10_refuses_zstandard_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-binary.tar.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(100))
    with pytest.raises(DataError, match=r"compressed by Zstandard, but must be .* decompress it"):
        read_cifar10(tmp_path)


@pytest.mark.skipif(not _REAL.is_dir(), reason="the subset of CIFAR-10 is not here")
def test_read_cifar10_reads_a_subset_of_the_real_images(
    counts: Callable[[Source, Part], list[int]],
) -> None:
    source = read_cifar10(_REAL)
    assert counts(source, "train") == [1000] * 10
    assert counts(source, "test") == [250] * 10
    for found in source.parts.values():
        means = found.images.pixels.mean(axis=(0, 2, 3)) / 255
        np.testing.assert_allclose(means, [0.4914, 0.4822, 0.4465], atol=0.01)


def _record100(coarse: int, fine: int) -> bytes:
    return bytes((coarse, fine)) + bytes([fine]) * 3072


@pytest.fixture(params=["folder", "itself", "tar.gz"])
def path100(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """CIFAR-100 of three training images and one test image, where a user may have put it."""
    folder = tmp_path / "cifar-100-binary"
    folder.mkdir()
    records = [_record100(4, 0), _record100(1, 1), _record100(19, 99)]
    (folder / "train.bin").write_bytes(b"".join(records))
    (folder / "test.bin").write_bytes(_record100(14, 98))
    archive = tmp_path / "cifar-100-binary.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, "cifar-100-binary")
    places = {"folder": tmp_path, "itself": folder, "tar.gz": archive}
    return places[request.param]


@pytest.mark.parametrize(
    ("labels", "train", "test"),
    [
        (
            "coarse",
            ["fruit_and_vegetables", "fish", "vehicles_2"],
            ["people"],
        ),
        ("fine", ["apple", "aquarium_fish", "worm"], ["woman"]),
    ],
    ids=["coarse", "fine"],
)
def test_read_cifar100_returns_the_labels_asked_for(
    path100: Path, labels: Literal["coarse", "fine"], train: list[str], test: list[str]
) -> None:
    source = read_cifar100(path100, labels)
    named = {
        part: [source.class_names[label] for label in found.images.labels]
        for part, found in source.parts.items()
    }
    assert named == {"train": train, "test": test}
    assert source.parts["train"].images.pixels[:, 2, 31, 31].tolist() == [0, 1, 99]
    assert source.parts["test"].images.pixels.shape == (1, 3, 32, 32)


@pytest.mark.parametrize(("labels", "num_classes"), [("coarse", 20), ("fine", 100)])
def test_read_cifar100_names_every_class_once(
    path100: Path, labels: Literal["coarse", "fine"], num_classes: int
) -> None:
    names = read_cifar100(path100, labels).class_names
    assert len(set(names)) == len(names) == num_classes


@pytest.mark.parametrize(
    ("coarse", "fine", "match"),
    [(20, 0, "label 20, but .* 0 to 19;"), (0, 100, "label 100, but .* 0 to 99;")],
    ids=["coarse", "fine"],
)
def test_read_cifar100_refuses_a_label_beyond_the_classes(
    tmp_path: Path, coarse: int, fine: int, match: str
) -> None:
    (tmp_path / "train.bin").write_bytes(_record100(coarse, fine))
    (tmp_path / "test.bin").write_bytes(_record100(0, 0))
    with pytest.raises(DataError, match=rf"train\.bin holds the {match}"):
        read_cifar100(tmp_path, "fine")


def test_read_cifar100_refuses_a_file_larger_than_the_official_one(tmp_path: Path) -> None:
    (tmp_path / "train.bin").write_bytes(_record100(0, 0))
    with (tmp_path / "test.bin").open("wb") as file:
        file.truncate(10_001 * 3074)  # A sparse file: it takes no room on the disk.
    with pytest.raises(DataError, match=r"test\.bin has more than 30740000 bytes, but must have"):
        read_cifar100(tmp_path, "fine")


def test_read_cifar100_names_the_labels_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="labels is 'super', but must be one of: coarse, fine"):
        read_cifar100(tmp_path, "super")  # type: ignore[arg-type]
