"""Whether every object of a study is whole and is what its name and its manifest say."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa  # type: ignore[import-untyped]

from agad.config import count_text
from agad.errors import StoreError
from agad.objects import MissingObjectError, ObjectStore, TransientError
from agad.records import (
    ALL_TABLES,
    TABLES,
    AnyTable,
    Attempt,
    Kind,
    Table,
    attempt_key,
    attempts_prefix,
    check_study_name,
    compact_number,
    compact_prefix,
    config_number,
    manifest_key,
    manifests_prefix,
    mark_key,
    marked,
    study_prefix,
    winners_prefix,
)
from agad.store.read import StudyReader
from agad.store.tables.compacted import read_compacted
from agad.store.tables.manifest import (
    CompactFile,
    CompactionManifest,
    manifest_numbers,
    newest_number,
)
from agad.store.tables.parallel import in_parallel
from agad.store.tables.snapshot import Snapshot, list_attempts, read_manifest, reading
from agad.store.tables.tables import WITHIN, loose_table

_T = TypeVar("_T")
_Item = TypeVar("_Item")
_CHUNK_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The result of a check: what was read, and what is wrong."""

    objects: int
    """Objects that were read."""

    faults: tuple[str, ...]
    """The faults found, one line each."""

    notes: tuple[str, ...]
    """The remains of a crash that readers pass over, one line each."""


def verify(objects: ObjectStore, study: str) -> Verified:
    """Read every object of a study, and compare it with its name and the newest manifest.

    Raises:
        ConfigError: ``study`` is no name.
        StoreError: The store cannot be reached.
    """
    check_study_name(study)
    keys = objects.list(study_prefix(study))
    try:
        faults, notes = reading(
            objects, study, lambda snapshot: _Check(objects, study, snapshot).run(keys)
        )
    except TransientError:
        raise
    except StoreError as error:  # The newest manifest, or what it covers, cannot be read.
        faults, notes = [str(error)], []
    return Verified(objects=len(keys), faults=tuple(dict.fromkeys(faults)), notes=tuple(notes))


