"""Compaction: a study's many objects become a few files, safe beside writers and readers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from agad.errors import AgadError, ConfigError, StoreError
from agad.objects import ObjectStore, check_conditional_put
from agad.records import (
    TABLES,
    Attempt,
    Table,
    attempt_key,
    check_study_name,
    compact_key,
    compact_number,
    compact_prefix,
    manifest_key,
)
from agad.store.read import StudyReader
from agad.store.tables.choose import all_places, in_order
from agad.store.tables.compacted import overlapping, read_compacted
from agad.store.tables.manifest import CompactionManifest, newest_number
from agad.store.tables.merge import put_sorted
from agad.store.tables.parallel import in_parallel
from agad.store.tables.params import ParamTypes, is_param
from agad.store.tables.schema import (
    ROW_TYPES,
    arrow_schema,
    check_version,
    described,
    first_line,
    united,
)
from agad.store.tables.snapshot import Snapshot, attempts_of, read_manifest, reading, take_snapshot
from agad.store.tables.tables import WITHIN, loose_table

DEFAULT_GRACE = timedelta(minutes=60)
"""How long the objects that a manifest covers stay, for readers that began before the manifest."""

_MAX_RACES = 5
"""How many other compactions may be first, before this one leaves the work to them."""

_BATCH_ATTEMPTS = 2_000
"""Attempts whose epochs and scores are in memory at once, plus the rest of their last cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """The result of a compaction."""

    study: str
    number: int
    """Number of the newest manifest; 0 if there is none."""

    num_attempts: int
    """Attempts that the new manifest covers and no earlier one; 0 if no new manifest was needed."""

    num_files: int
    """Files of the newest manifest."""

    num_bytes: int
    """Bytes of these files."""

    num_deleted: int
    """Objects removed because a manifest older than the grace period covers them."""


def compact(objects: ObjectStore, study: str, grace: timedelta = DEFAULT_GRACE) -> Compacted:
    """Merge a study's rows into sorted files, and remove objects that are covered long enough.

    A crash at any step leaves every row readable once, and the next compaction clears up. Claims
    and configurations are never removed.

    Args:
        objects: The store.
        study: The study's name.
        grace: Objects stay this long after the manifest that covers them, 0 or more.

    Raises:
        ConfigError: ``grace`` is negative, or ``study`` is no name.
        StoreError: An object is damaged, or has columns of a newer version, or the store's puts
            replace existing objects. Nothing is removed then.
    """
    check_study_name(study)
    if grace < timedelta(0):
        raise ConfigError(
            f"grace is {grace.total_seconds() / 60:g} minutes, but must be at least 0."
        )
    check_conditional_put(objects)
    num_attempts = _merge_loose(objects, study)
    newest = newest_number(objects, study)
    manifest = read_manifest(objects, study, newest) if newest else None
    files = manifest.files if manifest else ()
    return Compacted(
        study=study,
        number=newest,
        num_attempts=num_attempts,
        num_files=len(files),
        num_bytes=sum(file.bytes for file in files),
        num_deleted=_remove_covered(objects, study, newest, grace) if newest else 0,
    )


def _merge_loose(objects: ObjectStore, study: str) -> int:
    """Put a new manifest if attempts have objects of their own; return how many attempts."""
    for _ in range(_MAX_RACES):
        merged = reading(objects, study, lambda snapshot: _merged(objects, study, snapshot))
        if merged is not None:
            return merged
    return 0  # After so many lost races, others have done the work.


def _merged(objects: ObjectStore, study: str, snapshot: Snapshot) -> int | None:
    """Return how many attempts were merged; None if another compaction was first.

    Files that no manifest lists are removed at the end of this or a later compaction.
    """
    if not snapshot.loose:
        return 0
    _check_columns(objects, study, snapshot)
    number = snapshot.manifest.number + 1 if snapshot.manifest else 1
    merge = _Merge(objects, study, snapshot, StudyReader(objects, study).param_types())
    with tempfile.TemporaryDirectory(prefix="agad-compact-") as folder:
        files = tuple(
            file
            for table in TABLES
            for file in put_sorted(
                objects,
                table,
                merge.parts(table),
                Path(folder),
                partial(compact_key, study, table, number),
            )
        )
    manifest = CompactionManifest(number=number, created_at=datetime.now(UTC), files=files)
    is_first = objects.put_if_absent(manifest_key(study, number), manifest.as_json())
    return len(snapshot.loose) if is_first else None


