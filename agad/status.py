"""How far a running study is: what the study tells and the live view shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class CellStatus:
    """How far one cell is."""

    label: str
    """The cell's name, such as ``digits class=0 ratio=0.05``."""

    phase: Literal["search", "confirm", "done"]
    planned: int
    """Search trials that the cell starts in all."""

    running: int
    """Trials that train now, of any phase."""

    finished: int
    """Search trials that trained every epoch."""

    pruned: int
    """Search trials that the scheduler stopped."""

    diverged: int
    """Search trials that ended in a loss or score that is not finite."""

    failed: int
    """Search trials that ended in an error, after their retries."""

    best_objective: float | None
    """The highest of the search so far; None before the first."""

    confirmed: int
    """Confirm trials that finished; with several candidates, and the winner's test trials."""

    confirm_planned: int
    """Confirm trials that the cell starts in all, and test trials."""

    @property
    def ended(self) -> int:
        """Search trials that ended, however they did."""
        return self.finished + self.pruned + self.diverged + self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyStatus:
    """How far a study is, at one moment."""

    study: str
    cells: tuple[CellStatus, ...]
    elapsed_s: float
    """Seconds since this driver started."""

    slots: int
    """Trials that can run at the same time."""

    ended_by: str = ""
    """What ended the search before its planned trials, such as ``the budget of 2 GPU-hours``; empty
    where nothing did."""

    objective: str = "validation AUROC"
    """What ``best_objective`` is of."""
