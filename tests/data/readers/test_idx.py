"""MNIST's files, whole and damaged."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from agad.data.images import Part, Source
from agad.data.readers import read_idx
from agad.errors import DataError

_REAL = Path(__file__).parents[3].parent / "shared/data/mnist"
_PX = 4
_IMAGES = "train-images-idx3-ubyte"
_LABELS = "train-labels-idx1-ubyte"
_TRAIN_LABELS = [3, 0, 2, 9, 3]
_TEST_LABELS = [1, 8]


def _idx(values: NDArray[np.uint8]) -> bytes:
    header = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    return header + values.tobytes()


def _pixels(num_images: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(num_images)
    return rng.integers(256, size=(num_images, _PX, _PX), dtype=np.uint8)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    for prefix, labels in (("train", _TRAIN_LABELS), ("t10k", _TEST_LABELS)):
        images = _pixels(len(labels))
        (tmp_path / f"{prefix}-images-idx3-ubyte").write_bytes(_idx(images))
        (tmp_path / f"{prefix}-labels-idx1-ubyte").write_bytes(_idx(np.array(labels, np.uint8)))
    return tmp_path


@pytest.fixture
def zipped(plain: Path) -> Path:
    for path in list(plain.iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    return plain


@pytest.fixture(params=["plain", "zipped"])
def folder(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(request.param)
    return path


@pytest.mark.parametrize(
    ("part", "labels"), [("train", _TRAIN_LABELS), ("test", _TEST_LABELS)], ids=["train", "test"]
)
def test_read_idx_returns_pixels_labels_and_names(
    folder: Path, part: Part, labels: list[int]
) -> None:
    found = read_idx(folder).parts[part]
    np.testing.assert_array_equal(found.images.pixels, _pixels(len(labels))[:, None])
    assert found.images.labels.tolist() == labels
    assert found.images.pixels.dtype == np.uint8
    assert found.images.labels.dtype == np.int64
    assert list(found.names) == [f"{part}[{number}]" for number in range(len(labels))]


def test_read_idx_names_classes_up_to_the_highest_label_of_both_parts(plain: Path) -> None:
    assert read_idx(plain).class_names == tuple("0123456789")
    (plain / "t10k-labels-idx1-ubyte").write_bytes(_idx(np.array([1, 11], np.uint8)))
    assert read_idx(plain).class_names == (*"0123456789", "10", "11")


def test_read_idx_takes_class_names(plain: Path) -> None:
    names = tuple(f"letter-{letter}" for letter in "abcdefghij")
    assert read_idx(plain, names).class_names == names


def test_read_idx_takes_images_that_are_not_square(plain: Path) -> None:
    for prefix, num_images in (("train", 5), ("t10k", 2)):
        pixels = np.zeros((num_images, 3, 7), np.uint8)
        (plain / f"{prefix}-images-idx3-ubyte").write_bytes(_idx(pixels))
    assert read_idx(plain).parts["train"].images.pixels.shape == (5, 1, 3, 7)


def test_read_idx_refuses_test_images_of_another_size(plain: Path) -> None:
    (plain / "t10k-images-idx3-ubyte").write_bytes(_idx(np.zeros((2, 3, 7), np.uint8)))
    match = r"t10k-images-idx3-ubyte holds images of 3 x 7 pixels, but must hold 4 x 4 as in"
    with pytest.raises(DataError, match=match):
        read_idx(plain)


def test_read_idx_names_a_folder_that_may_not_be_searched(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read \(File name too long\)"):
        read_idx(tmp_path / ("a" * 300))


@pytest.mark.parametrize("name", [_IMAGES, _LABELS])
def test_read_idx_names_a_missing_file_and_what_to_do(folder: Path, name: str) -> None:
    (path,) = folder.glob(f"{name}*")
    path.unlink()
    with pytest.raises(DataError, match=rf"/{name} \(or \.gz\) is missing; put the four official"):
        read_idx(folder)


def test_read_idx_names_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"nowhere/{_IMAGES} .* is missing"):
        read_idx(tmp_path / "nowhere")


_DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut-header": lambda data: data[:9],
    "no-zero-bytes": lambda data: b"\x01" + data[1:],
    "type-not-bytes": lambda data: data[:2] + b"\x0d" + data[3:],
    "another-number-of-axes": lambda data: data[:3] + b"\x02" + data[4:],
}


@pytest.mark.parametrize("damage", _DAMAGES.values(), ids=_DAMAGES.keys())
def test_read_idx_refuses_a_file_with_another_header(
    plain: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = plain / _IMAGES
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=rf"{_IMAGES} is no IDX file of bytes with 3 axes"):
        read_idx(plain)


@pytest.mark.parametrize("name", [_IMAGES, _LABELS])
def test_read_idx_refuses_a_truncated_file(plain: Path, name: str) -> None:
    path = plain / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=rf"{name} declares \d+ bytes of data, but holds \d+;"):
        read_idx(plain)


@pytest.mark.parametrize("name", [_IMAGES, _LABELS])
def test_read_idx_refuses_a_file_that_goes_on_after_its_data(plain: Path, name: str) -> None:
    path = plain / name
    path.write_bytes(path.read_bytes() + b"\0" * 1000)
    with pytest.raises(DataError, match=rf"{name} declares \d+ bytes of data, but holds more;"):
        read_idx(plain)


@pytest.mark.parametrize(
    "shape",
    [(2**32 - 1, 28, 28), (2**31, 2**31, 4), (2**32 - 1, 2**32 - 1, 2**32 - 1)],
    ids=["3-TB", "overflows-to-0", "overflows"],
)
def test_read_idx_refuses_a_header_that_declares_more_than_memory_holds(
    plain: Path, shape: tuple[int, int, int]
) -> None:
    header = bytes((0, 0, 8, 3)) + struct.pack(">3I", *shape)
    (plain / _IMAGES).write_bytes(header)
    with pytest.raises(DataError, match=rf"{_IMAGES} .*; download it again"):
        read_idx(plain)


_ZIP_DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "no-gzip": gzip.decompress,
    "truncated": lambda data: data[:-20],
    "wrong-checksum": lambda data: (
        data[:-8] + bytes(byte ^ 255 for byte in data[-8:-4]) + data[-4:]
    ),
    "damaged-block": lambda data: data[:10] + b"\xff" * 10 + data[20:],
}


@pytest.mark.parametrize("damage", _ZIP_DAMAGES.values(), ids=_ZIP_DAMAGES.keys())
@pytest.mark.parametrize("name", [_IMAGES, _LABELS])
def test_read_idx_refuses_a_damaged_gzip_file(
    zipped: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    path = zipped / f"{name}.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=rf"{name}\.gz is damaged \(.+\); download it again"):
        read_idx(zipped)


def test_read_idx_refuses_another_number_of_labels_than_images(plain: Path) -> None:
    (plain / _LABELS).write_bytes(_idx(np.zeros(4, np.uint8)))
    with pytest.raises(DataError, match=rf"{_LABELS} holds 4 labels, but must hold 5"):
        read_idx(plain)


def test_read_idx_refuses_a_label_beyond_the_class_names(plain: Path) -> None:
    match = rf"{_LABELS} holds the label 9, but must hold labels of 0 to 8; name every class"
    with pytest.raises(DataError, match=match):
        read_idx(plain, tuple("abcdefghi"))


def test_read_idx_refuses_files_without_an_image(plain: Path) -> None:
    (plain / _IMAGES).write_bytes(_idx(np.zeros((0, _PX, _PX), np.uint8)))
    (plain / _LABELS).write_bytes(_idx(np.zeros(0, np.uint8)))
    match = rf"{_IMAGES} declares 0 x 4 x 4 pixels, but must hold at least one image"
    with pytest.raises(DataError, match=match):
        read_idx(plain)


def test_read_idx_refuses_images_without_a_pixel(plain: Path) -> None:
    header = bytes((0, 0, 8, 3)) + struct.pack(">3I", 2**32 - 1, 0, 28)
    (plain / _IMAGES).write_bytes(header)
    with pytest.raises(DataError, match=rf"{_IMAGES} declares 4294967295 x 0 x 28 pixels"):
        read_idx(plain)


def test_read_idx_reads_no_more_of_a_gzip_bomb_than_its_header_declares(zipped: Path) -> None:
    header = bytes((0, 0, 8, 3)) + struct.pack(">3I", 5, _PX, _PX)
    zeros = gzip.compress(bytes(2**24)) * 64  # 1 GiB.
    (zipped / f"{_IMAGES}.gz").write_bytes(gzip.compress(header) + zeros)
    tracemalloc.start()
    with pytest.raises(
        DataError, match=rf"{_IMAGES}\.gz declares 80 bytes of data, but holds more"
    ):
        read_idx(zipped)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**22


@pytest.mark.skipif(not _REAL.is_dir(), reason="the official MNIST files are not here")
def test_read_idx_reads_the_official_files(counts: Callable[[Source, Part], list[int]]) -> None:
    source = read_idx(_REAL)
    assert counts(source, "train") == [
        *(5923, 6742, 5958, 6131, 5842),
        *(5421, 5918, 6265, 5851, 5949),
    ]
    assert counts(source, "test") == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    for found in source.parts.values():
        pixels = found.images.pixels
        assert pixels.shape == (len(found.names), 1, 28, 28)
        assert (pixels.min(), pixels.max()) == (0, 255)
