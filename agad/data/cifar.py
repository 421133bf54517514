"""The binary files of CIFAR-10, in a folder or in a tar of any compression."""

from __future__ import annotations

import lzma
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from agad.data.images import Images, Part
from agad.errors import DataError

_FOLDER = "cifar-10-batches-bin"
_MEMBERS: dict[Part, tuple[str, ...]] = {
    "train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    "test": ("test_batch.bin",),
}
_PX = 32
_RECORD = 1 + 3 * _PX * _PX
"""A label byte, then the red, the green and the blue plane, row by row."""

_MAX_BATCH_BYTES = 10_000 * _RECORD
"""The official batches hold 10,000 records."""


def read_cifar10(folder: Path, part: Part) -> Images:
    """Return one part of CIFAR-10; a batch may hold fewer records than the official 10,000.

    Args:
        folder: Holds ``cifar-10-batches-bin/`` or a ``cifar-10-binary.tar`` (``.gz``, ``.xz``...).
        part: The training and the test images are separate files; only one is opened.

    Raises:
        DataError: A file is missing, damaged, or holds labels above 9.
    """
    names = _MEMBERS[part]
    files = find_cifar10(folder, part)
    if len(files) == len(names) and files[0].suffix == ".bin":
        batches = {path.name: _read_file(path) for path in files}
    else:
        batches = _read_tar(files[0], names)
    records = [_records(folder, name, batches[name]) for name in names]
    joined = np.concatenate(records)
    pixels = joined[:, 1:].reshape(-1, 3, _PX, _PX)
    return Images(pixels, joined[:, 0].astype(np.int64))


def find_cifar10(folder: Path, part: Part) -> list[Path]:
    """Return the unpacked files of a part, or the archive that is to hold them.

    Raises:
        DataError: One of them is missing.
    """
    if not (folder / _FOLDER).is_dir():
        return [_find_tar(folder)]
    files = [folder / _FOLDER / name for name in _MEMBERS[part]]
    for path in files:
        if not path.is_file():
            raise DataError(f"{path} is missing; unpack the official archive again.")
    return files


def _find_tar(folder: Path) -> Path:
    archives = sorted(folder.glob("cifar-10-binary.tar*")) if folder.is_dir() else []
    if not archives:
        raise DataError(
            f"{folder / _FOLDER} (or a cifar-10-binary.tar beside it) is missing; put the official "
            f"binary version of CIFAR-10 into {folder}, or name another folder with --data."
        )
    return archives[0]


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BATCH_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error


def _read_tar(archive: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Read the named members without unpacking anything to the disk."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in tar:
                parent, _, name = member.name.removeprefix("./").rpartition("/")
                if parent == _FOLDER and name in names and member.isfile():
                    file = tar.extractfile(member)
                    found[name] = file.read(_MAX_BATCH_BYTES + 1) if file else b""
                if len(found) == len(names):
                    break
    except (tarfile.TarError, lzma.LZMAError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{archive} is damaged ({error}); download it again.") from error
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(f"{archive} lacks {_FOLDER}/{missing[0]}; download it again.")
    return found


def _records(
    folder: Path, name: str, batch: bytes
) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    if not batch or len(batch) % _RECORD or len(batch) > _MAX_BATCH_BYTES:
        raise DataError(
            f"{folder / _FOLDER / name} has {len(batch)} bytes, but must be a multiple of "
            f"{_RECORD} up to {_MAX_BATCH_BYTES}; download it again."
        )
    records = np.frombuffer(batch, dtype=np.uint8).reshape(-1, _RECORD)
    if records[:, 0].max() > 9:
        raise DataError(f"{folder / _FOLDER / name} holds a label above 9; download it again.")
    return records