class _Check:
    """Looks at a study as one snapshot has it."""

    def __init__(self, objects: ObjectStore, study: str, snapshot: Snapshot) -> None:
        self._objects = objects
        self._study = study
        self._snapshot = snapshot
        self._reader = StudyReader(objects, study)
        self._faults: list[str] = []

    def run(self, keys: list[str]) -> tuple[list[str], list[str]]:
        """Return the faults and the notes.

        Args:
            keys: Every key of the study, some of which may be gone by now.
        """
        tables = {table: self._table(table) for table in TABLES}
        self._check_stray()
        # An unreadable row of a trial is a fault already; its epochs are no second fault.
        trials = _attempts(tables["trials"]) | {*self._snapshot.loose, *self._snapshot.covered}
        for table, rows in tables.items():
            self._check_rows(table, rows, trials)
        self._check_rows("diagnostics", self._diagnostics(), trials)
        self._check_claims(keys)
        self._check_other(keys)
        return self._faults, [*self._stray_notes(), *self._check_compact_names(keys)]

    def _table(self, table: Table) -> list[pa.Table]:
        """Return a table's readable rows, with only the columns that decide duplicates."""
        manifest = self._snapshot.manifest
        files = manifest.of(table) if manifest else []
        loose = [
            one
            for one in self._snapshot.loose
            if table != "scores" or one in self._snapshot.loose_scores
        ]
        tables = [
            *in_parallel(self._faulty(self._compacted), files),
            *in_parallel(self._faulty(lambda one: self._loose(table, one)), loose),
        ]
        return [one for one in tables if one is not None]

    def _diagnostics(self) -> list[pa.Table]:
        """Return the diagnostics as far as they can be read."""
        attempts = list_attempts(self._objects, self._study, "diagnostics")
        tables = in_parallel(self._faulty(lambda one: self._loose("diagnostics", one)), attempts)
        return [one for one in tables if one is not None]

    def _faulty(self, check: Callable[[_Item], _T]) -> Callable[[_Item], _T | None]:
        """Return a check that keeps an error as a fault."""

        def guarded(item: _Item) -> _T | None:
            try:
                return check(item)
            except MissingObjectError as error:
                if newest_number(self._objects, self._study) != self._number:
                    raise  # A compaction has removed it, and verifying starts anew.
                self._faults.append(f"{str(error).rstrip('.')}, but must; restore it from a copy.")
            except TransientError:
                raise  # An outage says nothing of the object.
            except StoreError as error:
                self._faults.append(str(error))
            return None

        return guarded

    @property
    def _number(self) -> int:
        return self._snapshot.manifest.number if self._snapshot.manifest else 0

    def _compacted(self, file: CompactFile) -> pa.Table:
        digest = hashlib.sha256()
        num_bytes = 0
        for chunk in _chunks(self._objects, file.key):
            digest.update(chunk)
            num_bytes += len(chunk)
        found: dict[str, object] = {"bytes": num_bytes, "sha256": digest.hexdigest()}
        if wrong := self._differing(file, found):
            raise StoreError(wrong)
        columns = ["cell", "trial_key", "attempt", *WITHIN[file.table]]
        rows = read_compacted(self._objects, file, columns=columns)
        cells = rows["cell"].unique().to_pylist()
        ends = {"min_cell": min(cells, default=""), "max_cell": max(cells, default="")}
        if wrong := self._differing(file, {"rows": rows.num_rows, **ends}):
            self._faults.append(wrong)
        # Every other column's pages are checked too, and dropped at once.
        read_compacted(self._objects, file)
        return rows

    def _differing(self, file: CompactFile, found: dict[str, object]) -> str:
        """Return a fault if a file is not what the manifest says, else nothing."""
        wrong = [
            f"{name} {value!r} instead of {getattr(file, name)!r}"
            for name, value in found.items()
            if value != getattr(file, name)
        ]
        if not wrong:
            return ""
        return (
            f"{self._objects.uri}/{file.key} has {', '.join(wrong)}, which manifest "
            f"{self._number} says; restore it from a copy."
        )

    def _loose(self, table: AnyTable, attempt: Attempt) -> pa.Table:
        rows = loose_table(self._objects, self._study, table, [attempt])
        return rows.select(["cell", "trial_key", "attempt", *WITHIN[table]])

    def _check_stray(self) -> None:
        for table in TABLES:
            attempts = [one for kind, one in self._snapshot.stray if kind == table]
            in_parallel(self._faulty(lambda one, table=table: self._loose(table, one)), attempts)  # type: ignore[misc]

    def _check_rows(self, table: AnyTable, rows: list[pa.Table], trials: set[Attempt]) -> None:
        counts = Counter(
            row
            for one in rows
            for row in zip(
                *(one[name].to_pylist() for name in ("trial_key", "attempt", *WITHIN[table])),
                strict=True,
            )
        )
        self._faults += [
            f"{self._objects.uri}/{self._study} holds {count} rows of {table} {row}, but must hold "
            "one; restore the study from a copy."
            for row, count in counts.items()
            if count > 1
        ]
        without = sorted(_attempts(rows) - trials)
        self._faults += [
            f"{self._objects.uri}/{self._study} holds {table} of attempt {attempt} of {key}, but "
            "no trial's row of it; restore the study from a copy."
            for key, attempt in without
        ]

    def _check_claims(self, keys: list[str]) -> None:
        attempts = list_attempts(self._objects, self._study, "claims")
        in_parallel(self._faulty(self._reader.claim), attempts)
        in_parallel(self._faulty(self._reader.pause), [*marked(self._study, keys, "paused")])
        in_parallel(self._faulty(self._released), [*marked(self._study, keys, "released")])

    def _released(self, attempt: Attempt) -> None:
        self._reader.json_object(mark_key(self._study, *attempt, "released"))

    def _check_other(self, keys: list[str]) -> None:
        """Read what no other check reads: configurations, winners, models, other files."""
        kinds: tuple[Kind, ...] = (*ALL_TABLES, "claims")
        folders = (
            compact_prefix(self._study),
            *(attempts_prefix(self._study, kind) for kind in kinds),
        )
        others = [key for key in keys if not key.startswith(folders)]
        in_parallel(self._faulty(self._other), others)

    def _other(self, key: str) -> None:
        if config_number(self._study, key) is not None:
            self._reader.json_object(key)
        elif key.startswith(winners_prefix(self._study)):
            self._reader.winner(key)
        else:
            self._read_through(key)

    def _manifest(self, number: int) -> CompactionManifest:
        manifest = read_manifest(self._objects, self._study, number)
        if manifest.number != number:
            raise StoreError(
                f"{self._objects.uri}/{manifest_key(self._study, number)} says that its number is "
                f"{manifest.number}; restore it from a copy."
            )
        return manifest

    def _read_through(self, key: str) -> None:
        try:
            for _ in _chunks(self._objects, key):
                pass
        except MissingObjectError:
            return  # A lease or a checkpoint that went meanwhile.

    def _stray_notes(self) -> list[str]:
        covered = [one for one in self._snapshot.stray if one[1] in self._snapshot.covered]
        notes = [
            f"{attempt_key(self._study, table, *attempt)} has no trial's row: its writer crashed, "
            "or is at it."
            for table, attempt in self._snapshot.stray
            if attempt not in self._snapshot.covered
        ]
        if covered:
            notes.append(
                f"{count_text(len(covered), 'object')} compacted already; `agad store compact` "
                "removes what is compacted after its grace period."
            )
        return notes

    def _check_compact_names(self, keys: list[str]) -> list[str]:
        """Check all manifests; return notes on files of a compaction that may still run."""
        numbers = manifest_numbers(self._study, self._objects.list(manifests_prefix(self._study)))
        manifests = in_parallel(self._faulty(self._manifest), numbers)
        listed = {file.key for one in manifests if one is not None for file in one.files}
        unlisted = [
            key for key in keys if key.startswith(compact_prefix(self._study)) and key not in listed
        ]
        self._faults += [
            f"{self._objects.uri}/{key} is in no manifest: a compaction crashed; `agad store "
            "compact` removes it."
            for key in unlisted
            if 0 < (compact_number(self._study, key) or 0) <= max(numbers, default=0)
        ]
        return [
            f"{key} is in no manifest: a compaction crashed, or runs."
            for key in unlisted
            if (compact_number(self._study, key) or 0) > max(numbers, default=0)
        ]


def _attempts(tables: Iterable[pa.Table]) -> set[Attempt]:
    return {
        attempt
        for one in tables
        for attempt in zip(one["trial_key"].to_pylist(), one["attempt"].to_pylist(), strict=True)
    }


def _chunks(objects: ObjectStore, key: str) -> Iterator[bytes]:
    with objects.open(key) as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
