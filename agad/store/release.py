"""Markers of attempts that ended in good order without a row; each stands beside its claim."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection
from typing import Any

from agad.config import typed
from agad.errors import StoreError
from agad.objects import ObjectStore
from agad.records import Pause, attempts_prefix, marked


def released_attempts(study: str, objects: ObjectStore) -> set[tuple[str, int]]:
    """Return the trial key and attempt of every marker of either kind."""
    keys = objects.list(attempts_prefix(study, "claims"))
    return {*marked(study, keys, "released"), *marked(study, keys, "paused")}


def last_pauses(study: str, objects: ObjectStore, trial_keys: Collection[str]) -> dict[str, int]:
    """Return the last paused attempt of each of these trials, if there is one."""
    keys = objects.list(attempts_prefix(study, "claims"))
    last: dict[str, int] = {}
    for trial_key, attempt in marked(study, keys, "paused"):
        if trial_key in trial_keys:
            last[trial_key] = max(attempt, last.get(trial_key, 0))
    return last


def pause_to_json(pause: Pause) -> bytes:
    """Return a pause as the bytes of its marker, without seconds of a part that are 0."""
    values = dataclasses.asdict(pause) | {"started_at": pause.started_at.isoformat()}
    for name in ("pretrain_s", "encode_s"):
        if not values[name]:
            del values[name]
    return json.dumps(values).encode()


def pause_from_json(values: dict[str, Any], source: str) -> Pause:
    """Return the pause of a marker.

    Args:
        values: The marker's JSON object.
        source: Where the marker is, for the error.

    Raises:
        StoreError: The marker lacks something.
    """
    try:
        return typed(Pause, values, only_known=True)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"{source} is no pause ({error!r}), but must be one; restore it from a copy, or remove "
            "it to run the trial again."
        ) from error
