"""Let a kill by Ray's memory monitor end the attempt of one trial, and not the study.

This is a separate module because it replaces a private name of Ray.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray.exceptions import OutOfMemoryError, RayActorError

from agad.executor.private_ray import stepping_aside


class KilledForMemoryError(OutOfMemoryError, RayActorError):
    """Ray killed the worker because its node ran low on memory."""

    def __init__(self, message: str) -> None:
        OutOfMemoryError.__init__(self, message)  # type: ignore[no-untyped-call]
        RayActorError.__init__(self, error_msg=message)


@contextmanager
def memory_kills_as_deaths() -> Iterator[None]:
    """Let Tune treat a worker that was killed for its node's memory like a worker that died.

    Ray then raises an ``OutOfMemoryError``, which is no ``RayActorError``. Tune goes on only after
    a ``RayActorError``, in three places. Any other error ends Tune's experiment with all its
    running trials. Ray has no public way to change this.
    """
    raising: Any = None
    with stepping_aside("a kill by Ray's memory monitor ends the study, until it is run again"):
        from ray._private import serialization

        before = serialization.OutOfMemoryError  # type: ignore[attr-defined]
        raising = serialization
    if raising is None:
        yield
        return
    raising.OutOfMemoryError = KilledForMemoryError
    try:
        yield
    finally:
        raising.OutOfMemoryError = before
