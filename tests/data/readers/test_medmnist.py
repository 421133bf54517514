"""MedMNIST's files, whole, damaged and hostile."""

from __future__ import annotations

import io
import re
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agad.data.readers import medmnist, read_medmnist
from agad.errors import DataError

_save: Callable[..., None] = np.savez
_NUM_IMAGES = {"train": 5, "val": 3, "test": 2}


def _arrays(size: tuple[int, ...] = (4, 4)) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(0)
    arrays: dict[str, NDArray[Any]] = {}
    for split, num_images in _NUM_IMAGES.items():
        arrays[f"{split}_images"] = rng.integers(256, size=(num_images, *size), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(num_images, dtype=np.uint8) % 4)[:, None]
    return arrays


@pytest.fixture
def arrays() -> dict[str, NDArray[Any]]:
    return _arrays()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pneumoniamnist.npz"
    _save(path, **_arrays())
    return path


def _npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _header(text: str, version: bytes = b"\x01\x00") -> bytes:
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text))
    return b"\x93NUMPY" + version + length + text.encode("latin-1")


def _declare(shape: str, dtype: str = "'|u1'") -> bytes:
    return _header(f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}\n")


def _write(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write the usual arrays, some of them replaced by the given bytes."""
    usual = {f"{name}.npy": _npy(array) for name, array in _arrays().items()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in {**usual, **members}.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "deflated"])
def test_read_medmnist_joins_the_validation_images_to_training(
    tmp_path: Path, arrays: dict[str, NDArray[Any]], save: Callable[..., None]
) -> None:
    save(tmp_path / "a.npz", **arrays)
    source = read_medmnist(tmp_path / "a.npz")
    train, test = source.parts["train"], source.parts["test"]
    expected = np.concatenate([arrays["train_images"], arrays["val_images"]])[:, None]
    np.testing.assert_array_equal(train.images.pixels, expected)
    np.testing.assert_array_equal(test.images.pixels, arrays["test_images"][:, None])
    assert train.images.labels.tolist() == [0, 1, 2, 3, 0, 0, 1, 2]
    assert test.images.labels.tolist() == [0, 1]
    assert train.images.pixels.dtype == np.uint8
    assert train.images.labels.dtype == np.int64
    assert (train.names[7], list(test.names)) == ("train[7]", ["test[0]", "test[1]"])


def test_read_medmnist_moves_colours_before_rows(tmp_path: Path) -> None:
    arrays = _arrays(size=(4, 6, 3))
    _save(tmp_path / "a.npz", **arrays)
    pixels = read_medmnist(tmp_path).parts["test"].images.pixels
    assert pixels.shape == (2, 3, 4, 6)
    assert pixels[1, 2, 3, 5] == arrays["test_images"][1, 3, 5, 2]


def test_read_medmnist_reads_arrays_in_fortran_order(
    tmp_path: Path, arrays: dict[str, NDArray[Any]]
) -> None:
    arrays["test_images"] = np.asfortranarray(arrays["test_images"])
    _save(tmp_path / "a.npz", **arrays)
    pixels = read_medmnist(tmp_path).parts["test"].images.pixels
    np.testing.assert_array_equal(pixels[:, 0], arrays["test_images"])


@pytest.mark.parametrize("dtype", ["|u1", "<i8", ">i4", "<u8"])
def test_read_medmnist_takes_labels_of_any_whole_numbers_and_one_axis(
    tmp_path: Path, arrays: dict[str, NDArray[Any]], dtype: str
) -> None:
    arrays["test_labels"] = np.array([3, 2], dtype)
    _save(tmp_path / "a.npz", **arrays)
    assert read_medmnist(tmp_path).parts["test"].images.labels.tolist() == [3, 2]


def test_read_medmnist_names_classes_by_their_number(file: Path) -> None:
    assert read_medmnist(file).class_names == ("0", "1", "2", "3")


def test_read_medmnist_takes_class_names(file: Path) -> None:
    names = ("normal", "pneumonia", "other", "unknown")
    assert read_medmnist(file, names).class_names == names


def test_read_medmnist_refuses_a_folder_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is no \.npz file and holds none; download one .* --from"):
        read_medmnist(tmp_path)


def test_read_medmnist_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.npz is no \.npz file and holds none"):
        read_medmnist(tmp_path / "nowhere.npz")


def test_read_medmnist_lists_the_files_of_a_folder_of_several(tmp_path: Path) -> None:
    for name in ("b.npz", "a.npz"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"holds 2 \.npz files, but must hold one \(a.npz, b.npz\)"):
        read_medmnist(tmp_path)


def test_read_medmnist_refuses_several_labels_an_image(
    tmp_path: Path, arrays: dict[str, NDArray[Any]]
) -> None:
    arrays["train_labels"] = np.zeros((5, 14), np.uint8)
    _save(tmp_path / "chestmnist.npz", **arrays)
    match = r"chestmnist\.npz/train_labels\.npy has 14 labels an image, but must have one"
    with pytest.raises(DataError, match=match):
        read_medmnist(tmp_path)


@pytest.mark.parametrize("size", [(4, 4, 4), (4, 4, 1), (4, 4, 4, 3)])
def test_read_medmnist_refuses_a_3_d_set(tmp_path: Path, size: tuple[int, ...]) -> None:
    _save(tmp_path / "organmnist3d.npz", **_arrays(size))
    match = r"train_images\.npy has the shape \(5, 4, 4.*\), which is a 3-D set, but must be a 2-D"
    with pytest.raises(DataError, match=match):
        read_medmnist(tmp_path)


@pytest.mark.parametrize(
    ("name", "array", "match"),
    [
        ("test_images", np.zeros((2, 4, 4)), r"type float64 and the shape \(2, 4, 4\), but must"),
        ("test_images", np.zeros((2, 4), np.uint8), r"the shape \(2, 4\), but must have uint8"),
        ("test_images", np.zeros((2, 0, 4), np.uint8), r"the shape \(2, 0, 4\), but must have"),
        ("test_images", np.zeros((3, 4, 4), np.uint8), "holds 3 images, but must hold 2, one for"),
        ("test_images", np.zeros((2, 5, 4), np.uint8), "images of 5 x 4 pixels in 1 channels, but"),
        ("val_images", np.zeros((3, 4, 4, 3), np.uint8), "4 x 4 pixels in 3 channels, but must"),
        ("test_labels", np.zeros(2), r"the type float64 and the shape \(2,\), but must have whole"),
        ("test_labels", np.zeros((2, 1, 1), np.uint8), r"the shape \(2, 1, 1\), but must have"),
        ("test_labels", np.zeros((), np.uint8), r"the shape \(\), but must have whole numbers"),
        ("test_labels", np.zeros((0, 1), np.uint8), "holds no label, but must hold at least one"),
        ("test_labels", np.array([0, -1]), "holds the label -1, but must hold labels of 0 to 999"),
        ("test_labels", np.array([0, 2**60]), "holds the label 1152921504606846976, but must"),
        ("test_labels", np.array([2**64 - 1, 0], np.uint64), "label 18446744073709551615, but"),
        ("test_labels", np.array([True, False]), "the type bool and the shape"),
    ],
)
def test_read_medmnist_refuses_an_array_of_another_kind(
    tmp_path: Path, arrays: dict[str, NDArray[Any]], name: str, array: NDArray[Any], match: str
) -> None:
    arrays[name] = array
    _save(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=rf"a\.npz/{name}\.npy .*{match}"):
        read_medmnist(tmp_path)


def test_read_medmnist_refuses_a_label_beyond_the_class_names(file: Path) -> None:
    match = r"train_labels\.npy holds the label 3, but must hold labels of 0 to 1; name every class"
    with pytest.raises(DataError, match=match):
        read_medmnist(file, ("normal", "pneumonia"))


class _Trap:
    """Writes a file as soon as it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["train_images", "train_labels"])
