"""The trials of a running cell: which are planned, which started, and how they ended."""

from __future__ import annotations

from dataclasses import dataclass, field

from agad.records import State
from agad.study.ladder import Ladder
from agad.trial import TrialSpec


@dataclass(slots=True, kw_only=True)
class CellTrials:
    """What a cell's search and its confirm phase both know of its trials, of all its phases."""

    num_planned: int
    """Trials of the search."""

    ladder: Ladder
    """Of the search."""

    ended_by: str = ""
    """What ended the search before all of its trials had started; empty where nothing did."""

    specs: dict[str, TrialSpec] = field(default_factory=dict)
    """All that started or wait to start again, by key, in the order in which they were proposed."""

    states: dict[str, State] = field(default_factory=dict)
    """How those that ended did, by key."""

    @property
    def num_searched(self) -> int:
        """Search trials proposed."""
        return sum(spec.phase == "search" for spec in self.specs.values())

    @property
    def search_states(self) -> list[State]:
        """How those search trials ended that did."""
        return [
            self.states[key]
            for key, spec in self.specs.items()
            if spec.phase == "search" and key in self.states
        ]

    @property
    def has_proposed_all(self) -> bool:
        """Whether the search proposes nothing any more."""
        return self.num_searched >= self.num_planned

    @property
    def is_searched(self) -> bool:
        """Whether every search trial has ended."""
        return self.has_proposed_all and all(
            key in self.states for key, spec in self.specs.items() if spec.phase == "search"
        )

    def is_finished(self, trial_key: str) -> bool:
        """Whether a trial trained all of its epochs."""
        return self.states.get(trial_key) == "finished"
