"""A worker that Ray's memory monitor kills: the end of its attempt, and not of the study.

A module of its own, since it replaces a private name of Ray.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ray._private import serialization
from ray.exceptions import OutOfMemoryError, RayActorError


class KilledForMemoryError(OutOfMemoryError, RayActorError):
    """Ray killed the worker, since its node ran low on memory."""

    def __init__(self, message: str) -> None:
        OutOfMemoryError.__init__(self, message)  # type: ignore[no-untyped-call]
        RayActorError.__init__(self, error_msg=message)


@contextmanager
def memory_kills_as_deaths() -> Iterator[None]:
    """Let Tune treat a worker that was killed for its node's memory like a worker that died.

    Ray raises an ``OutOfMemoryError`` then, which is no ``RayActorError``. Tune goes on after a
    ``RayActorError`` alone, in three places: any other error ends its experiment, with all that
    runs in it. Ray has no public place to put this right.
    """
    serialization.OutOfMemoryError = KilledForMemoryError  # type: ignore[attr-defined]
    try:
        yield
    finally:
        serialization.OutOfMemoryError = OutOfMemoryError  # type: ignore[attr-defined]