def _check_columns(objects: ObjectStore, study: str, snapshot: Snapshot) -> None:
    """Refuse a snapshot with columns that this version does not read: merging would lose them.

    Raises:
        MissingObjectError: A compaction has removed a file meanwhile.
        StoreError: A newer version wrote a file, or the file is no table.
    """
    for table in TABLES:
        compacted = snapshot.manifest.of(table) if snapshot.manifest else []
        keys = [*(file.key for file in compacted), *snapshot.loose_keys(study, table)]
        in_parallel(lambda key, table=table: _check_file(objects, table, key), keys)  # type: ignore[misc]


def _check_file(objects: ObjectStore, table: Table, key: str) -> None:
    source = f"{objects.uri}/{key}"
    with objects.open(key) as stream:
        try:
            schema = pq.read_schema(stream)
        except AgadError:
            raise
        except (pa.ArrowException, OSError, ValueError) as error:
            raise StoreError(
                f"{source} cannot be read as a table of {ROW_TYPES[table].__name__}: "
                f"{first_line(error)}; restore it from a copy."
            ) from error
    check_version(schema, source)
    known = {*arrow_schema(ROW_TYPES[table]).names}
    newer = [name for name in schema.names if name not in known and not is_param(name)]
    if newer:
        raise StoreError(
            f"{source} has columns {', '.join(newer)} of a newer agad; compact with that version."
        )


class _Merge:
    """The rows of a snapshot, all attempts, in order."""

    def __init__(
        self, objects: ObjectStore, study: str, snapshot: Snapshot, params: ParamTypes
    ) -> None:
        self._objects = objects
        self._study = study
        self._snapshot = snapshot
        self._params = params
        self._trials = self._rows("trials", snapshot.loose, None)
        self._places = all_places(self._trials)

    def parts(self, table: Table) -> Iterator[pa.Table]:
        """Yield a table's rows in order, some cells at a time."""
        if table == "trials":
            yield self._in_order(table, self._trials)
            return
        for cells, attempts in self._batches():
            loose = [
                one
                for one in self._snapshot.loose
                if one in attempts and (table != "scores" or one in self._snapshot.loose_scores)
            ]
            yield self._in_order(table, self._rows(table, loose, cells))

    def _in_order(self, table: Table, rows: pa.Table) -> pa.Table:
        return described(in_order(rows, self._places, WITHIN[table]), ROW_TYPES[table])

    def _batches(self) -> Iterator[tuple[frozenset[str], frozenset[Attempt]]]:
        """Yield consecutive cells with all of their attempts."""
        by_cell: dict[str, set[Attempt]] = {}
        columns = [self._trials[name].to_pylist() for name in ("cell", "trial_key", "attempt")]
        for cell, key, attempt in zip(*columns, strict=True):
            by_cell.setdefault(cell, set()).add((key, attempt))
        cells: set[str] = set()
        attempts: set[Attempt] = set()
        for cell in sorted(by_cell):
            cells.add(cell)
            attempts |= by_cell[cell]
            if len(attempts) >= _BATCH_ATTEMPTS:
                yield frozenset(cells), frozenset(attempts)
                cells, attempts = set(), set()
        if cells:
            yield frozenset(cells), frozenset(attempts)

    def _rows(
        self, table: Table, loose: Sequence[Attempt], cells: frozenset[str] | None
    ) -> pa.Table:
        manifest = self._snapshot.manifest
        files = overlapping(manifest.of(table), cells) if manifest else []
        before = [read_compacted(self._objects, file, cells=cells) for file in files]
        rows = [*before, loose_table(self._objects, self._study, table, loose)]
        return united(rows, ROW_TYPES[table], self._params if table == "trials" else None)


def _remove_covered(objects: ObjectStore, study: str, newest: int, grace: timedelta) -> int:
    """Remove objects that only readers older than the grace period need; return how many.

    Args:
        objects: The store.
        study: The study's name.
        newest: Number of the newest manifest, at least 1.
        grace: As ``compact`` has it.
    """
    before = datetime.now(UTC) - grace
    kept: list[CompactionManifest] = []
    for number in range(newest, 0, -1):
        kept.append(read_manifest(objects, study, number))
        if kept[-1].created_at <= before:
            break
    listed = {file.key for manifest in kept for file in manifest.files}
    # Files that a later manifest may list have a higher number than the newest manifest.
    keys = [
        key
        for key in objects.list(compact_prefix(study))
        if key not in listed and (compact_number(study, key) or newest + 1) <= newest
    ]
    if kept[-1].created_at <= before:
        stray = take_snapshot(objects, study).stray
        covered = attempts_of(objects, kept[-1]) if stray else frozenset()
        keys += [attempt_key(study, table, *one) for table, one in stray if one in covered]
    in_parallel(objects.delete, keys)
    return len(keys)
