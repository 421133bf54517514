"""How many objects, bytes and rows a study has, and which files hold its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from agad.errors import StoreError
from agad.objects import ObjectStore
from agad.records import ALL_TABLES, AnyTable, attempt_key, check_study_name, study_prefix
from agad.store.release import released_attempts
from agad.store.tables.parallel import in_parallel
from agad.store.tables.schema import first_line
from agad.store.tables.snapshot import Snapshot, attempts_of, list_attempts, reading


@dataclass(frozen=True, slots=True, kw_only=True)
class TableInfo:
    """The places of a table's rows: each row counts once, as compacted or as loose."""

    table: AnyTable
    compacted_files: int
    compacted_bytes: int
    compacted_rows: int
    loose_objects: int
    loose_bytes: int
    loose_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyInfo:
    """The counts of a study's objects."""

    study: str
    objects: int
    """All objects, also claims, configurations, models and what a compaction has not removed
    yet."""

    bytes: int
    tables: tuple[TableInfo, ...]
    claims: int
    claims_without_rows: int
    """Attempts that left neither a trial's row nor a marker: running, or lost in a crash.

    A paused or released attempt has a marker.
    """

    compactions: int
    """Number of the newest manifest."""

    compacted_at: datetime | None
    """When the newest manifest was put, UTC; None if there is none."""


def study_info(objects: ObjectStore, study: str) -> StudyInfo:
    """Return the counts of a study's objects.

    Raises:
        ConfigError: ``study`` is no name.
        StoreError: An object is damaged, or of a newer version.
    """
    check_study_name(study)
    return reading(objects, study, lambda snapshot: _info(objects, study, snapshot))


def table_files(objects: ObjectStore, study: str, table: AnyTable) -> list[str]:
    """Return the places of the objects that hold every row of a table, each attempt once.

    The objects stay there for the grace period of a compaction that starts after this call.

    Returns:
        ``s3://bucket/key`` or absolute paths, the compacted files first.

    Raises:
        ConfigError: ``study`` is no name.
    """
    check_study_name(study)

    def keys(snapshot: Snapshot) -> list[str]:
        files = snapshot.manifest.of(table) if snapshot.manifest else []
        return [*(file.key for file in files), *_loose_keys(objects, study, table, snapshot)]

    return [f"{objects.uri}/{key}" for key in reading(objects, study, keys)]


def _loose_keys(objects: ObjectStore, study: str, table: AnyTable, snapshot: Snapshot) -> list[str]:
    """Return the keys of the objects outside the manifest that hold rows of a table."""
    if table == "diagnostics":
        attempts = list_attempts(objects, study, table)
        return [attempt_key(study, table, *one) for one in attempts]
    return snapshot.loose_keys(study, table)


def _info(objects: ObjectStore, study: str, snapshot: Snapshot) -> StudyInfo:
    sizes = objects.sizes(study_prefix(study))
    claims = set(list_attempts(objects, study, "claims"))
    unmarked = claims - released_attempts(study, objects)
    rows = {*snapshot.loose, *(one for table, one in snapshot.stray if table == "trials")}
    if unmarked - rows and snapshot.manifest:
        rows |= snapshot.covered or attempts_of(objects, snapshot.manifest)
    manifest = snapshot.manifest
    return StudyInfo(
        study=study,
        objects=len(sizes),
        bytes=sum(sizes.values()),
        tables=tuple(_table(objects, study, table, snapshot, sizes) for table in ALL_TABLES),
        claims=len(claims),
        claims_without_rows=len(unmarked - rows),
        compactions=manifest.number if manifest else 0,
        compacted_at=manifest.created_at if manifest else None,
    )


def _table(
    objects: ObjectStore, study: str, table: AnyTable, snapshot: Snapshot, sizes: dict[str, int]
) -> TableInfo:
    files = snapshot.manifest.of(table) if snapshot.manifest else []
    loose = _loose_keys(objects, study, table, snapshot)
    return TableInfo(
        table=table,
        compacted_files=len(files),
        compacted_bytes=sum(file.bytes for file in files),
        compacted_rows=sum(file.rows for file in files),
        loose_objects=len(loose),
        loose_bytes=sum(sizes.get(key, 0) for key in loose),
        loose_rows=len(loose) if table == "trials" else sum(_num_rows(objects, loose)),
    )


def _num_rows(objects: ObjectStore, keys: Sequence[str]) -> list[int]:
    def num_rows(key: str) -> int:
        data = objects.get(key)
        try:
            return int(pq.read_metadata(pa.BufferReader(data)).num_rows)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise StoreError(
                f"{objects.uri}/{key} is no Parquet file ({first_line(error)}); restore it from a "
                "copy, or remove it to run the trial again."
            ) from error

    return in_parallel(num_rows, keys)
