"""How long a study waits for a store that takes no claims."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from agad.errors import StoreError
from agad.objects import Backoff

logger = logging.getLogger(__name__)

_LIMIT_S = 600.0
_BACKOFF = Backoff(first_s=1.0, limit_s=30.0)


@dataclass(slots=True, kw_only=True)
class StoreOutage:
    """When something that failed is tried again; nobody sleeps, so all else goes on meanwhile."""

    limit_s: float = _LIMIT_S
    """Seconds from the first failure to the one that is raised."""

    clock: Callable[[], float] = time.monotonic
    num_failures: int = field(default=0, init=False)
    first_s: float = field(default=0.0, init=False)
    """When the first failure was, on the clock."""

    next_s: float = field(default=0.0, init=False)
    """When the next try is due, on the clock."""

    @property
    def is_over(self) -> bool:
        """Whether the next try is due."""
        return self.clock() >= self.next_s

    def lose(self, error: StoreError) -> None:
        """Take a failure, and put the next try off.

        Raises:
            StoreError: It has failed for too long.
        """
        now_s = self.clock()
        if not self.num_failures:
            self.first_s = now_s
            logger.warning("The study waits for its store, and starts no trial: %s", error)
        self.num_failures += 1
        if now_s - self.first_s >= self.limit_s:
            raise StoreError(
                f"the store took no claim for {now_s - self.first_s:.0f} s, so the study ends; "
                f"run the same command again when it works: {error}"
            ) from error
        self.next_s = now_s + _BACKOFF.longest_wait_s(self.num_failures)

    def regain(self) -> None:
        """Forget the failures: it worked."""
        if self.num_failures:
            logger.warning("The store takes claims again; the study goes on.")
        self.num_failures = 0
