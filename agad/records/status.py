"""How far a running study is: what the study tells and the live view shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self, TypeAlias

from agad.config import typed

CellPhase: TypeAlias = Literal["search", "confirm", "done"]

DriverState: TypeAlias = Literal["running", "done", "interrupted", "failed"]
"""What became of the driver that tells of a study."""

_VERSION = 1
"""Grows when a field of a bulletin means something else, not when one is added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellStatus:
    """How far one cell is."""

    label: str
    """The cell's name, such as ``digits class=0 ratio=0.05``."""

    phase: CellPhase
    planned: int
    """Search trials that the cell starts in all."""

    running: int
    """Trials that train now, of any phase."""

    paused: int = 0
    """Search trials that wait at a rung to be promoted."""

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

    num_val_anomalies: int = 0
    """Labelled anomalies that a search trial validates on."""

    num_fit_anomalies: int = 0
    """Labelled anomalies that a search trial trains on."""

    epochs: int = 0
    """Epochs trained so far, of all phases, by earlier drivers too."""

    seconds: float = 0.0
    """Time that workers spent so far, as far as they have told."""

    gpu_s: float = 0.0
    """GPU seconds so far: time x the GPUs reserved."""

    left_s: float | None = None
    """Time of workers that what is left will take: an estimate; None before there can be one."""

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
    """The most trials at the same time; 0 while the cluster is not connected."""

    most_running: int = 0
    """The most trials that this driver ever had on workers at once; fewer than the slots where the
    cluster is still to grow, or where it is still to be learned how many share a GPU."""

    budget_left_s: float | None = None
    """The most seconds that the study's budget leaves it; None where it ends nothing, or has ended
    the search."""

    ended_by: str = ""
    """What ended the search before its planned trials, such as ``the budget of 2 GPU-hours``; empty
    where nothing did."""

    objective: str = "validation AUROC"
    """What ``best_objective`` is of."""

    @property
    def left_s(self) -> float | None:
        """Seconds until the study is done, with every slot at work; None where nobody can know."""
        lefts = [cell.left_s for cell in self.cells]
        if None in lefts:
            return None
        return self._on_slots(sum(left for left in lefts if left is not None))

    def cell_left_s(self, cell: CellStatus) -> float | None:
        """Seconds until a cell is done, with its even share of the slots; None as ``left_s``."""
        num_open = sum(one.phase != "done" for one in self.cells)
        return None if cell.left_s is None else self._on_slots(cell.left_s * num_open)

    def _on_slots(self, worker_s: float) -> float | None:
        """Return the seconds that the slots take for so many of one worker, in the budget."""
        slots = self.most_running or self.slots
        if not slots:
            return None
        seconds = worker_s / slots
        return seconds if self.budget_left_s is None else min(seconds, self.budget_left_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulletin:
    """What a driver tells the world of its study, every few seconds and at its end."""

    status: StudyStatus
    state: DriverState
    reason: str
    """Why it failed, on one line; empty otherwise."""

    host: str
    """Name of the driver's host."""

    pid: int
    """The driver's process there."""

    at: datetime
    """When it was told, UTC."""

    def as_json(self) -> dict[str, Any]:
        """Return what ``from_json`` takes."""
        return dataclasses.asdict(self) | {"at": self.at.isoformat(), "version": _VERSION}

    @classmethod
    def from_json(cls, values: object) -> Self:
        """Return the bulletin that was written by this version or an earlier one.

        Fields that are new to this version are left out.

        Raises:
            ValueError: It is none, or of a version that this one does not know.
        """
        values = _mapping("a bulletin", values)
        if values.get("version") != _VERSION:
            raise ValueError(
                f"version is {values.get('version')!r}, but must be {_VERSION}; upgrade agad"
            )
        if not isinstance(_mapping("status", values.get("status")).get("cells"), list):
            raise ValueError("status.cells must be a list")
        try:
            return typed(cls, {**values, "at": _time(values.get("at"))})
        except KeyError as error:
            raise ValueError(f"{error.args[0]} is missing") from error
        except TypeError as error:
            raise ValueError(str(error)) from error


def _mapping(name: str, values: object) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise ValueError(f"{name} must be an object, not {type(values).__name__}")
    return values


def _time(text: object) -> datetime:
    at = datetime.fromisoformat(text) if isinstance(text, str) else None
    if at is None or at.tzinfo is None:
        raise ValueError(f"at is {text!r}, but must be a time with its offset from UTC")
    return at
