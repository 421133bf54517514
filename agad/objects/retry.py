"""The one retry loop: jittered exponential back-off with a limit."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from agad.errors import AgadError, StoreError

_T = TypeVar("_T")
_JITTER = random.SystemRandom()
logger = logging.getLogger(__name__)


class TransientError(StoreError):
    """A request failed in a way that may pass: worth another attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How often to try, and how long to wait in between: 8 s in all by default, on average."""

    attempts: int = 8
    """Calls in all, at least 1."""

    first_s: float = 0.2
    """Longest wait before the second attempt; it doubles with every further one."""

    limit_s: float = 5.0
    """Longest wait before any attempt."""

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
    """Call ``action`` until it returns, or fails for another reason, or attempts run out.

    Every wait is drawn uniformly between 0 and the back-off's longest, so that clients which
    failed together do not come back together.

    Args:
        action: Must be safe to repeat.
        on: The errors after which another attempt is made.
        backoff: Attempts and waits.
        sleep: Waits for a number of seconds.
        rng: Source of the jitter.

    Raises:
        AgadError: The last attempt's own error.
    """
    for failures in range(1, backoff.attempts):
        try:
            return action()
        except on as error:
            wait_s = rng.uniform(0, backoff.longest_wait_s(failures))
            logger.info("%s Attempt %d follows in %.1f s.", error, failures + 1, wait_s)
            sleep(wait_s)
    return action()
