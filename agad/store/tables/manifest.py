"""Manifests: which compacted files hold a study's rows, each number written once."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from agad.errors import StoreError
from agad.objects import ObjectStore
from agad.records import TABLES, AnyTable, Table, compact_number, manifest_number, manifests_prefix

MANIFEST_VERSION = 1
"""Grows when an older reader would misread it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactFile:
    """One immutable Parquet file of many attempts, sorted."""

    table: Table
    key: str
    bytes: int
    sha256: str
    """Of the whole file, in hexadecimal digits."""

    rows: int
    min_cell: str
    max_cell: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionManifest:
    """What a compaction has left: the files of every table."""

    number: int
    """1, 2, 3, ...; the highest counts."""

    created_at: datetime
    """UTC, by the clock of the machine that compacted."""

    files: tuple[CompactFile, ...]

    def of(self, table: AnyTable) -> list[CompactFile]:
        """Return a table's files, in the order of their rows."""
        return [file for file in self.files if file.table == table]

    def as_json(self) -> bytes:
        """Return the object's bytes."""
        values = dataclasses.asdict(self) | {
            "version": MANIFEST_VERSION,
            "created_at": self.created_at.isoformat(),
        }
        return json.dumps(values, indent=2).encode()


def manifest_numbers(study: str, keys: Iterable[str]) -> list[int]:
    """Return the numbers of the manifests that some keys name, ascending."""
    numbers = (manifest_number(study, key) for key in keys)
    return sorted(number for number in numbers if number is not None)


def newest_number(objects: ObjectStore, study: str) -> int:
    """Return the number of the newest manifest, 0 where there is none."""
    return max(manifest_numbers(study, objects.list(manifests_prefix(study))), default=0)


def parse_manifest(data: bytes, study: str, source: str) -> CompactionManifest:
    """Return what a manifest says.

    Args:
        data: The object's bytes.
        study: Whose it is; its files are all of this study.
        source: Where it is, for errors.

    Raises:
        StoreError: It is no manifest of the study, or one of a newer version.
    """
    try:
        values = json.loads(data)
        version = int(values["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise _no_manifest(source, error) from error
    if version > MANIFEST_VERSION:
        raise StoreError(
            f"{source} has version {version}, but this agad reads up to {MANIFEST_VERSION}; "
            "upgrade agad."
        )
    try:
        return CompactionManifest(
            number=_typed("number", values["number"], int),
            created_at=datetime.fromisoformat(values["created_at"]).astimezone(UTC),
            files=tuple(_file(one, study) for one in values["files"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _no_manifest(source, error) from error


def _file(values: dict[str, Any], study: str) -> CompactFile:
    hints = typing.get_type_hints(CompactFile) | {"table": str}
    named = {name: _typed(name, values[name], hint) for name, hint in hints.items()}
    # A key from elsewhere is never read, and above all never deleted.
    if named["table"] not in TABLES or compact_number(study, named["key"]) is None:
        raise ValueError(f"{named['key']!r} is no compacted file of this study")
    return CompactFile(**named)


def _typed(name: str, value: object, kind: type) -> Any:  # noqa: ANN401
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}")
    return value


def _no_manifest(source: str, error: Exception) -> StoreError:
    return StoreError(f"{source} is no manifest ({error!r}); restore it from a copy.")
