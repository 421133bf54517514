"""The records that earlier drivers left in a study's memory, and how the next driver uses them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

from agad.config import Study, SuccessiveHalving
from agad.errors import StudyChangedError
from agad.records import PHASES, Claim, Pause, State, StudyMemory, TrialRow, Winner, objective_of
from agad.study.attempts import Attempts
from agad.study.cell import CellRun
from agad.study.running import Launch, Running
from agad.trial import TrialSpec


class EarlierDrivers:
    """The rows, claims, pauses and winners of earlier drivers; writes nothing."""

    def __init__(self, study: Study, memory: StudyMemory, cell_of: Mapping[str, CellRun]) -> None:
        """Read which trials ended, were claimed or paused.

        Args:
            study: The study that the drivers ran.
            memory: The memory of the study.
            cell_of: The new driver's cell for each label, including the labels of confirm cells.
        """
        self._study = study
        self._memory = memory
        self._cell_of = cell_of
        self._winners: Sequence[Winner] = ()
        self.rows = {row.trial_key: row for row in memory.trials()}
        self.attempts = Attempts(memory, self.rows)
        self.pauses = self._last_pauses()
        """The last pause of each trial that has not ended, by trial key."""

        self.ended: list[tuple[TrialSpec, TrialRow]] = []
        self.given_up: list[Running] = []
        """Trials that were started too often and still need a row."""

        self.paused: dict[str, Running] = {}
        """Trials that wait at a rung."""

        self.promoted: dict[str, Running] = {}
        """Trials that were launched again after their last pause, as they were at that pause."""

    @property
    def failed(self) -> set[str]:
        """The trials whose last row says that they failed."""
        return {key for key, row in self.rows.items() if row.state == "failed"}

    def bring_back(self) -> None:
        """Give each cell its winner and its trials, and fill the lists of this object.

        Raises:
            StudyChangedError: A stored trial was made from other data or by another detector.
        """
        objectives = self._objectives()
        self._winners = self._memory.winners()
        self.bring_back_winners()
        claims = self.attempts.last_claims.values()
        for claim in sorted(claims, key=lambda one: (PHASES.index(one.phase), one.number)):
            self._bring_back_trial(claim, objectives[claim.trial_key])

    def bring_back_winners(self) -> None:
        """Give each cell its winner; call again if the extent of a search has changed since."""
        for winner in self._winners:
            self._cell_of[winner.cell].take_winner(winner)

    def _bring_back_trial(self, claim: Claim, objectives: Sequence[float]) -> None:
        key, cell = claim.trial_key, self._cell_of[claim.cell]
        spec = self._spec_of(claim, cell)
        row = self.rows.get(key)
        if row is not None:
            self.ended.append((spec, row))
        state = cast(State, row.state) if row else None
        is_given_up = key in self.attempts.given_up
        if is_given_up and row is None:
            state = "failed"
            launch = Launch(spec=spec, attempt=claim.attempt)
            self.given_up.append(Running(launch, cell, datetime.now(UTC)))
        cell.remember(spec, state, objectives, is_given_up=is_given_up)
        pause = self.pauses.get(key)
        if pause is not None and cell.state_of(key) is None:
            self._bring_back_pause(Running.paused(spec, cell, pause), claim)

    def _spec_of(self, claim: Claim, cell: CellRun) -> TrialSpec:
        spec = cell.spec_of(claim.phase, claim.number, claim.params, claim.cell)
        if spec.key != claim.trial_key:
            raise StudyChangedError(
                f"trial {claim.number} of {claim.cell} was made of other data or by another "
                f"version of {spec.detector.name}; choose another name for this study "
                f"than {self._study.name}."
            )
        return spec

    def _bring_back_pause(self, paused: Running, last: Claim) -> None:
        """Let a paused trial wait; a trial that was launched since its pause was promoted."""
        key, is_paused = last.trial_key, last.attempt == paused.launch.attempt
        if is_paused:
            self.paused[key] = paused
        elif key not in self.rows:  # The row of a trial that failed since then counts instead.
            self.promoted[key] = paused
        paused.cell.remember_pause(key, paused.objectives, is_paused=is_paused)

    def _objectives(self) -> dict[str, list[float]]:
        """Return what the study maximises after each epoch, by trial key."""
        objectives: dict[str, list[float]] = defaultdict(list)
        for epoch in self._memory.epochs():
            objective = objective_of(epoch)
            if objective is not None:
                objectives[epoch.trial_key].append(objective)
        return objectives

    def _last_pauses(self) -> dict[str, Pause]:
        schedulers = (entry.study.scheduler for entry in self._study.entries)
        if not any(isinstance(one, SuccessiveHalving) for one in schedulers):
            return {}
        to_end = self.attempts.last_claims.keys() - (self.rows.keys() - self.failed)
        return {one.trial_key: one for one in self._memory.pauses(to_end)}
