"""A check that an object store keeps its promise."""

from __future__ import annotations

import uuid

from agad.errors import StoreError
from agad.objects.protocol import ObjectStore

_PROBE_KEY = "_probe"


def check_conditional_put(objects: ObjectStore) -> None:
    """Refuse a store in which the second put of a key replaces the first.

    Each check offers the probe bytes of its own, so any number of them may run, also at once. It
    shows that the condition is obeyed, not that it is atomic: a server can fail in a race alone.

    Raises:
        StoreError: The second put was not refused.
    """
    objects.put_if_absent(_PROBE_KEY, b"agad")
    if objects.put_if_absent(_PROBE_KEY, uuid.uuid4().hex.encode()):
        raise StoreError(
            f"{objects.uri} replaced an object although it was asked not to (it ignores "
            "If-None-Match), so no result can be promised to be kept exactly once; use a folder "
            "or a server with conditional puts."
        )
