"""The one retry loop: jittered exponential back-off with a limit."""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from agad.errors import AgadError, StoreError

_T = TypeVar("_T")
_JITTER = random.SystemRandom()
_QUIET_S = 3.0
"""How long a request may be repeated before the user is told."""

logger = logging.getLogger(__name__)


class TransientError(StoreError):
    """A request failed in a way that may pass: worth another attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How often to try, and how long to wait in between: 8 s in all by default, on average."""

    attempts: int = 8
    """Calls in all, at least 1."""

    first_s: float = 0.2
    """Longest wait before the second attempt; the wait doubles with every further attempt."""

    limit_s: float = 5.0
    """Longest wait before any attempt."""

    deadline_s: float = math.inf
    """No attempt starts later than this after the first one, however long each takes to fail."""

    def longest_wait_s(self, failures: int) -> float:
        """Return the longest wait after this many failures, at least 1."""
        return float(min(self.limit_s, self.first_s * 2 ** (failures - 1)))


def retry(
    action: Callable[[], _T],
    on: type[AgadError] | tuple[type[AgadError], ...] = TransientError,
    *,
    backoff: Backoff = Backoff(),
    sleep: Callable[[float], object] = time.sleep,
    rng: random.Random = _JITTER,
) -> _T:
    """Call ``action`` until it returns, or fails for another reason, or attempts or time run out.

    Every wait is drawn uniformly between 0 and the back-off's longest, so that clients which failed
    together do not come back together. A user who waits for more than 3 s is told so.

    Args:
        action: Must be safe to repeat.
        on: The errors after which another attempt is made.
        backoff: Attempts, waits and the time for all of them.
        sleep: Waits for a number of seconds.
        rng: Source of the jitter.

    Raises:
        AgadError: The last attempt's own error.
    """
    start_s = time.monotonic()
    for failures in range(1, backoff.attempts):
        try:
            return action()
        except on as error:
            wait_s = rng.uniform(0, backoff.longest_wait_s(failures))
            next_s = time.monotonic() - start_s + wait_s
            if next_s > backoff.deadline_s:
                raise
            level = logging.WARNING if next_s > _QUIET_S else logging.INFO
            logger.log(level, "%s Attempt %d follows in %.1f s.", error, failures + 1, wait_s)
            sleep(wait_s)
    return action()
