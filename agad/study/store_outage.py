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
    """Says when a failed claim is tried again. Nothing sleeps, so all other work continues."""

    limit_s: float = _LIMIT_S
    """Seconds from the first failure until a failure is raised."""

    clock: Callable[[], float] = time.monotonic
    num_failures: int = field(default=0, init=False)
    first_s: float = field(default=0.0, init=False)
    """Time of the first failure on ``clock``."""

    next_s: float = field(default=0.0, init=False)
    """Time of the next try on ``clock``."""

    @property
    def is_over(self) -> bool:
        """Whether the next try is due."""
        return self.clock() >= self.next_s

    def lose(self, error: StoreError) -> None:
        """Count a failure, and delay the next try.

        Raises:
            StoreError: The store has failed for too long.
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
        """Forget the failures: the store works again."""
        if self.num_failures:
            logger.warning("The store takes claims again; the study goes on.")
        self.num_failures = 0
