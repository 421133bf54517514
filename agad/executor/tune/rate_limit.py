"""How often the driver does what may wait."""

from __future__ import annotations

import time
from collections.abc import Callable


class RateLimit:
    """Does something at most so often, and for at most so much of the time."""

    def __init__(
        self,
        every_s: float,
        most_share: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Be due at once.

        Args:
            every_s: The least seconds from one end to the next start.
            most_share: The most of the time that it may take, in (0, 1].
            clock: Seconds of a clock that never goes back.
        """
        self._every_s = every_s
        self._most_share = most_share
        self._clock = clock
        self._due_s = float("-inf")

    def run(self, action: Callable[[], None]) -> None:
        """Do it if it is due."""
        start_s = self._clock()
        if start_s < self._due_s:
            return
        action()
        end_s = self._clock()
        took_s = end_s - start_s
        self._due_s = end_s + max(self._every_s, took_s / self._most_share - took_s)
