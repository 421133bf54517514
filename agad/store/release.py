"""Attempts of trials that their driver gave up in good order: markers beside their claims."""

from __future__ import annotations

from agad.objects import ObjectStore
from agad.store.keys import attempt_key, attempt_of, attempts_prefix

_SUFFIX = "-released.json"


def released_key(study: str, trial_key: str, attempt: int) -> str:
    """Return the key of an attempt's marker: ``claims/<trial key>/<attempt>-released.json``.

    Raises:
        StoreError: ``trial_key`` is not one segment of a key.
    """
    return attempt_key(study, "claims", trial_key, attempt).removesuffix(".json") + _SUFFIX


def released_attempts(study: str, objects: ObjectStore) -> set[tuple[str, int]]:
    """Return the trial key and attempt of every marker."""
    keys = objects.list(attempts_prefix(study, "claims"))
    claims = (key.removesuffix(_SUFFIX) + ".json" for key in keys if key.endswith(_SUFFIX))
    attempts = (attempt_of(study, "claims", key) for key in claims)
    return {attempt for attempt in attempts if attempt is not None}
