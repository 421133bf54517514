"""Attempts of trials that ended in good order without a row: markers beside their claims."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterator
from typing import Any, Literal, TypeAlias

from agad.config import typed
from agad.errors import StoreError
from agad.objects import ObjectStore
from agad.records import Pause, attempt_key, attempt_of, attempts_prefix

Mark: TypeAlias = Literal["released", "paused"]
"""What its driver did with an attempt: gave it up, or let it wait at a rung."""


def mark_key(study: str, trial_key: str, attempt: int, mark: Mark) -> str:
    """Return the key of an attempt's marker: ``claims/<trial key>/<attempt>-<mark>.json``.

    Raises:
        StoreError: ``trial_key`` is not one segment of a key.
    """
    return attempt_key(study, "claims", trial_key, attempt).removesuffix(".json") + _suffix(mark)


def released_attempts(study: str, objects: ObjectStore) -> set[tuple[str, int]]:
    """Return the trial key and attempt of every marker of either kind."""
    keys = objects.list(attempts_prefix(study, "claims"))
    return {*marked(study, keys, "released"), *marked(study, keys, "paused")}


def last_pauses(study: str, objects: ObjectStore, trial_keys: Collection[str]) -> dict[str, int]:
    """Return the last attempt that paused of each of these trials, if one did."""
    keys = objects.list(attempts_prefix(study, "claims"))
    last: dict[str, int] = {}
    for trial_key, attempt in marked(study, keys, "paused"):
        if trial_key in trial_keys:
            last[trial_key] = max(attempt, last.get(trial_key, 0))
    return last


def pause_to_json(pause: Pause) -> bytes:
    """Return a pause as the bytes of its marker."""
    values = dataclasses.asdict(pause) | {"started_at": pause.started_at.isoformat()}
    return json.dumps(values).encode()


def pause_from_json(values: dict[str, Any], source: str) -> Pause:
    """Return the pause of a marker.

    Args:
        values: The marker's JSON object.
        source: Where it is, for the error.

    Raises:
        StoreError: It lacks something.
    """
    try:
        return typed(Pause, values, only_known=True)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"{source} is no pause ({error!r}), but must be one; restore it from a copy, or remove "
            "it to run the trial again."
        ) from error


def marked(study: str, keys: Collection[str], mark: Mark) -> Iterator[tuple[str, int]]:
    """Yield the trial key and attempt of every marker of a kind among some keys."""
    suffix = _suffix(mark)
    claims = (key.removesuffix(suffix) + ".json" for key in keys if key.endswith(suffix))
    attempts = (attempt_of(study, "claims", key) for key in claims)
    yield from (attempt for attempt in attempts if attempt is not None)


def _suffix(mark: Mark) -> str:
    return f"-{mark}.json"
