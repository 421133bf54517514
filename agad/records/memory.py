"""The interface of a study's memory, and the simplest memory: lists in this process."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from agad.errors import OtherDriverError
from agad.records.keys import CheckpointName
from agad.records.rows import (
    STATES,
    Claim,
    EpochRow,
    Pause,
    ScoreRow,
    TrialRow,
    Winner,
)
from agad.records.status import Bulletin


class StudyMemory(Protocol):
    """The place where a study's records are kept. A memory holds a single study."""

    def flush(self) -> None:
        """Store the records that an earlier driver could only keep on this host's disk.

        Raises:
            StoreError: The records still cannot be stored.
        """

    def kept(self) -> dict[str, Any] | None:
        """Return the kept configuration, with its latest extension; None if none is kept."""

    def is_kept(self, config: dict[str, Any]) -> bool:
        """Whether exactly this configuration is kept; False if it extends the one kept.

        The call keeps nothing.

        Raises:
            StudyChangedError: Another study of this name is kept, and this one does not extend it.
        """

    def hold(self) -> AbstractContextManager[None]:
        """Keep other drivers from the study while the context is open.

        Raises:
            OtherDriverError: Another driver holds the study, and continues to.
        """

    def check_held(self) -> None:
        """Return if no other driver can have taken the study since ``hold``, and raise otherwise.

        Raises:
            OtherDriverError: Another driver has taken the study, for good.
            StoreError: Another driver may take the study now. This driver holds the study again as
                soon as a later call returns.
        """

    def disconnect(self) -> None:
        """Make ``put`` and ``release`` keep everything on this host's disk at once, from now on."""

    def open(self, config: dict[str, Any]) -> None:
        """Keep the study's configuration, or check it against the kept configuration.

        Raises:
            StudyChangedError: Another study of this name is kept, and this one does not extend it.
        """

    def claims(self) -> list[Claim]:
        """Return every claim ever put."""

    def put_claim(self, claim: Claim) -> bool:
        """Keep a claim; False if another driver has claimed this attempt of the trial."""

    def release(self, trial_key: str, attempt: int) -> None:
        """Keep that a claimed attempt was given up in good order, and does not count."""

    def released(self) -> set[tuple[str, int]]:
        """Return the trial key and number of every attempt that was released or has paused."""

    def put_pause(self, pause: Pause) -> None:
        """Keep that a claimed attempt has paused; the attempt counts as released, too."""

    def pauses(self, trial_keys: Collection[str]) -> list[Pause]:
        """Return the last pause of each given trial that ever paused."""

    def put_winner(self, winner: Winner) -> Winner:
        """Keep a cell's winner, and return the kept winner, which may be an earlier one.

        A cell has a winner for each number of search trials and of seeds: an extended study
        chooses again.

        Raises:
            StoreError: The winner cannot be kept now.
        """

    def winners(self) -> list[Winner]:
        """Return every winner ever put."""

    def trials(self) -> list[TrialRow]:
        """Return one row a trial key: the best state by ``STATES``, then the lowest attempt."""

    def epochs(self) -> list[EpochRow]:
        """Return the epochs of the rows that ``trials`` returns, in order of epoch."""

    def put(
        self, trial: TrialRow, epochs: Sequence[EpochRow], scores: Sequence[ScoreRow] = ()
    ) -> None:
        """Keep a trial's rows. Putting the same attempt again changes nothing.

        Rows that cannot be stored now may be kept on this host's disk, to be stored later.

        Raises:
            StoreError: The rows cannot be kept anywhere.
        """

    def put_bulletin(self, bulletin: Bulletin) -> None:
        """Keep this driver's bulletin in place of the last one.

        A bulletin may be lost, and is never kept on this host's disk.

        Raises:
            OtherDriverError: Another driver has taken the study, and publishes its bulletins.
            StoreError: The bulletin cannot be kept now.
        """

    def checkpoints(self, trial_keys: Collection[str]) -> dict[str, CheckpointName]:
        """Return the newest checkpoint of each given trial that left one, by trial key."""

    def drop_checkpoints(self, trial_keys: Collection[str], kept: Collection[str]) -> None:
        """Remove the checkpoints of ended trials, except the newest of each trial in ``kept``.

        Trials that are not in ``kept`` also lose the checkpoints for diagnostics.
        """


