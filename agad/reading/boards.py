"""The leaderboard of a stored study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agad.config import (
    Budget,
    Cell,
    Grid,
    NoStopping,
    Scheduler,
    Search,
    Selection,
    scheduler_from_json,
    selection_from_json,
)
from agad.errors import StoreError
from agad.records import TrialRow, Winner
from agad.report import Leaderboard, Page, diagnostics_page, leaderboard

if TYPE_CHECKING:
    from agad.objects import ObjectStore
    from agad.store import StudyReader


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The plan of a stored study: what it was to run."""

    name: str
    cells: Sequence[Cell]
    search: Search
    scheduler: Scheduler
    selection: Selection
    num_seeds: int
    """Confirm seeds for each cell."""

    budget: Budget

    @property
    def searches(self) -> list[Cell]:
        """The cells that search on development classes for others, if any do."""
        searches = dict.fromkeys(cell.over(self.search.development) for cell in self.cells)
        return list(searches) if self.search.development else []

    @property
    def num_cell_trials(self) -> int:
        """Search trials of a cell; 0 if nothing is searched."""
        return self.search.num_cell_trials if self.selection.searches else 0

    def has(self, winner: Winner) -> bool:
        """Whether a winner was chosen for this plan, even if the budget ended its search early."""
        is_searched = winner.num_search_trials == self.num_cell_trials
        is_ended = winner.ended_by in self.budget.names.values()
        return winner.num_seeds == self.num_seeds and (is_searched or is_ended)


def planned(store: StudyReader) -> Planned:
    """Return the plan of a stored study.

    Raises:
        StoreError: The study's configuration cannot be read, or this version did not write it.
    """
    config: dict[str, Any] = store.config()
    try:
        return Planned(
            name=config["name"],
            cells=Grid.from_json(config["cells"]).all_cells,
            search=Search.from_json(config["search"]),
            scheduler=scheduler_from_json(config.get("scheduler", {"rule": NoStopping.rule})),
            selection=selection_from_json(config.get("selection", {})),
            num_seeds=config["confirm"]["seeds"],
            budget=Budget(**config.get("budget", {})),
        )
    except (KeyError, TypeError) as error:
        raise StoreError(
            f"the study.json of {config.get('name')!r} is not one that this version wrote (it "
            f"lacks {error}); restore it or name another --study."
        ) from error


def stored_leaderboard(objects: ObjectStore, study: str) -> Leaderboard:
    """Return the leaderboard of a stored study, with all planned cells."""
    from agad.store import StudyReader

    store = StudyReader(objects, study)
    plan = planned(store)
    return board_of(plan, store.trials(), winners_of(store, plan))


def stored_diagnostics(objects: ObjectStore, board: Leaderboard) -> Page | None:
    """Return the page of a stored study's diagnostics; None if it was not diagnosed."""
    from agad.store import StudyReader

    return diagnostics_page(board, StudyReader(objects, board.study).diagnostics())


def board_of(
    plan: Planned, trials: Sequence[TrialRow], winners: Mapping[str, Winner]
) -> Leaderboard:
    """Return the leaderboard of a study from its plan and its rows."""
    return leaderboard(
        trials,
        study=plan.name,
        planned_cells=plan.cells,
        confirm_seeds=plan.num_seeds,
        cell_trials=plan.num_cell_trials,
        winners=winners,
        searches=plan.searches,
    )


def stored_winners(store: StudyReader) -> dict[str, Winner]:
    """Return the winners that are kept for a study's plan, by the labels of the confirmed cells."""
    return winners_of(store, planned(store))


def winners_of(store: StudyReader, plan: Planned) -> dict[str, Winner]:
    """Return the winners that are kept for a plan, by the labels of the confirmed cells."""
    kept = {one.cell: one for one in store.winners() if plan.has(one)}
    searched = {cell.label: cell.over(plan.search.development).label for cell in plan.cells}
    return {label: kept[search] for label, search in searched.items() if search in kept}