def test_read_medmnist_unpickles_nothing(
    tmp_path: Path, arrays: dict[str, NDArray[Any]], name: str
) -> None:
    arrays[name] = np.array([_Trap(tmp_path / "sprung")] * 5, dtype=object)
    _save(tmp_path / "a.npz", allow_pickle=True, **arrays)
    with pytest.raises(DataError, match=rf"{name}\.npy has the type object and the shape \(5,\)"):
        read_medmnist(tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_read_medmnist_names_a_missing_array_and_what_is_there(tmp_path: Path) -> None:
    _save(tmp_path / "a.npz", images=np.zeros(3))
    match = r"a\.npz/train_labels\.npy is missing: the file holds images\.npy; take the official"
    with pytest.raises(DataError, match=match):
        read_medmnist(tmp_path)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", r"train_images\.npy is damaged \(EOF"),
        (b"hello", r"train_images\.npy is damaged \(EOF"),
        (b"\x93NUMPX\x01\x00" + bytes(99), r"train_images\.npy is damaged \(the magic string"),
        (b"\x93NUMPY\x01\x00\xff\xff", r"damaged \(EOF: reading array header"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", r"damaged \(EOF: reading array header"),
        (b"\x93NUMPY\x03\x00\x10\x00\x00\x00", r"it is in version \(3, 0\) of the format, but"),
        (_header("nonsense"), r"train_images\.npy is damaged \("),
        (_header("(" * 3000), r"train_images\.npy is damaged \("),
        (_header("-" * 4000 + "1"), r"train_images\.npy is damaged \("),
        (_header("{'descr': '|u1'"), r"train_images\.npy is damaged \("),
        (_header("[1, 2]"), r"damaged \(Header is not a dictionary"),
        (_declare("(5, -4, -4)"), r"damaged \(its shape is \(5, -4, -4\)"),
        (_declare("(5, 4.0, 4)"), r"damaged \(shape is not valid"),
        (_declare("(5, 4, nan)"), r"train_images\.npy is damaged \("),
        (_declare("(5, 4, 4)", "()"), r"train_images\.npy is damaged \("),
        (_declare("(5, 4, 4)", "[]"), r"train_images\.npy (is damaged|has the type)"),
        (_declare("(5, 4, 4)", "'|V99999999999'"), r"train_images\.npy (is damaged|has the type)"),
        (_declare("(5, 65536, 65536)"), r"declares 21474836480 bytes of data, but must hold at mo"),
        (_declare(f"(5, {2**63}, {2**63})"), r"declares \d+ bytes of data, but must hold at most"),
        (_declare("(5, 20000, 20000)"), r"declares 2000000000 bytes of data, but holds 0;"),
        (_declare("(5, 4, 4)") + bytes(79), r"declares 80 bytes of data, but holds 79;"),
        (_declare("(5, 4, 4)") + bytes(81), r"declares 80 bytes of data, but holds more;"),
        (_declare("(5, 4, 4)") + bytes(9999), r"declares 80 bytes of data, but holds more;"),
    ],
)
def test_read_medmnist_refuses_a_damaged_or_hostile_array(
    tmp_path: Path, content: bytes, match: str
) -> None:
    _write(tmp_path / "a.npz", {"train_images.npy": content})
    with pytest.raises(DataError, match=match):
        read_medmnist(tmp_path)


def test_read_medmnist_reads_no_more_of_a_zip_bomb_than_its_header_declares(
    tmp_path: Path,
) -> None:
    file = _write(tmp_path / "a.npz", {"train_images.npy": _declare("(5, 4, 4)") + bytes(2**28)})
    tracemalloc.start()
    with pytest.raises(DataError, match="declares 80 bytes of data, but holds more"):
        read_medmnist(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**23


def test_read_medmnist_refuses_more_than_its_limit_before_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(medmnist, "_MAX_ARRAY_BYTES", 79)
    _save(tmp_path / "a.npz", **_arrays())
    with pytest.raises(DataError, match="declares 80 bytes of data, but must hold at most 79"):
        read_medmnist(tmp_path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_read_medmnist_refuses_compression_that_cannot_be_bounded(
    tmp_path: Path, compression: int
) -> None:
    _write(tmp_path / "a.npz", {}, compression)
    with pytest.raises(DataError, match=r"train_labels\.npy is compressed by bzip2 or LZMA, but"):
        read_medmnist(tmp_path)


_DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "text": lambda _: b"<html>404</html>",
    "truncated": lambda data: data[:-30],
    "cut-in-half": lambda data: data[: len(data) // 2],
    "wrong-checksum": lambda data: (
        data.replace(b"\x93NUMPY", b"\x93NUMPY", 1)[:200]
        + bytes(byte ^ 255 for byte in data[200:230])
        + data[230:]
    ),
    "unknown-compression": lambda data: data.replace(
        b"PK\x01\x02\x14\x03\x14\0\0\0\0\0", b"PK\x01\x02\x14\x03\x14\0\0\0\x63\0"
    ),
    "encrypted": lambda data: data.replace(
        b"PK\x01\x02\x14\x03\x14\0\0\0", b"PK\x01\x02\x14\x03\x14\0\x01\0"
    ),
}


@pytest.mark.parametrize("damage", _DAMAGES.values(), ids=_DAMAGES.keys())
def test_read_medmnist_refuses_a_damaged_zip(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    file = _write(tmp_path / "a.npz", {}, zipfile.ZIP_STORED)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError, match=r"a\.npz(/\w+\.npy)? is damaged \(.+\); download it again"):
        read_medmnist(tmp_path)


def test_read_medmnist_ends_any_damage_of_one_byte_in_one_error_or_none(tmp_path: Path) -> None:
    file = _write(tmp_path / "a.npz", {})
    content = bytearray(file.read_bytes())
    refusals = []
    for place in range(0, len(content), 3):
        content[place] ^= 0x5A
        file.write_bytes(content)
        content[place] ^= 0x5A
        try:
            read_medmnist(file)
        except DataError as error:
            refusals.append(str(error))
    assert refusals
    damaged, missing = r"damaged \(.+\); download it again", "missing: .+; take the official file"
    expected = re.compile(rf"a\.npz(/\w+\.npy)? is ({damaged}|{missing})\.$")
    assert [text for text in refusals if not expected.search(text)] == []
