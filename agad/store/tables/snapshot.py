"""The objects of a study that count at one moment: the newest manifest, and what it lacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from agad.errors import StoreError
from agad.objects import MissingObjectError, ObjectStore
from agad.records import (
    TABLES,
    Attempt,
    Kind,
    Table,
    attempt_key,
    attempt_of,
    attempts_prefix,
    manifest_key,
)
from agad.store.tables.compacted import read_compacted
from agad.store.tables.manifest import CompactionManifest, newest_number, parse_manifest
from agad.store.tables.parallel import in_parallel

_T = TypeVar("_T")

_MAX_RESTARTS = 20
"""How many compactions may remove objects during a read before the reader gives up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A study's rows: each attempt is in the manifest's files or in objects of its own."""

    manifest: CompactionManifest | None
    loose: tuple[Attempt, ...]
    """Attempts with a trial's row that the manifest does not cover, in order."""

    loose_scores: frozenset[Attempt]
    """Attempts of ``loose`` that have scores."""

    stray: tuple[tuple[Table, Attempt], ...]
    """Other objects of attempts: covered by the manifest, or without a trial's row."""

    covered: frozenset[Attempt]
    """The attempts of the manifest's files; not read, so empty, if there is no other object."""

    def loose_keys(self, study: str, table: Table) -> list[str]:
        """Return the keys of the objects outside the manifest that hold rows of a table."""
        attempts = [one for one in self.loose if table != "scores" or one in self.loose_scores]
        return [attempt_key(study, table, *one) for one in attempts]


def take_snapshot(objects: ObjectStore, study: str) -> Snapshot:
    """Return the objects that count now.

    Objects are removed only when a manifest covers them. So if no newer manifest has come during
    the listing, no object that this manifest lacks was removed before it was listed.
    """
    number = newest_number(objects, study)
    covered: frozenset[Attempt] = frozenset()
    for _ in range(_MAX_RESTARTS):
        # Trials first: a trial whose row is listed has put its epochs and scores before.
        listed = {table: list_attempts(objects, study, table) for table in TABLES}
        try:
            manifest = read_manifest(objects, study, number) if number else None
            if manifest is not None and any(listed.values()):
                covered = attempts_of(objects, manifest)
        except MissingObjectError:
            if newest_number(objects, study) == number:
                raise
        newest = newest_number(objects, study)
        if newest == number:
            return _snapshot(manifest, covered, listed)
        number = newest
    raise _never_still(objects, study)


def reading(objects: ObjectStore, study: str, read: Callable[[Snapshot], _T]) -> _T:
    """Return what a function reads of a study; it starts anew if a compaction overtakes it.

    Raises:
        MissingObjectError: Something is missing, and no compaction has removed it.
        StoreError: Compactions overtook the function again and again.
    """
    for _ in range(_MAX_RESTARTS):
        snapshot = take_snapshot(objects, study)
        try:
            return read(snapshot)
        except MissingObjectError:
            before = snapshot.manifest.number if snapshot.manifest else 0
            if newest_number(objects, study) == before:
                raise
    raise _never_still(objects, study)


def list_attempts(objects: ObjectStore, study: str, kind: Kind) -> list[Attempt]:
    """Return the attempts that have an object of a kind, in order."""
    # Other names are none of ours: a note that someone left there, say.
    keys = objects.list(attempts_prefix(study, kind))
    attempts = (attempt_of(study, kind, key) for key in keys)
    return sorted(attempt for attempt in attempts if attempt is not None)


def read_manifest(objects: ObjectStore, study: str, number: int) -> CompactionManifest:
    """Return the n-th manifest.

    Raises:
        MissingObjectError: There is none.
        StoreError: The manifest is damaged, or of a newer version.
    """
    key = manifest_key(study, number)
    return parse_manifest(objects.get(key), study, f"{objects.uri}/{key}")


def attempts_of(objects: ObjectStore, manifest: CompactionManifest) -> frozenset[Attempt]:
    """Return the attempts whose rows the manifest's files hold."""
    tables = in_parallel(
        lambda file: read_compacted(objects, file, columns=["trial_key", "attempt"]),
        manifest.of("trials"),
    )
    return frozenset(
        attempt
        for table in tables
        for attempt in zip(
            table["trial_key"].to_pylist(), table["attempt"].to_pylist(), strict=True
        )
    )


def _snapshot(
    manifest: CompactionManifest | None,
    covered: frozenset[Attempt],
    listed: dict[Table, list[Attempt]],
) -> Snapshot:
    loose = tuple(attempt for attempt in listed["trials"] if attempt not in covered)
    known = frozenset(loose)
    return Snapshot(
        manifest=manifest,
        loose=loose,
        loose_scores=known & frozenset(listed["scores"]),
        stray=tuple(
            (table, attempt)
            for table, attempts in listed.items()
            for attempt in attempts
            if attempt not in known
        ),
        covered=covered,
    )


def _never_still(objects: ObjectStore, study: str) -> StoreError:
    return StoreError(
        f"{objects.uri}/{study} cannot be read: {_MAX_RESTARTS} compactions overtook the reader; "
        "run one compaction at a time."
    )
