"""Reading of kept studies, without writing."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from agad.config import typed
from agad.errors import StoreError
from agad.objects import MissingObjectError, ObjectStore
from agad.records import (
    Attempt,
    Bulletin,
    Claim,
    DiagnosticRow,
    EpochRow,
    Pause,
    ScoreRow,
    TrialRow,
    Winner,
    attempt_key,
    attempts_prefix,
    check_study_name,
    checkpoints_prefix,
    config_number,
    config_prefix,
    manifests_prefix,
    mark_key,
    status_key,
    winners_prefix,
)
from agad.store.release import pause_from_json
from agad.store.tables.parallel import in_parallel
from agad.store.tables.params import ParamTypes, param_types
from agad.store.tables.rows import rows_from_table
from agad.store.tables.snapshot import list_attempts
from agad.store.tables.tables import read_table


def list_studies(objects: ObjectStore) -> list[str]:
    """Return the names of the studies kept in a store, sorted."""
    folders = objects.list_folders()
    is_study = in_parallel(lambda folder: bool(_config_keys(objects, folder)), folders)
    return [folder for folder, is_one in zip(folders, is_study, strict=True) if is_one]


def steps_done(objects: ObjectStore, study: str) -> frozenset[str]:
    """Return the keys of a study's rows and checkpoints: every new key is a step forward.

    Raises:
        StoreError: The store cannot be reached.
    """
    prefixes = (attempts_prefix(study, "trials"), f"{checkpoints_prefix(study)}/")
    return frozenset(key for prefix in prefixes for key in objects.list(prefix))


_ADDED_AXES = {"anomalous_class": None, "pollution_ratio": [0.0], "labelled_classes": ["all"]}
"""Axes of the cells that the first configurations did not have, and their values at that time."""


class StudyReader:
    """A study, as the store keeps it at the moment of each call."""

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

    def kept(self) -> dict[str, Any] | None:
        """Return the configuration of ``config``; None if no study of this name is kept."""
        newest = self._newest_config()
        return None if newest is None else newest[1]

    def param_types(self) -> ParamTypes:
        """Return the columns of the searched parameters; none if no study is kept."""
        newest = self._newest_config()
        return {} if newest is None else param_types(newest[1])

    def stamp(self) -> str:
        """Return a text that changes when a row, a winner or a configuration is added."""
        kept = [
            *self._objects.list(attempts_prefix(self._study, "trials")),
            *self._objects.list(manifests_prefix(self._study)),
            *self._objects.list(winners_prefix(self._study)),
            *_config_keys(self._objects, self._study).values(),
        ]
        return hashlib.sha256("\n".join(sorted(kept)).encode()).hexdigest()

    def claims(self) -> list[Claim]:
        """Return every claim ever put, in order of trial key and attempt."""
        return in_parallel(self.claim, list_attempts(self._objects, self._study, "claims"))

    def winners(self) -> list[Winner]:
        """Return every winner ever put, in order of its key."""
        return in_parallel(self.winner, self._objects.list(winners_prefix(self._study)))

    def trials(self) -> list[TrialRow]:
        """Return one row a trial key: the best state by ``STATES``, then the lowest attempt.

        The rows are in order of cell, phase and number.
        """
        return rows_from_table(read_table(self._objects, [self._study], "trials"), TrialRow)

    def epochs(self) -> list[EpochRow]:
        """Return the epochs of the rows that ``trials`` returns, in their order, then by epoch."""
        return rows_from_table(read_table(self._objects, [self._study], "epochs"), EpochRow)

    def scores(self) -> list[ScoreRow]:
        """Return the scores of the rows that ``trials`` returns, in their order, then by image."""
        return rows_from_table(read_table(self._objects, [self._study], "scores"), ScoreRow)

    def diagnostics(self) -> list[DiagnosticRow]:
        """Return the diagnostics of each trial that has some, in order of cell and number."""
        rows = read_table(self._objects, [self._study], "diagnostics")
        return rows_from_table(rows, DiagnosticRow)

    def _newest_config(self) -> tuple[int, dict[str, Any]] | None:
        """Return the latest configuration and its number; None if no study is kept."""
        keys = _config_keys(self._objects, self._study)
        if not keys:
            return None
        number = max(keys)
        config = self.json_object(keys[number])
        if isinstance(config.get("cells"), dict):
            config["cells"] = _ADDED_AXES | config["cells"]
        return number, config

    def claim(self, attempt: Attempt) -> Claim:
        """Return the claim of an attempt, which is one launch of one trial.

        Raises:
            StoreError: The claim is not there, or damaged.
        """
        key = attempt_key(self._study, "claims", *attempt)
        values = self.json_object(key)
        try:
            return typed(Claim, values)
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"{self._objects.uri}/{key} is no claim ({error!r}), but must be one; restore it "
                "from a copy, or remove it."
            ) from error

    def pause(self, attempt: Attempt) -> Pause:
        """Return the pause of an attempt.

        Raises:
            StoreError: The pause is not there, or damaged.
        """
        key = mark_key(self._study, *attempt, "paused")
        return pause_from_json(self.json_object(key), f"{self._objects.uri}/{key}")

    def winner(self, key: str) -> Winner:
        """Return the winner that a key names.

        Raises:
            StoreError: The winner is not there, or damaged.
        """
        values = self.json_object(key)
        try:
            return typed(Winner, values)
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"{self._objects.uri}/{key} is no winner ({error!r}), but must be one; restore it "
                "from a copy."
            ) from error

    def bulletin(self) -> Bulletin | None:
        """Return the last bulletin of the study's last driver; None if there is none.

        Raises:
            StoreError: The bulletin is damaged, or of a newer version.
        """
        key = status_key(self._study)
        try:
            return Bulletin.from_json(self.json_object(key))
        except MissingObjectError:
            return None
        except ValueError as error:
            raise StoreError(
                f"{self._objects.uri}/{key} is no live status ({error}); remove it, and the next "
                "driver puts it anew."
            ) from error

    def json_object(self, key: str) -> dict[str, Any]:
        """Return the JSON object that a key names.

        Raises:
            StoreError: The object is not there, or damaged.
        """
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
