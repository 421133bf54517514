"""The study's live status, written to its memory by a separate thread."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from agad.errors import AgadError, OtherDriverError
from agad.records import Bulletin, DriverState, StudyMemory, StudyStatus

logger = logging.getLogger(__name__)

_LAST_S = 5.0
"""The most seconds that a driver's end waits for its last bulletin."""

_MAX_REASON = 500
"""Characters of a bulletin's reason."""


class Publisher:
    """A context around a driver's work that keeps the study's live status up to date.

    A bulletin every few seconds says that the driver lives and how far the study is. The last
    bulletin says how the driver ended. A slow or failing memory never harms the study: the
    bulletins only become rare or old. A driver whose study was taken over says nothing.
    """

    def __init__(self, memory: StudyMemory, *, every_s: float = 10.0) -> None:
        self._memory = memory
        self._every_s = every_s
        self._latest: tuple[StudyStatus, float] | None = None
        """The latest status, and its time on the monotonic clock."""

        self._ending: tuple[DriverState, str] = ("running", "")
        self._is_over = threading.Event()
        # A daemon, because a store that does not answer must not keep the process from ending.
        self._thread = threading.Thread(target=self._publish, name="agad-status", daemon=True)

    def show(self, status: StudyStatus) -> None:
        """Publish this status in the next bulletin; publish the first status at once."""
        self._latest = (status, time.monotonic())
        if self._thread.ident is None:
            self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending = _ending(error)
        self._is_over.set()
        if self._thread.ident is not None:
            self._thread.join(_LAST_S)

    def _publish(self) -> None:
        while not self._is_over.is_set():
            self._put("running", "")
            self._is_over.wait(self._every_s)
        state, reason = self._ending
        if state != "running":
            self._put(state, reason)

    def _put(self, state: DriverState, reason: str) -> None:
        assert self._latest is not None, "started by the first status"
        status, at_s = self._latest
        elapsed_s = status.elapsed_s + time.monotonic() - at_s
        bulletin = Bulletin(
            status=replace(status, elapsed_s=elapsed_s),
            state=state,
            reason=reason,
            host=socket.gethostname(),
            pid=os.getpid(),
            at=datetime.now(UTC),
        )
        try:
            self._memory.put_bulletin(bulletin)
        except AgadError as error:
            logger.info("The live status of study %s is not stored: %s", status.study, error)


def _ending(error: BaseException | None) -> tuple[DriverState, str]:
    """Return how a driver ended, and why; ``running`` if another driver has its study."""
    if error is None:
        return "done", ""
    if isinstance(error, OtherDriverError):
        return "running", ""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", ""
    # Only the errors of this project are known to hold no secret.
    reason = str(error) if isinstance(error, AgadError) else f"{type(error).__name__}, see its log"
    return "failed", " ".join(reason.split())[:_MAX_REASON]
