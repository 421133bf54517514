"""The binary versions of CIFAR-10 and CIFAR-100, in a folder or in a tar of any compression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from agad.data.images import PARTS, Part, Source, SourceImages
from agad.data.readers.cifar_classes import CIFAR10, CIFAR100_COARSE, CIFAR100_FINE
from agad.data.readers.damage import naming_damage
from agad.data.readers.numbered import numbered_images
from agad.data.readers.tarball import read_members
from agad.errors import ConfigError, DataError

_PX = 32
_PIXEL_BYTES = 3 * _PX * _PX
"""The red, the green and the blue plane, row by row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Format:
    title: str
    folder: str
    archive: str
    files: Mapping[Part, tuple[str, ...]]
    max_records: Mapping[Part, int]
    """The most records of each file, as the official files hold them."""

    labels: tuple[tuple[str, ...], ...]
    """Class names of each of the label bytes that come before a record's pixels."""

    @property
    def record_bytes(self) -> int:
        return len(self.labels) + _PIXEL_BYTES

    @property
    def max_bytes(self) -> dict[str, int]:
        """The most bytes of each file."""
        return {
            name: self.max_records[part] * self.record_bytes
            for part in PARTS
            for name in self.files[part]
        }


_CIFAR10 = _Format(
    title="CIFAR-10",
    folder="cifar-10-batches-bin",
    archive="cifar-10-binary.tar",
    files={
        "train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        "test": ("test_batch.bin",),
    },
    max_records={"train": 10_000, "test": 10_000},
    labels=(CIFAR10,),
)
_CIFAR100 = _Format(
    title="CIFAR-100",
    folder="cifar-100-binary",
    archive="cifar-100-binary.tar",
    files={"train": ("train.bin",), "test": ("test.bin",)},
    max_records={"train": 50_000, "test": 10_000},
    labels=(CIFAR100_COARSE, CIFAR100_FINE),
)
_LABEL_COLUMNS = {"coarse": 0, "fine": 1}


def read_cifar10(path: Path) -> Source:
    """Read CIFAR-10; a batch may hold fewer records than the official 10,000.

    Args:
        path: ``cifar-10-batches-bin/`` or a ``cifar-10-binary.tar`` (``.gz``, ``.xz``...), or a
            folder that holds one of them.

    Raises:
        DataError: A file is missing, damaged, or holds labels above 9.
    """
    return _read(_CIFAR10, path, label_column=0)


def read_cifar100(path: Path, labels: Literal["coarse", "fine"]) -> Source:
    """Read CIFAR-100; its files may hold fewer records than the official 50,000 and 10,000.

    Args:
        path: ``cifar-100-binary/`` or a ``cifar-100-binary.tar`` (``.gz``, ``.xz``...), or a
            folder that holds one of them.
        labels: The 20 superclasses, or the 100 classes.

    Raises:
        ConfigError: No labels of that name exist.
        DataError: A file is missing, damaged, or holds labels beyond the classes.
    """
    if labels not in _LABEL_COLUMNS:
        raise ConfigError(f"labels is {labels!r}, but must be one of: {', '.join(_LABEL_COLUMNS)}.")
    return _read(_CIFAR100, path, _LABEL_COLUMNS[labels])


def _read(form: _Format, path: Path, label_column: int) -> Source:
    place, files = _read_files(form, path)
    parts = {}
    for part in PARTS:
        records = [_records(form, place / name, files[name]) for name in form.files[part]]
        parts[part] = _source_images(part, records, label_column, len(form.labels))
    return Source(class_names=form.labels[label_column], parts=parts)


def _read_files(form: _Format, path: Path) -> tuple[Path, dict[str, bytes]]:
    """Return the place of the files, for messages, and the content of each file."""
    place = _find(form, path)
    if place.is_dir():
        return place, {
            name: _read_file(place / name, limit) for name, limit in form.max_bytes.items()
        }
    wanted = {f"{form.folder}/{name}": limit for name, limit in form.max_bytes.items()}
    members = read_members(place, wanted)
    return place / form.folder, {name.rpartition("/")[2]: body for name, body in members.items()}


def _find(form: _Format, path: Path) -> Path:
    """Return the folder of the binary files, or the archive that is to hold them."""
    with naming_damage(path):
        if path.is_file():
            return path
        if (path / form.folder).is_dir():
            return path / form.folder
        if path.is_dir() and (
            path.name == form.folder or any((path / name).is_file() for name in form.max_bytes)
        ):
            return path
        archives = sorted(file for file in path.glob(f"{form.archive}*") if file.is_file())
    if not archives:
        raise DataError(
            f"{path / form.folder} (or a {form.archive} beside it) is missing; put the official "
            f"binary version of {form.title} into {path}, or name another folder with --from."
        )
    return archives[0]


def _read_file(file: Path, max_bytes: int) -> bytes:
    with naming_damage(file):
        if not file.is_file():
            raise DataError(f"{file} is missing; unpack the official archive again.")
        with file.open("rb") as data:
            return data.read(max_bytes + 1)


def _records(form: _Format, file: Path, body: bytes) -> NDArray[np.uint8]:
    """Return the records of one file, shape ``(num_records, record_bytes)``."""
    limit = form.max_bytes[file.name]
    if not body or len(body) % form.record_bytes or len(body) > limit:
        size = f"more than {limit}" if len(body) > limit else len(body)
        raise DataError(
            f"{file} has {size} bytes, but must have a multiple of {form.record_bytes} "
            f"up to {limit}; download it again."
        )
    records = np.frombuffer(body, dtype=np.uint8).reshape(-1, form.record_bytes)
    for column, classes in enumerate(form.labels):
        label = records[:, column].max()
        if label >= len(classes):
            raise DataError(
                f"{file} holds the label {label}, but must hold labels of 0 to "
                f"{len(classes) - 1}; download it again."
            )
    return records


def _source_images(
    part: Part, records: list[NDArray[np.uint8]], label_column: int, num_labels: int
) -> SourceImages:
    pixels = np.concatenate([of_file[:, num_labels:] for of_file in records])
    labels = np.concatenate([of_file[:, label_column] for of_file in records])
    return numbered_images(part, pixels.reshape(-1, 3, _PX, _PX), labels.astype(np.int64))
