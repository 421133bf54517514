"""Crashes of one driver's trials, and when so many crash that the cluster must be broken."""

from __future__ import annotations

from datetime import UTC, datetime

from agad.config import count_text
from agad.errors import TrialsFailingError

MAX_IN_A_ROW = 12
"""Stop the study after so many consecutive crashes of as many different trials: then the cluster is
broken, not a trial. The study can be run again later.

A crash counts only if its trial was launched after the last crash that counted, so a node that dies
counts once. A trial that failed under an earlier driver never counts."""


class Crashes:
    """The crashes since the last trial that ended without a crash."""

    def __init__(self) -> None:
        self._num = 0
        self._trial_keys: set[str] = set()
        self._last_at = datetime.min.replace(tzinfo=UTC)

    def forget(self) -> None:
        """Start counting from 0 again: a trial ended without a crash."""
        self._num = 0
        self._trial_keys.clear()

    def count(self, trial_key: str, started_at: datetime, error: str) -> None:
        """Count the crash of a trial.

        Raises:
            TrialsFailingError: So many consecutive trials crashed that the cluster is broken, not
                a trial.
        """
        self._trial_keys.add(trial_key)
        if started_at >= self._last_at:
            self._num += 1
            self._last_at = datetime.now(UTC)
        if min(self._num, len(self._trial_keys)) >= MAX_IN_A_ROW:
            last_line = error.strip().rpartition("\n")[2]
            raise TrialsFailingError(
                f"{count_text(len(self._trial_keys), 'trial')} in a row crashed on their workers, "
                f"the last with {last_line!r}; mend that, then run the same command again to go on."
            )
