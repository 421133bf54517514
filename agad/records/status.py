"""How far a running study is: the figures that the live view shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self, TypeAlias

from agad.config import typed

CellPhase: TypeAlias = Literal["search", "confirm", "done"]

DriverState: TypeAlias = Literal["running", "done", "interrupted", "failed"]
"""The state of the driver that publishes a study's status."""

_VERSION = 1
"""Grows when a field of a bulletin changes its meaning, not when a field is added."""


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
    """Search trials that ended because a loss or score was not finite."""

    failed: int
    """Search trials that ended in an error, after their retries."""

    best_objective: float | None
    """The highest objective of the search so far; None before the first."""

    confirmed: int
    """Confirm trials that finished; with several candidates, also the winner's test trials."""

    confirm_planned: int
    """Confirm trials and test trials that the cell starts in all."""

    num_val_anomalies: int = 0
    """Labelled anomalies that a search trial validates on."""

    num_fit_anomalies: int = 0
    """Labelled anomalies that a search trial trains on."""

    epochs: int = 0
    """Epochs trained so far in all phases, also under earlier drivers."""

    seconds: float = 0.0
    """Time that workers have spent so far, as far as they have reported."""

    gpu_s: float = 0.0
    """GPU seconds so far: time x the GPUs reserved."""

    left_s: float | None = None
    """Estimated workers' time that is left; None before an estimate is possible."""

    detector: str = ""
    """Name of the cell's detector, which its label may leave out. Empty if an earlier version wrote
    the status."""

    @property
    def ended(self) -> int:
        """Search trials that ended in any state."""
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
    """The most trials that this driver ever had on workers at once. The number is below ``slots``
    while the cluster still grows, or before the driver knows how many trials share a GPU."""

    budget_left_s: float | None = None
    """The most seconds that the budget leaves the study. None if the budget has no limit, or has
    ended the search."""

    ended_by: str = ""
    """The limit that ended the search before its planned trials, such as ``the budget of 2
    GPU-hours``; empty if none did."""

    features_done: int = 0
    """Images whose features of an encoder a running trial has, of ``features_missing``."""

    features_missing: int = 0
    """Images whose features were missing when that trial started; 0 if none are computed now."""

    objective: str = "validation AUROC"
    """The name of the figure in ``best_objective``."""

    @property
    def left_s(self) -> float | None:
        """Seconds until the study is done, if every slot works; None if a cell has no estimate."""
        lefts = [cell.left_s for cell in self.cells]
        if None in lefts:
            return None
        return self._on_slots(sum(left for left in lefts if left is not None))

    def cell_left_s(self, cell: CellStatus) -> float | None:
        """Seconds until a cell is done on an equal share of the slots; None without an estimate."""
        num_open = sum(one.phase != "done" for one in self.cells)
        return None if cell.left_s is None else self._on_slots(cell.left_s * num_open)

    def _on_slots(self, worker_s: float) -> float | None:
        """Return the seconds that all slots need for some worker seconds, at most the budget's."""
        slots = self.most_running or self.slots
        if not slots:
            return None
        seconds = worker_s / slots
        return seconds if self.budget_left_s is None else min(seconds, self.budget_left_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulletin:
    """The message that a driver publishes about its study every few seconds and at its end."""

    status: StudyStatus
    state: DriverState
    reason: str
    """The reason of a failure, on one line; empty otherwise."""

    host: str
    """Name of the driver's host."""

    pid: int
    """The driver's process on its host."""

    at: datetime
    """Time of the bulletin, UTC."""

    def as_json(self) -> dict[str, Any]:
        """Return the value that ``from_json`` takes."""
        return dataclasses.asdict(self) | {"at": self.at.isoformat(), "version": _VERSION}

    @classmethod
    def from_json(cls, values: object) -> Self:
        """Return a bulletin that this version or an earlier one wrote.

        A field that an older version did not write has its default.

        Raises:
            ValueError: The value is no bulletin, or of a version that this one does not know.
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
