"""Crashes of one driver's trials, and when they are too many for any trial to be what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime

from agad.errors import TrialsFailingError

MAX_IN_A_ROW = 12
"""Crashes, each of a trial launched after the one before it crashed, and of as many trials, with no
other end between them, before the study stops, to be run again later. A node that dies counts once,
and a trial that has failed under an earlier driver never."""


class Crashes:
    """The crashes since a trial ended in another way."""

    def __init__(self) -> None:
        self._num = 0
        self._trial_keys: set[str] = set()
        self._last_at = datetime.min.replace(tzinfo=UTC)

    def forget(self) -> None:
        """Start anew: a trial ended in another way."""
        self._num = 0
        self._trial_keys.clear()

    def count(self, trial_key: str, started_at: datetime, error: str) -> None:
        """Count the crash of a trial that was launched at a time.

        Raises:
            TrialsFailingError: So many in a row crashed that no trial can be what is wrong.
        """
        self._trial_keys.add(trial_key)
        if started_at >= self._last_at:
            self._num += 1
            self._last_at = datetime.now(UTC)
        if min(self._num, len(self._trial_keys)) >= MAX_IN_A_ROW:
            last_line = error.strip().rpartition("\n")[2]
            raise TrialsFailingError(
                f"{len(self._trial_keys)} trials in a row crashed on their workers, the last with "
                f"{last_line!r}; mend that, then run the same command again to go on."
            )
