"""What a study needs of the place that remembers it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from agad.records import CheckpointName, Claim, EpochRow, Pause, ScoreRow, TrialRow, Winner
from agad.status import Bulletin


class StudyMemory(Protocol):
    """Where a study is remembered: a store, or a list. One memory holds one study."""

    def flush(self) -> None:
        """Store what an earlier driver could only keep on this host's disk.

        Raises:
            StoreError: It still cannot be stored.
        """

    def is_kept(self, config: dict[str, Any]) -> bool:
        """Whether this configuration is kept, and not one that it extends. Keeps nothing.

        Raises:
            StudyChangedError: Another study of this name is kept, and this one does not extend it.
        """

    def hold(self) -> AbstractContextManager[None]:
        """Keep other drivers from the study while the context is open.

        Raises:
            OtherDriverError: Another driver holds it, and goes on.
        """

    def check_held(self) -> None:
        """Return where no other driver can have taken the study since ``hold``.

        Raises:
            OtherDriverError: Another driver has taken it, for good.
            StoreError: Another one may take it; it is this one's again once this returns.
        """

    def disconnect(self) -> None:
        """Have ``put`` and ``release`` keep all on this host's disk from now on, at once."""

    def open(self, config: dict[str, Any]) -> None:
        """Keep the study's configuration, or check it against the one kept.

        Raises:
            StudyChangedError: Another study of this name is kept, and this one does not extend it.
        """

    def claims(self) -> list[Claim]:
        """Return every claim ever put."""

    def put_claim(self, claim: Claim) -> bool:
        """Keep a claim; False where another driver claimed this attempt of the trial before."""

    def release(self, trial_key: str, attempt: int) -> None:
        """Keep that a claimed attempt was given up in good order: it does not count as one."""

    def released(self) -> set[tuple[str, int]]:
        """Return the trial key and attempt of all that were released or have paused."""

    def put_pause(self, pause: Pause) -> None:
        """Keep that a claimed attempt has paused; it is released, too."""

    def pauses(self, trial_keys: Collection[str]) -> list[Pause]:
        """Return the last pause of each of these trials that ever paused."""

    def put_winner(self, winner: Winner) -> Winner:
        """Keep a cell's winner, and return the one that is kept, which may be an earlier one.

        There is one for each number of search trials and of seeds: a study that is extended
        chooses anew.

        Raises:
            StoreError: It cannot be kept now.
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
        """Keep a trial's rows. The same attempt put again changes nothing.

        Rows that cannot be stored now may be kept on this host's disk, to be stored later.

        Raises:
            StoreError: They cannot be kept anywhere.
        """

    def put_bulletin(self, bulletin: Bulletin) -> None:
        """Keep what this driver tells of the study in place of what was told before.

        It may be lost, and is never kept on this host's disk.

        Raises:
            OtherDriverError: Another driver has taken the study, and tells of it.
            StoreError: It cannot be kept now.
        """

    def checkpoints(self, trial_keys: Collection[str]) -> dict[str, CheckpointName]:
        """Return the newest checkpoint of each of these trials that left one."""

    def drop_checkpoints(self, trial_keys: Collection[str], kept: Collection[str]) -> None:
        """Remove the checkpoints of ended trials, but the newest of each that is ``kept``.

        What a trial that is not ``kept`` keeps for diagnostics goes too.
        """
