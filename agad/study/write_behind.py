"""Writes to a study's memory that no decision waits for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from agad.config import count_text
from agad.errors import StoreError
from agad.records import StudyMemory

logger = logging.getLogger(__name__)

_LAST_WRITES_S = 5.0
"""Seconds for the writes that still wait for the store when the study is interrupted."""

_WRITERS = 4
_MAX_WAITING = 64
"""Writes that may wait for the store before the study waits for the store too."""


class WriteBehind:
    """Threads that write while the study continues; later calls raise the threads' errors."""

    def __init__(self, memory: StudyMemory) -> None:
        """Start no thread yet.

        Args:
            memory: The memory that the writes go to.
        """
        self._memory = memory
        self._threads = ThreadPoolExecutor(_WRITERS, thread_name_prefix="agad-store")
        self._writes: list[tuple[Future[None], Callable[[], None]]] = []

    def start(self, write: Callable[[], None]) -> None:
        """Start a write that is safe to repeat."""
        self._writes.append((self._threads.submit(write), write))

    def wait_for_room(self) -> None:
        """Wait while too many writes are not done.

        Raises:
            AgadError: The first error of a write.
        """
        self._check(_MAX_WAITING)

    def finish(self) -> None:
        """Wait until every write is done.

        Raises:
            AgadError: The first error of a write.
        """
        self._threads.shutdown(wait=True)
        self._check(most=0)

    def break_off(self) -> None:
        """Wait a few seconds, then keep the rest on this host's disk for the next driver here."""
        wait([future for future, _ in self._writes], timeout=_LAST_WRITES_S)
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._memory.disconnect()
        num_lost = 0
        for future, write in self._writes:
            if future.done() and not future.cancelled() and future.exception() is None:
                continue
            try:
                write()
            except StoreError as error:
                num_lost += 1
                last_error = error
        if num_lost:
            logger.warning(
                "What %s left could not be kept and will be run again: %s",
                count_text(num_lost, "trial"),
                last_error,
            )

    def _check(self, most: int) -> None:
        """Raise the first error of a write; wait while more than ``most`` are not done."""
        while self._writes and (len(self._writes) > most or self._writes[0][0].done()):
            self._writes.pop(0)[0].result()
