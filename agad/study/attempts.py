"""How often each trial was launched, over all drivers, and when it has been often enough."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress

from agad.errors import StoreError
from agad.records import Claim, StudyMemory, TrialRow

MAX_ATTEMPTS = 3
"""Lost attempts after which a trial counts as failed, over all drivers.

An attempt is lost if it was claimed and left no row: its worker crashed, or its driver was killed.
An attempt that paused, or whose driver ended in good order, is not lost. Only attempts after the
attempt that wrote the newest checkpoint count. If no checkpoint is kept, every lost attempt counts.

Example: a long trial may lose any number of drivers as long as each writes a checkpoint. The trial
survives two consecutive attempts without a new checkpoint, and fails with the third.

A trial that counts as failed starts again under a later driver, until as many more are lost.
"""


class Attempts:
    """The launches of a study's trials and those that were lost."""

    def __init__(self, memory: StudyMemory, rows: Mapping[str, TrialRow]) -> None:
        """Count the attempts that earlier drivers claimed.

        Args:
            memory: Holds the claims and the names of the checkpoints.
            rows: By trial key. Attempts that were lost before a trial's row do not count.
        """
        self._memory = memory
        self.last_claims: dict[str, Claim] = {}
        """The last claim of every trial that an earlier driver launched, by trial key."""

        self._lost: dict[str, list[int]] = defaultdict(list)
        released = memory.released()
        for claim in sorted(memory.claims(), key=lambda one: one.attempt):
            key, attempt = claim.trial_key, claim.attempt
            self.last_claims[key] = claim
            is_after_row = key not in rows or attempt > rows[key].attempt
            if is_after_row and (key, attempt) not in released:
                self._lost[key].append(attempt)
        self._num = {key: claim.attempt + 1 for key, claim in self.last_claims.items()}
        self.given_up = self._given_up(self._lost)
        """Trials that earlier drivers started too often, counted since the trial's row if any."""

    def next(self, trial_key: str) -> int:
        """Return the number of a trial's next attempt: 0, 1, 2, ..."""
        return self._num.get(trial_key, 0)

    def launch(self, trial_key: str) -> None:
        """Count a trial's next attempt as claimed."""
        self._num[trial_key] = self.next(trial_key) + 1

    def lose(self, trial_key: str) -> bool:
        """Count a trial's last attempt as lost; return whether the trial counts as failed now.

        If the store cannot list checkpoints, the trial does not count as failed: the next launch
        needs the store anyway.
        """
        self._lost[trial_key].append(self._num[trial_key] - 1)
        with suppress(StoreError):
            return trial_key in self._given_up([trial_key])
        return False

    def _given_up(self, trial_keys: Iterable[str]) -> set[str]:
        """Return the trials among ``trial_keys`` that count as failed."""
        # The store is asked for few trials: most trials lost nothing.
        doubtful = {key for key in trial_keys if len(self._lost[key]) >= MAX_ATTEMPTS}
        newest = self._memory.checkpoints(doubtful) if doubtful else {}
        for key, name in newest.items():
            self._lost[key] = [one for one in self._lost[key] if one > name.attempt]
        return {key for key in doubtful if len(self._lost[key]) >= MAX_ATTEMPTS}


def given_up_text(attempt: int) -> str:
    """Return the error of a failed trial whose last lost attempt has this number."""
    return (
        f"{MAX_ATTEMPTS} attempts, the last of them number {attempt}, ended without a word: each "
        "time the driver was killed, such as for want of memory, or lost its host."
    )
