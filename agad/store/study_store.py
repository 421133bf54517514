"""The study's memory, on any object store."""

from __future__ import annotations

import dataclasses
import json
import logging
import uuid
from collections.abc import Sequence
from typing import Any

from agad.errors import StoreError
from agad.objects import check_conditional_put
from agad.records import Claim, EpochRow, ScoreRow, TrialRow
from agad.store.changes import extends
from agad.store.keys import Kind, attempt_key, config_key
from agad.store.read import StudyReader
from agad.store.rows import rows_to_parquet

logger = logging.getLogger(__name__)

_MAX_OPEN_RACES = 20
"""Other drivers that may extend the study while this one opens it, before it gives up."""


class StudyStore(StudyReader):
    """A ``StudyMemory``: what is put is kept once, for good, whoever else puts at the same time.

    Objects, all under the study's name: ``study.json`` and its extensions ``study-1.json``,
    ``study-2.json``, ...; ``claims/<trial key>/<attempt>.json``; and in ``trials``, ``epochs`` and
    ``scores``, ``<trial key>/<attempt>.parquet``.
    """

    def open(self, config: dict[str, Any]) -> None:
        """See ``StudyMemory``. A configuration that extends the one kept is kept beside it.

        Raises:
            StudyChangedError: Another study of this name is kept, and this one does not extend it.
        """
        check_conditional_put(self._objects)
        wanted = json.loads(json.dumps(config))  # Tuples become lists, as in what is kept.
        data = json.dumps(wanted, indent=2, sort_keys=True, allow_nan=False).encode()
        for _ in range(_MAX_OPEN_RACES):
            newest = self._newest_config()
            if newest is not None and not extends(newest[1], wanted):
                return
            number = 0 if newest is None else newest[0] + 1
            # Where another driver took this number, what it kept is compared in turn.
            if self._objects.put_if_absent(config_key(self._study, number), data):
                return
        raise StoreError(
            f"{self._objects.uri}/{self._study} cannot be opened: others extended it "
            f"{_MAX_OPEN_RACES} times meanwhile; try again."
        )

    def put_claim(self, claim: Claim) -> bool:
        """See ``StudyMemory``. Of several drivers that put equal claims, one is told True."""
        # The token tells equal claims apart, but not the repetitions of one put.
        values = dataclasses.asdict(claim) | {"token": uuid.uuid4().hex}
        key = attempt_key(self._study, "claims", claim.trial_key, claim.attempt)
        return self._objects.put_if_absent(key, json.dumps(values, indent=2).encode())

    def put(
        self, trial: TrialRow, epochs: Sequence[EpochRow], scores: Sequence[ScoreRow] = ()
    ) -> None:
        """See ``StudyMemory``. The trial's row is put last: others without it are never read."""
        attempt = (trial.trial_key, trial.attempt)
        assert all((row.trial_key, row.attempt) == attempt for row in epochs), attempt
        assert all((row.trial_key, row.attempt) == attempt for row in scores), attempt
        self._put_table("epochs", attempt, rows_to_parquet(epochs, EpochRow))
        if scores:
            self._put_table("scores", attempt, rows_to_parquet(scores, ScoreRow))
        self._put_table("trials", attempt, rows_to_parquet([trial], TrialRow))

    def _put_table(self, kind: Kind, attempt: tuple[str, int], data: bytes) -> None:
        key = attempt_key(self._study, kind, *attempt)
        if not self._objects.put_if_absent(key, data):
            logger.warning("%s/%s was kept before and stays as it is.", self._objects.uri, key)
