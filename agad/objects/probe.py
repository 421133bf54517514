"""A check that an object store keeps its promise."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from agad.errors import StoreError
from agad.objects.protocol import MissingObjectError, ObjectStore
from agad.records import new_probe_key, passed_key

_NUMBER = 2
"""Number of the check. A stricter check gets the next number, and every store is checked anew."""

_NUM_ROUNDS = 3
_NUM_WRITERS = 8


def check_conditional_put(objects: ObjectStore) -> None:
    """Refuse a store in which the second put of a key replaces the first, also in a race.

    In 3 rounds, 8 threads put bytes of their own under a new key: exactly one thread must be told
    that it won, and its bytes must be there. A store that passed is marked; later checks only ask
    for the mark, in one request. The mark names the store, so that a copy of the store elsewhere is
    checked anew. Any number of checks may run at once.

    The check finds a server that only looks before it writes (PyPI's Swift had two winners in 7 of
    10 rounds). The check proves nothing: a store that passed may still fail.

    Raises:
        StoreError: A second put was not refused, or a race had no winner, or several.
    """
    mark = passed_key(_NUMBER, objects.identity)
    try:
        objects.get(mark)
    except MissingObjectError:
        _check_second_put(objects)
        for _ in range(_NUM_ROUNDS):
            _check_race(objects)
        objects.put_if_absent(mark, b"agad")


def _check_second_put(objects: ObjectStore) -> None:
    key = new_probe_key()
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
    key = new_probe_key()
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
