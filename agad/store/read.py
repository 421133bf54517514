"""Reading what studies have left, without writing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from agad.errors import StoreError
from agad.objects import ObjectStore
from agad.records import PHASES, STATES, Claim, EpochRow, TrialRow, Winner
from agad.store.keys import (
    Kind,
    attempt_key,
    attempt_of,
    attempts_prefix,
    check_study_name,
    config_number,
    config_prefix,
    winners_prefix,
)
from agad.store.schema import rows_from_parquet

_T = TypeVar("_T")
_Item = TypeVar("_Item")
_Row = TypeVar("_Row", TrialRow, EpochRow)

_NUM_THREADS = 16
"""A read from S3 is nearly all waiting."""


def list_studies(objects: ObjectStore) -> list[str]:
    """Return the names of the studies kept in a store, sorted."""
    folders = objects.list_folders()
    is_study = _in_parallel(lambda folder: bool(_config_keys(objects, folder)), folders)
    return [folder for folder, is_one in zip(folders, is_study, strict=True) if is_one]


class StudyReader:
    """One study, as it is kept at the moment of each call."""

    def __init__(self, objects: ObjectStore, study: str) -> None:
        check_study_name(study)
        self._objects = objects
        self._study = study

    def config(self) -> dict[str, Any]:
        """Return the study's configuration, with its latest extension.

        Raises:
            StoreError: No study of this name is kept.
        """
        newest = self._newest_config()
        if newest is None:
            known = ", ".join(list_studies(self._objects)) or "none"
            raise StoreError(
                f"study {self._study!r} is not in {self._objects.uri}, which holds: {known}."
            )
        return newest[1]

    def claims(self) -> list[Claim]:
        """Return every claim ever put, in order of trial key and attempt."""
        return _in_parallel(self._claim, self._attempts("claims"))

    def winners(self) -> list[Winner]:
        """Return every winner ever put, in order of its key."""
        return _in_parallel(self._winner, self._objects.list(winners_prefix(self._study)))

    def trials(self) -> list[TrialRow]:
        """Return one row a trial key: the best state by ``STATES``, then the lowest attempt.

        They are in order of cell, phase and number.
        """
        best: dict[str, TrialRow] = {}
        rows = _in_parallel(self._trial, self._attempts("trials"))
        for row in sorted(rows, key=_preference):
            best.setdefault(row.trial_key, row)
        return sorted(best.values(), key=_place)

    def epochs(self) -> list[EpochRow]:
        """Return the epochs of the rows that ``trials`` returns, in their order, then by epoch."""
        attempts = [(row.trial_key, row.attempt) for row in self.trials()]
        tables = _in_parallel(lambda attempt: self._rows("epochs", attempt, EpochRow), attempts)
        return [row for rows in tables for row in sorted(rows, key=lambda row: row.epoch)]

    def _newest_config(self) -> tuple[int, dict[str, Any]] | None:
        """Return the latest configuration and its number, None where no study is kept."""
        keys = _config_keys(self._objects, self._study)
        if not keys:
            return None
        number = max(keys)
        return number, self._json(keys[number])

    def _attempts(self, kind: Kind) -> list[tuple[str, int]]:
        # Other names are none of ours: a note that someone left there, say.
        keys = self._objects.list(attempts_prefix(self._study, kind))
        attempts = (attempt_of(self._study, kind, key) for key in keys)
        return sorted(attempt for attempt in attempts if attempt is not None)

    def _claim(self, attempt: tuple[str, int]) -> Claim:
        key = attempt_key(self._study, "claims", *attempt)
        values = self._json(key)
        try:
            named = {field.name: values[field.name] for field in dataclasses.fields(Claim)}
            return Claim(**{**named, "seeds": tuple(named["seeds"])})
        except (KeyError, TypeError) as error:
            raise StoreError(
                f"{self._objects.uri}/{key} is no claim ({error!r}), but must be one; restore it "
                "from a copy, or remove it."
            ) from error

    def _winner(self, key: str) -> Winner:
        values = self._json(key)
        try:
            return Winner(
                **{field.name: values[field.name] for field in dataclasses.fields(Winner)}
            )
        except KeyError as error:
            raise StoreError(
                f"{self._objects.uri}/{key} is no winner (it lacks {error}), but must be one; "
                "restore it from a copy."
            ) from error

    def _trial(self, attempt: tuple[str, int]) -> TrialRow:
        rows = self._rows("trials", attempt, TrialRow)
        if len(rows) != 1:
            key = attempt_key(self._study, "trials", *attempt)
            raise StoreError(
                f"{self._objects.uri}/{key} holds {len(rows)} rows, but must hold one; restore it "
                "from a copy, or remove it to run the trial again."
            )
        return rows[0]

    def _rows(self, kind: Kind, attempt: tuple[str, int], row_type: type[_Row]) -> list[_Row]:
        key = attempt_key(self._study, kind, *attempt)
        source = f"{self._objects.uri}/{key}"
        rows = rows_from_parquet(self._objects.get(key), row_type, source)
        if any((row.trial_key, row.attempt) != attempt for row in rows):
            raise StoreError(
                f"{source} holds the rows of another trial, but must hold those that its name "
                "says; restore it from a copy, or remove it to run the trial again."
            )
        return rows

    def _json(self, key: str) -> dict[str, Any]:
        try:
            values = json.loads(self._objects.get(key))
        except ValueError as error:
            raise StoreError(
                f"{self._objects.uri}/{key} is no JSON ({error}); restore it from a copy."
            ) from error
        if not isinstance(values, dict):
            raise StoreError(
                f"{self._objects.uri}/{key} holds a {type(values).__name__}, but must hold a JSON "
                "object; restore it from a copy."
            )
        return values


def _config_keys(objects: ObjectStore, study: str) -> dict[int, str]:
    """Return the keys of a study's configurations by their number."""
    keys = objects.list(config_prefix(study))
    numbers = {key: config_number(study, key) for key in keys}
    return {number: key for key, number in numbers.items() if number is not None}


def _preference(row: TrialRow) -> tuple[int, int]:
    state = STATES.index(row.state) if row.state in STATES else len(STATES)
    return state, row.attempt


def _place(row: TrialRow) -> tuple[str, int, int, str]:
    phases: tuple[str, ...] = PHASES
    return row.cell, phases.index(row.phase), row.number, row.trial_key


def _in_parallel(function: Callable[[_Item], _T], items: Iterable[_Item]) -> list[_T]:
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        return list(pool.map(function, items))
