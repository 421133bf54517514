"""The trials of a running cell: which are planned, which started, and how they ended."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from agad.records import State
from agad.search import Ladder
from agad.trial import TrialSpec


@dataclass(slots=True, kw_only=True)
class CellTrials:
    """The trials of a cell in all phases, as its search and its confirm phase share them."""

    num_planned: int
    """Trials of the search."""

    ladder: Ladder
    """The rungs of the search."""

    ended_by: str = ""
    """The limit that ended the search before all its trials had started; empty if none did."""

    specs: dict[str, TrialSpec] = field(default_factory=dict)
    """All trials that started or wait to start again, by key, in the order of their proposal."""

    states: dict[str, State] = field(default_factory=dict)
    """How each ended trial ended, by key."""

    num_searched: int = 0
    """Search trials proposed."""

    search_states: Counter[State] = field(default_factory=Counter)
    """Number of ended search trials by state; counted here since a driver asks after every result.
    """

    def add(self, spec: TrialSpec) -> None:
        """Take a trial that starts, or waits to start again."""
        if spec.key not in self.specs:
            self.num_searched += spec.phase == "search"
        self.specs[spec.key] = spec

    def end(self, trial_key: str, state: State) -> None:
        """Take the end of a trial that was added."""
        if self.specs[trial_key].phase == "search":
            if trial_key in self.states:
                self.search_states[self.states[trial_key]] -= 1
            self.search_states[state] += 1
        self.states[trial_key] = state

    @property
    def has_proposed_all(self) -> bool:
        """Whether the search proposes nothing any more."""
        return self.num_searched >= self.num_planned

    @property
    def is_searched(self) -> bool:
        """Whether every search trial has ended."""
        return self.has_proposed_all and self.search_states.total() == self.num_searched

    def is_finished(self, trial_key: str) -> bool:
        """Whether a trial trained all of its epochs."""
        return self.states.get(trial_key) == "finished"
