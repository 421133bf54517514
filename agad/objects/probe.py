"""A check that an object store keeps its promise."""

from __future__ import annotations

import hashlib
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

from agad.errors import StoreError
from agad.objects.protocol import MissingObjectError, ObjectStore

_NUMBER = 2
"""The check's: a stricter one is run anew where an older one was passed."""

_NUM_ROUNDS = 3
_NUM_WRITERS = 8


def check_conditional_put(objects: ObjectStore) -> None:
    """Refuse a store in which the second put of a key replaces the first, also in a race.

    In 3 rounds, 8 threads put bytes of their own under a key that none had before: exactly one
    must be told that it won, and its bytes must be there. A store that passed is marked, and
    from then on asked for the mark alone, in one request; the mark names the store, so that a copy
    of it elsewhere is checked anew. Any number of checks may run at once.
    What failed in no round may still fail in another: this finds a server that only checks before
    it writes (one in PyPI's Swift had two winners in 7 of 10 such rounds), it proves nothing.

    Raises:
        StoreError: A second put was not refused, or a race had no winner, or several.
    """
    passed_key = _passed_key(objects)
    try:
        objects.get(passed_key)
    except MissingObjectError:
        _check_second_put(objects)
        for _ in range(_NUM_ROUNDS):
            _check_race(objects)
        objects.put_if_absent(passed_key, b"agad")


def _passed_key(objects: ObjectStore) -> str:
    # Not below "_probe", which is an object of its own in stores of agad 0.1: in a folder, a file.
    return f"_probes/passed-{_NUMBER}-{hashlib.sha256(objects.identity.encode()).hexdigest()[:16]}"


def _check_second_put(objects: ObjectStore) -> None:
    key = f"_probes/{uuid.uuid4().hex}"
    try:
        objects.put_if_absent(key, b"first")
        if objects.put_if_absent(key, b"second") or objects.get(key) != b"first":
            raise _refused(
                objects,
                "replaced an object although it was asked not to (it ignores the condition)",
            )
    finally:
        objects.delete(key)


def _check_race(objects: ObjectStore) -> None:
    key = f"_probes/{uuid.uuid4().hex}"
    offers = [f"{writer} {key}".encode() for writer in range(_NUM_WRITERS)]
    barrier = threading.Barrier(_NUM_WRITERS)

    def put(data: bytes) -> bool:
        barrier.wait()
        return objects.put_if_absent(key, data)

    try:
        with ThreadPoolExecutor(_NUM_WRITERS) as pool:
            won = list(pool.map(put, offers))
        if sum(won) != 1:
            raise _refused(
                objects,
                f"let {sum(won)} of {_NUM_WRITERS} writers win that put one object at once (its "
                "condition is not atomic)",
            )
        if objects.get(key) != offers[won.index(True)]:
            raise _refused(objects, "kept other bytes than those of the writer that it let win")
    finally:
        objects.delete(key)


def _refused(objects: ObjectStore, fault: str) -> StoreError:
    return StoreError(
        f"{objects.uri} {fault}, so no result can be promised to be kept exactly once; use a "
        "folder or a server with atomic conditional puts (If-None-Match)."
    )
