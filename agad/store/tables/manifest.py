"""Manifests: which compacted files hold a study's rows, each number written once."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from agad.config import typed
from agad.errors import StoreError
from agad.objects import ObjectStore
from agad.records import AnyTable, Table, compact_number, manifest_number, manifests_prefix

MANIFEST_VERSION = 1
"""The version grows when an older reader would misread a manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactFile:
    """An immutable Parquet file of many attempts, sorted."""

    table: Table
    key: str
    bytes: int
    sha256: str
    """SHA-256 of the whole file, in hexadecimal digits."""

    rows: int
    min_cell: str
    max_cell: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionManifest:
    """The result of a compaction: the files of every table."""

    number: int
    """Number of the manifest: 1, 2, 3, ...; the highest counts."""

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
    """Return the number of the newest manifest; 0 if there is none."""
    return max(manifest_numbers(study, objects.list(manifests_prefix(study))), default=0)


def parse_manifest(data: bytes, study: str, source: str) -> CompactionManifest:
    """Return the manifest in an object's bytes.

    Args:
        data: The object's bytes.
        study: The manifest's study; all its files are of this study.
        source: Where the object is, for errors.

    Raises:
        StoreError: The object is no manifest of the study, or is of a newer version.
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
        manifest = typed(CompactionManifest, values)
        for file in manifest.files:
            # A key from elsewhere is never read, and above all never deleted.
            if compact_number(study, file.key) is None:
                raise ValueError(f"{file.key!r} is no compacted file of this study")
    except (ValueError, KeyError, TypeError) as error:
        raise _no_manifest(source, error) from error
    return dataclasses.replace(manifest, created_at=manifest.created_at.astimezone(UTC))


def _no_manifest(source: str, error: Exception) -> StoreError:
    return StoreError(f"{source} is no manifest ({error!r}); restore it from a copy.")
