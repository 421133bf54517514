"""What of a study is done for good."""

from __future__ import annotations

from agad.objects import ObjectStore
from agad.records import attempts_prefix, checkpoints_prefix


def steps_done(objects: ObjectStore, study: str) -> frozenset[str]:
    """Return the names of a study's rows and checkpoints: a new one is a step forward.

    Raises:
        StoreError: The store cannot be reached.
    """
    prefixes = (attempts_prefix(study, "trials"), f"{checkpoints_prefix(study)}/")
    return frozenset(key for prefix in prefixes for key in objects.list(prefix))
