"""The study's memory, on any object store."""

from __future__ import annotations

import dataclasses
import json
import logging
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agad.config import count_text
from agad.errors import StoreError
from agad.objects import ObjectStore, check_conditional_put
from agad.records import (
    Bulletin,
    CheckpointName,
    Claim,
    DiagnosticRow,
    EpochRow,
    Pause,
    ScoreRow,
    TrialRow,
    Winner,
    attempt_key,
    checkpoint_key,
    checkpoints_of,
    checkpoints_prefix,
    config_key,
    kept_prefix,
    mark_key,
    status_key,
    winner_key,
)
from agad.store.changes import extends
from agad.store.holding.lease import Lease, LeaseTimes
from agad.store.holding.spool import Group, Spool, put_group
from agad.store.read import StudyReader
from agad.store.release import last_pauses, pause_to_json, released_attempts
from agad.store.tables.parallel import in_parallel
from agad.store.tables.params import ParamTypes, param_types
from agad.store.tables.rows import rows_to_parquet

logger = logging.getLogger(__name__)

_MAX_OPEN_RACES = 20
"""How many other drivers may extend the study first, before its opening gives up."""


class StudyStore(StudyReader):
    """A ``StudyMemory``: each put is kept once and for good, even beside other drivers' puts.

    ``agad.records.keys`` lists the kinds of objects with an example of each.
    """

    def __init__(
        self,
        objects: ObjectStore,
        study: str,
        spool: Path | None = None,
        *,
        lease_times: LeaseTimes = LeaseTimes(),  # noqa: B008  A frozen value.
    ) -> None:
        """Read and write nothing yet.

        Args:
            objects: The store of the study.
            study: Name of the study.
            spool: Folder on this host's disk for rows that the store does not take now; without it,
                the store's error is raised.
            lease_times: How fast the lease is renewed, and how soon it is void.
        """
        super().__init__(objects, study)
        self._spool = Spool(spool, objects, study) if spool is not None else None
        self._lease_times = lease_times
        self._lease: Lease | None = None
        self._is_connected = True
        self._param_types: ParamTypes = {}
        """The columns of the searched parameters, from ``open`` on."""
        self._claim_tokens: dict[tuple[str, int], str] = {}
        """Tokens of this driver's claims, by trial key and attempt."""

    @contextmanager
    def hold(self) -> Iterator[None]:
        """See ``StudyMemory``."""
        check_conditional_put(self._objects)
        self._is_connected = True
        lease = Lease(self._objects, self._study, times=self._lease_times)
        with lease.held():
            self._lease = lease
            try:
                if self._spool is None:
                    yield
                else:
                    with self._spool.flushing():
                        yield
            finally:
                self._lease = None

    def check_held(self) -> None:
        """See ``StudyMemory``."""
        assert self._lease is not None, "not held"
        self._lease.check()

    def flush(self) -> None:
        """See ``StudyMemory``."""
        if self._spool is None:
            return
        try:
            self._spool.flush()
        except StoreError as error:
            raise StoreError(
                f"{count_text(self._spool.num_waiting, 'group')} of rows of study {self._study} in "
                f"{self._spool.path} cannot be stored: {error}"
            ) from error

    def disconnect(self) -> None:
        """See ``StudyMemory``."""
        self._is_connected = False

    def is_kept(self, config: dict[str, Any]) -> bool:
        """See ``StudyMemory``."""
        newest = self._newest_config()
        return newest is not None and not extends(newest[1], _as_kept(config))

    def open(self, config: dict[str, Any]) -> None:
        """See ``StudyMemory``. An extended configuration is kept beside the earlier one.

        Raises:
            StudyChangedError: Another study of this name is kept, and ``config`` does not extend
                its configuration.
        """
        check_conditional_put(self._objects)
        wanted = _as_kept(config)
        data = json.dumps(wanted, indent=2, sort_keys=True, allow_nan=False).encode()
        for _ in range(_MAX_OPEN_RACES):
            newest = self._newest_config()
            if newest is not None and not extends(newest[1], wanted):
                self._param_types = param_types(newest[1])
                return
            number = 0 if newest is None else newest[0] + 1
            # If another driver took this number, the next round compares its configuration.
            if self._objects.put_if_absent(config_key(self._study, number), data):
                self._param_types = param_types(wanted)
                return
        raise StoreError(
            f"{self._objects.uri}/{self._study} cannot be opened: others extended it "
            f"{_MAX_OPEN_RACES} times meanwhile; try again."
        )

    def put_claim(self, claim: Claim) -> bool:
        """See ``StudyMemory``. If several drivers put equal claims, only one is told True.

        A driver is one ``StudyStore``: a repeated put gets the same answer.
        """
        attempt = (claim.trial_key, claim.attempt)
        key = attempt_key(self._study, "claims", *attempt)
        # The token tells equal claims of two drivers apart, but not one driver's repeated claim.
        token = self._claim_tokens.setdefault(attempt, uuid.uuid4().hex)
        values = dataclasses.asdict(claim) | {"token": token}
        return self._objects.put_if_absent(key, json.dumps(values, indent=2).encode())

    def release(self, trial_key: str, attempt: int) -> None:
        """See ``StudyMemory``."""
        self._put([(mark_key(self._study, trial_key, attempt, "released"), b"{}")])

    def released(self) -> set[tuple[str, int]]:
        """See ``StudyMemory``."""
        return released_attempts(self._study, self._objects)

    def put_pause(self, pause: Pause) -> None:
        """See ``StudyMemory``."""
        key = mark_key(self._study, pause.trial_key, pause.attempt, "paused")
        self._put([(key, pause_to_json(pause))])

    def pauses(self, trial_keys: Collection[str]) -> list[Pause]:
        """See ``StudyMemory``."""
        return in_parallel(self.pause, last_pauses(self._study, self._objects, trial_keys).items())

    def put_winner(self, winner: Winner) -> Winner:
        """See ``StudyMemory``."""
        key = winner_key(self._study, winner)
        data = json.dumps(dataclasses.asdict(winner), indent=2, allow_nan=False).encode()
        return winner if self._objects.put_if_absent(key, data) else self.winner(key)

    def put(
        self, trial: TrialRow, epochs: Sequence[EpochRow], scores: Sequence[ScoreRow] = ()
    ) -> None:
        """See ``StudyMemory``. The trial's row is put last: no other row is read without it."""
        attempt = (trial.trial_key, trial.attempt)
        assert all((row.trial_key, row.attempt) == attempt for row in epochs), attempt
        assert all((row.trial_key, row.attempt) == attempt for row in scores), attempt
        trial_file = rows_to_parquet([trial], TrialRow, self._param_types)
        group = [
            (attempt_key(self._study, "epochs", *attempt), rows_to_parquet(epochs, EpochRow)),
            (attempt_key(self._study, "trials", *attempt), trial_file),
        ]
        if scores:
            key = attempt_key(self._study, "scores", *attempt)
            group.insert(1, (key, rows_to_parquet(scores, ScoreRow)))
        self._put(group)

    def put_diagnostics(self, row: DiagnosticRow) -> None:
        """Keep the diagnostics of a trial; the row of an earlier pass stays.

        Raises:
            StoreError: The row cannot be kept now.
        """
        key = attempt_key(self._study, "diagnostics", row.trial_key, row.attempt)
        self._objects.put_if_absent(key, rows_to_parquet([row], DiagnosticRow))

    def put_bulletin(self, bulletin: Bulletin) -> None:
        """See ``StudyMemory``."""
        if self._lease is None:  # A late call, from a thread that nobody waits for.
            raise StoreError(f"study {self._study} is not held, so nothing is told of it.")
        self._lease.check()
        data = json.dumps(bulletin.as_json(), indent=2, allow_nan=False).encode()
        self._objects.overwrite(status_key(self._study), data)

    def checkpoints(self, trial_keys: Collection[str]) -> dict[str, CheckpointName]:
        """See ``StudyMemory``."""
        return {key: max(names) for key, names in self._checkpoints(trial_keys).items()}

    def drop_checkpoints(self, trial_keys: Collection[str], kept: Collection[str]) -> None:
        """See ``StudyMemory``. For a trial in ``kept``, all objects below ``kept/`` stay too."""
        if not self._is_connected:
            return  # The next driver drops them.
        self._drop_epochs({*trial_keys} - {*kept})
        prefix = checkpoints_prefix(self._study)
        for trial_key, names in self._checkpoints(trial_keys).items():
            newest = max(names)
            for name in names:
                if name != newest or trial_key not in kept:
                    self._objects.delete(checkpoint_key(prefix, trial_key, name))

    def _checkpoints(self, trial_keys: Collection[str]) -> dict[str, list[CheckpointName]]:
        """Return all checkpoints of each of these trials that left some."""
        prefix = checkpoints_prefix(self._study)
        found: dict[str, list[CheckpointName]] = defaultdict(list)
        for trial_key, name in checkpoints_of(prefix, self._objects.list(f"{prefix}/")):
            if trial_key in trial_keys:
                found[trial_key].append(name)
        return found

    def _drop_epochs(self, trial_keys: Collection[str]) -> None:
        """Remove the checkpoints that these trials kept for diagnostics."""
        prefix = kept_prefix(self._study)
        for trial_key, name in checkpoints_of(prefix, self._objects.list(f"{prefix}/")):
            if trial_key in trial_keys:
                self._objects.delete(checkpoint_key(prefix, trial_key, name))

    def _put(self, group: Group) -> None:
        """Put a group into the store, or into the spool if the store fails."""
        if self._spool is None:
            if not self._is_connected:
                raise StoreError(f"study {self._study} has no folder for rows that must wait.")
            put_group(self._objects, group)
            return
        error: StoreError | None = None
        # If groups wait, the store is known to fail: sending a waiting group shows when it works.
        if self._is_connected and not self._spool.num_waiting:
            try:
                put_group(self._objects, group)
            except StoreError as one:
                error = one
            else:
                return
        self._keep(self._spool, group, error)

    def _keep(self, spool: Spool, group: Group, error: StoreError | None) -> None:
        try:
            spool.keep(group)
        except StoreError as disk:
            reason = f"; they are there because: {error}" if error else ""
            raise StoreError(
                f"rows of study {self._study} are lost, since the folder for rows that must wait "
                f"fails too (AGAD_SPOOL names another): {disk}{reason}"
            ) from disk
        if error is not None:
            logger.warning(
                "The study goes on; rows wait in %s until they can be stored: %s", spool.path, error
            )


def _as_kept(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration as it is read again: tuples have become lists."""
    values: dict[str, Any] = json.loads(json.dumps(config))
    return values
