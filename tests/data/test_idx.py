"""MNIST's files, whole and damaged."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from agad.data.idx import read_mnist
from agad.data.images import Images, Part
from agad.errors import DataError

_REAL = Path(__file__).parents[2].parent / "shared/data/mnist"
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


def _read(folder: Path, part: Part = "train") -> Images:
    return read_mnist(folder, part, px=_PX, num_classes=10)


@pytest.mark.parametrize(
    ("part", "labels"), [("train", _TRAIN_LABELS), ("test", _TEST_LABELS)], ids=["train", "test"]
)
def test_read_mnist_returns_pixels_and_labels_of_a_part(
    folder: Path, part: Part, labels: list[int]
) -> None:
    images = _read(folder, part)
    np.testing.assert_array_equal(images.pixels, _pixels(len(labels))[:, None])
    assert images.labels.tolist() == labels
    assert images.pixels.dtype == np.uint8
    assert images.labels.dtype == np.int64


@pytest.mark.parametrize(
    ("part", "other"), [("train", "t10k"), ("test", "train")], ids=["train", "test"]
)
def test_read_mnist_opens_the_part_asked_for_alone(folder: Path, part: Part, other: str) -> None:
    for path in folder.glob(f"{other}-*"):
        path.unlink()
    assert len(_read(folder, part).labels) > 0


@pytest.mark.parametrize("name", [_IMAGES, _LABELS])
def test_read_mnist_names_a_missing_file_and_what_to_do(folder: Path, name: str) -> None:
    (path,) = folder.glob(f"{name}*")
    path.unlink()
    with pytest.raises(DataError, match=rf"/{name} \(or \.gz\) is missing; put the four official"):
        _read(folder)


def test_read_mnist_names_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"nowhere/{_IMAGES} .* is missing"):
        _read(tmp_path / "nowhere")


_DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut-header": lambda data: data[:9],
    "no-zero-bytes": lambda data: b"\x01" + data[1:],
    "type-not-bytes": lambda data: data[:2] + b"\x0d" + data[3:],
    "another-number-of-axes": lambda data: data[:3] + b"\x02" + data[4:],
}


@pytest.mark.parametrize("damage", _DAMAGES.values(), ids=_DAMAGES.keys())
def test_read_mnist_refuses_a_file_with_another_header(
    plain: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = plain / _IMAGES
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=rf"{_IMAGES} is no IDX file of bytes with 3 axes"):
        _read(plain)


@pytest.mark.parametrize("name", [_IMAGES, _LABELS])
def test_read_mnist_refuses_a_truncated_file(plain: Path, name: str) -> None:
    path = plain / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=rf"{name} declares \d+ bytes of data, but holds \d+;"):
        _read(plain)


@pytest.mark.parametrize("name", [_IMAGES, _LABELS])
def test_read_mnist_refuses_a_file_that_goes_on_after_its_data(plain: Path, name: str) -> None:
    path = plain / name
    path.write_bytes(path.read_bytes() + b"\0" * 1000)
    with pytest.raises(DataError, match=rf"{name} declares \d+ bytes of data, but holds more;"):
        _read(plain)


@pytest.mark.parametrize(
    "shape",
    [(2**32 - 1, 28, 28), (2**31, 2**31, 4), (2**32 - 1, 2**32 - 1, 2**32 - 1)],
    ids=["3-TB", "overflows-to-0", "overflows"],
)
def test_read_mnist_refuses_a_header_that_declares_more_than_memory_holds(
    plain: Path, shape: tuple[int, int, int]
) -> None:
    header = bytes((0, 0, 8, 3)) + struct.pack(">3I", *shape)
    (plain / _IMAGES).write_bytes(header)
    with pytest.raises(DataError, match=rf"{_IMAGES} .*; download it again"):
        _read(plain)


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
def test_read_mnist_refuses_a_damaged_gzip_file(
    zipped: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    path = zipped / f"{name}.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=rf"{name}\.gz is damaged \(.+\); download it again"):
        _read(zipped)


def test_read_mnist_refuses_images_of_another_size(plain: Path) -> None:
    with pytest.raises(
        DataError, match=rf"{_IMAGES} holds images of \(4, 4\), but must be 28 x 28"
    ):
        read_mnist(plain, "train", px=28, num_classes=10)


def test_read_mnist_refuses_another_number_of_labels_than_images(plain: Path) -> None:
    (plain / _LABELS).write_bytes(_idx(np.zeros(4, np.uint8)))
    with pytest.raises(DataError, match=rf"{_LABELS} holds 4 labels, but .*{_IMAGES} 5 images"):
        _read(plain)


def test_read_mnist_refuses_a_label_beyond_the_classes(plain: Path) -> None:
    (plain / _LABELS).write_bytes(_idx(np.array([0, 1, 2, 3, 10], np.uint8)))
    with pytest.raises(DataError, match=rf"{_LABELS} must hold labels of 0 to 9"):
        _read(plain)


def test_read_mnist_refuses_files_without_an_image(plain: Path) -> None:
    (plain / _IMAGES).write_bytes(_idx(np.zeros((0, _PX, _PX), np.uint8)))
    (plain / _LABELS).write_bytes(_idx(np.zeros(0, np.uint8)))
    with pytest.raises(DataError, match=rf"{_LABELS} must hold labels of 0 to 9, and at least one"):
        _read(plain)


@pytest.mark.skipif(not _REAL.is_dir(), reason="the official MNIST files are not here")
@pytest.mark.parametrize(
    ("part", "counts"),
    [
        ("train", [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]),
        ("test", [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]),
    ],
    ids=["train", "test"],
)
def test_read_mnist_reads_the_official_files(part: Part, counts: list[int]) -> None:
    images = read_mnist(_REAL, part, px=28, num_classes=10)
    assert np.bincount(images.labels).tolist() == counts
    assert images.pixels.shape == (sum(counts), 1, 28, 28)
    assert (images.pixels.min(), images.pixels.max()) == (0, 255)
