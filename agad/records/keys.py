"""The keys of a study's objects, and the attempts that they name."""

from __future__ import annotations

import hashlib
import re
import uuid
from typing import Literal, TypeAlias

from agad.errors import ConfigError, StoreError
from agad.records.rows import Winner

Table: TypeAlias = Literal["trials", "epochs", "scores"]
"""A table that compactions merge."""

AnyTable: TypeAlias = Table | Literal["diagnostics"]
Kind: TypeAlias = Literal["claims"] | AnyTable
Attempt: TypeAlias = tuple[str, int]
"""A trial's key, and which launch of it."""

TABLES: tuple[Table, ...] = ("trials", "epochs", "scores")
ALL_TABLES: tuple[AnyTable, ...] = (*TABLES, "diagnostics")
"""Diagnostics come long after their trials' rows, which may be merged by then, and are few: they
stay objects of their own."""

# A segment never starts with a dot: ".." cannot leave the store, and the temporary files of a
# local store, which do start with one, are no keys. 200 characters fit every file system.
_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9._=-]{0,199}"
_KEY = re.compile(rf"{_SEGMENT}(/{_SEGMENT})*")
_EXTENSIONS: dict[Kind, str] = {
    "claims": "json",
    "trials": "parquet",
    "epochs": "parquet",
    "scores": "parquet",
    "diagnostics": "parquet",
}
_CONFIG = re.compile(r"study(?:-([1-9]\d{0,8}))?\.json")
_COMPACT = re.compile(r"(trials|epochs|scores)-([1-9]\d{0,8})-[0-9a-f]{32}\.parquet")
_MANIFEST = re.compile(r"([1-9]\d{0,8})\.json")
_ATTEMPT = re.compile(r"([^/]+)/(0|[1-9]\d{0,8})\.(?:json|parquet)")


def is_key(text: str) -> bool:
    """Whether a text can name an object: segments of letters, digits and ``._=-``."""
    return _KEY.fullmatch(text) is not None


def check_study_name(study: str) -> None:
    """Refuse a name that cannot be a prefix of keys, such as one that leaves the store.

    Raises:
        ConfigError: ``study`` is not one segment of a key.
    """
    if "/" in study or not is_key(study):
        raise ConfigError(
            f"study.name is {study!r}, but must hold only letters, digits, '.', '_' and '-', and "
            "not start with '.' or '-'."
        )


def config_prefix(study: str) -> str:
    """Return what the keys of all configurations of a study start with."""
    return f"{study}/study"


def config_key(study: str, number: int) -> str:
    """Return the key of a study's first configuration (0), or of its n-th extension."""
    return f"{study}/study-{number}.json" if number else f"{study}/study.json"


def config_number(study: str, key: str) -> int | None:
    """Return the number of the configuration that a key names, None where it names none."""
    match = _CONFIG.fullmatch(key.removeprefix(f"{study}/"))
    return int(match[1] or 0) if match else None


def status_key(study: str) -> str:
    """Return the key of a study's live status, the one object that is overwritten."""
    return f"{study}/status.json"


def winners_prefix(study: str) -> str:
    """Return what the keys of all winners start with."""
    return f"{study}/winners/"


def winner_key(study: str, winner: Winner) -> str:
    """Return the key of a cell's winner: one for each number of search trials and of seeds."""
    cell = hashlib.sha256(winner.cell.encode()).hexdigest()[:32]
    extent = f"{winner.num_search_trials}-{winner.num_seeds}"
    return f"{winners_prefix(study)}{cell}/{extent}.json"


def attempts_prefix(study: str, kind: Kind) -> str:
    """Return what the keys of all objects of one kind start with."""
    return f"{study}/{kind}/"


def attempt_key(study: str, kind: Kind, trial_key: str, attempt: int) -> str:
    """Return the key of what one attempt of a trial leaves.

    Raises:
        StoreError: ``trial_key`` is not one segment of a key.
    """
    if "/" in trial_key or not is_key(trial_key):
        raise StoreError(f"trial key is {trial_key!r}, but must hold only letters and digits.")
    return f"{study}/{kind}/{trial_key}/{attempt}.{_EXTENSIONS[kind]}"


def attempt_of(study: str, kind: Kind, key: str) -> Attempt | None:
    """Return the trial key and attempt that a key names, None where it names none."""
    match = _ATTEMPT.fullmatch(key.removeprefix(attempts_prefix(study, kind)))
    return (match[1], int(match[2])) if match else None


def compact_prefix(study: str) -> str:
    """Return what the keys of all compacted files start with."""
    return f"{study}/compact/"


def compact_key(study: str, table: Table, number: int) -> str:
    """Return a new key of a file that the manifest of this number may list."""
    return f"{compact_prefix(study)}{table}-{number}-{uuid.uuid4().hex}.parquet"


def compact_number(study: str, key: str) -> int | None:
    """Return the number of the manifest that a compacted file was written for, None for others."""
    prefix = compact_prefix(study)
    match = _COMPACT.fullmatch(key.removeprefix(prefix)) if key.startswith(prefix) else None
    return int(match[2]) if match else None


def manifests_prefix(study: str) -> str:
    """Return what the keys of all manifests start with."""
    return f"{study}/manifests/"


def manifest_key(study: str, number: int) -> str:
    """Return the key of the n-th manifest, from 1 on."""
    return f"{manifests_prefix(study)}{number}.json"


def manifest_number(study: str, key: str) -> int | None:
    """Return the number of the manifest that a key names, None where it names none."""
    match = _MANIFEST.fullmatch(key.removeprefix(manifests_prefix(study)))
    return int(match[1]) if match else None