class ProcessMemory:
    """A ``StudyMemory`` that is lost with the process, for a simulation or for trying out a study.

    This memory takes any configuration, keeps no checkpoint, and never fails.
    """

    def __init__(self) -> None:
        self.config: dict[str, Any] | None = None
        """The last opened configuration; None before the first."""

        self.all_claims: list[Claim] = []
        self.all_released: set[tuple[str, int]] = set()
        """Trial key and attempt of everything released."""

        self.all_pauses: list[Pause] = []
        self.all_winners: dict[tuple[str, int, int], Winner] = {}
        """Winners by cell, number of search trials and number of seeds."""

        self.all_rows: list[TrialRow] = []
        """Rows in the order of their arrival."""

        self.all_scores: list[ScoreRow] = []
        self.bulletins: list[Bulletin] = []
        """All bulletins, the last one last."""

        self._epochs: dict[tuple[str, int], list[EpochRow]] = {}
        self._held = threading.Lock()
        self._changing = threading.Lock()

    def flush(self) -> None:
        """See ``StudyMemory``. Nothing waits on the disk."""

    def kept(self) -> dict[str, Any] | None:
        """See ``StudyMemory``."""
        return self.config

    def is_kept(self, config: dict[str, Any]) -> bool:
        """See ``StudyMemory``."""
        return self.config == config

    @property
    def is_held(self) -> bool:
        """Whether a driver holds the study."""
        return self._held.locked()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """See ``StudyMemory``."""
        if not self._held.acquire(blocking=False):
            raise OtherDriverError(
                "another driver of this process holds the study; let it finish, or stop it."
            )
        try:
            yield
        finally:
            self._held.release()

    def check_held(self) -> None:
        """See ``StudyMemory``. No other driver can take the study."""

    def disconnect(self) -> None:
        """See ``StudyMemory``. Nothing is kept on the disk."""

    def open(self, config: dict[str, Any]) -> None:
        """See ``StudyMemory``. Any configuration replaces the kept one."""
        self.config = config

    def claims(self) -> list[Claim]:
        """See ``StudyMemory``. Claims come in a store's order: by trial key, then by attempt."""
        return sorted(self.all_claims, key=lambda one: (one.trial_key, one.attempt))

    def put_claim(self, claim: Claim) -> bool:
        """See ``StudyMemory``. An equal claim counts as the same claim put again."""
        with self._changing:
            kept = {(one.trial_key, one.attempt): one for one in self.all_claims}
            first = kept.get((claim.trial_key, claim.attempt))
            if first is None:
                self.all_claims.append(claim)
            return first in (None, claim)

    def release(self, trial_key: str, attempt: int) -> None:
        """See ``StudyMemory``."""
        with self._changing:
            self.all_released.add((trial_key, attempt))

    def released(self) -> set[tuple[str, int]]:
        """See ``StudyMemory``."""
        return self.all_released | {(one.trial_key, one.attempt) for one in self.all_pauses}

    def put_pause(self, pause: Pause) -> None:
        """See ``StudyMemory``."""
        with self._changing:
            self.all_pauses.append(pause)

    def pauses(self, trial_keys: Collection[str]) -> list[Pause]:
        """See ``StudyMemory``."""
        ordered = sorted(self.all_pauses, key=lambda one: one.attempt)
        last = {one.trial_key: one for one in ordered if one.trial_key in trial_keys}
        return list(last.values())

    def put_winner(self, winner: Winner) -> Winner:
        """See ``StudyMemory``."""
        key = (winner.cell, winner.num_search_trials, winner.num_seeds)
        return self.all_winners.setdefault(key, winner)

    def winners(self) -> list[Winner]:
        """See ``StudyMemory``."""
        return list(self.all_winners.values())

    def trials(self) -> list[TrialRow]:
        """See ``StudyMemory``."""
        best: dict[str, TrialRow] = {}
        places = {str(state): place for place, state in enumerate(STATES)}
        for row in sorted(self.all_rows, key=lambda row: (places[row.state], row.attempt)):
            best.setdefault(row.trial_key, row)
        return list(best.values())

    def epochs(self) -> list[EpochRow]:
        """See ``StudyMemory``."""
        return [row for one in self.trials() for row in self._epochs[one.trial_key, one.attempt]]

    def put(
        self, trial: TrialRow, epochs: Sequence[EpochRow], scores: Sequence[ScoreRow] = ()
    ) -> None:
        """See ``StudyMemory``."""
        key = (trial.trial_key, trial.attempt)
        with self._changing:
            if any((one.trial_key, one.attempt) == key for one in self.all_rows):
                return
            self.all_rows.append(trial)
            self._epochs[key] = list(epochs)
            self.all_scores += scores

    def put_bulletin(self, bulletin: Bulletin) -> None:
        """See ``StudyMemory``."""
        self.bulletins.append(bulletin)

    def checkpoints(self, trial_keys: Collection[str]) -> dict[str, CheckpointName]:  # noqa: ARG002
        """See ``StudyMemory``. No checkpoint exists."""
        return {}

    def drop_checkpoints(self, trial_keys: Collection[str], kept: Collection[str]) -> None:
        """See ``StudyMemory``. No checkpoint exists."""
