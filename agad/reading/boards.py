"""The leaderboard of a stored study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from agad.config import Budget, Cell, StoredDetector, ranked_apart, stored_detectors
from agad.errors import StoreError
from agad.records import TrialRow, Winner
from agad.report import Leaderboard, Page, PlannedDetector, diagnostics_page, leaderboard

if TYPE_CHECKING:
    from agad.objects import ObjectStore
    from agad.store import StudyReader


@dataclass(frozen=True, kw_only=True)
class Planned:
    """The plan of a stored study: what it was to run."""

    name: str
    detectors: Sequence[StoredDetector]
    num_seeds: int
    """Confirm seeds for each cell."""

    budget: Budget

    @cached_property
    def by_cell(self) -> dict[str, StoredDetector]:
        """The detector of every cell that runs or searches, by the cell's label."""
        return {
            cell.label: one for one in self.detectors for cell in (*one.cells, *searches_of(one))
        }

    def of_cell(self, label: str) -> StoredDetector:
        """Return the detector of a cell; of a cell that is not planned, the first detector."""
        return self.by_cell.get(label, self.detectors[0])

    @cached_property
    def _unsearched(self) -> set[str]:
        """The labels of the cells in which nothing is searched."""
        return {
            cell.label for one in self.detectors for cell in one.cells if not one.searches(cell)
        }

    def has(self, winner: Winner) -> bool:
        """Whether a winner was chosen for this plan, even if the budget ended its search early."""
        num_trials = self.of_cell(winner.cell).num_cell_trials
        is_searched = winner.num_search_trials == (
            0 if winner.cell in self._unsearched else num_trials
        )
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
            detectors=stored_detectors(config),
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
        planned=[_planned(one) for one in plan.detectors],
        confirm_seeds=plan.num_seeds,
        winners=winners,
    )


def _planned(one: StoredDetector) -> PlannedDetector:
    return PlannedDetector(
        cells=one.cells,
        name=one.values["name"],
        policy=ranked_apart(one.selection.policy),
        cell_trials=one.num_cell_trials,
        searches=searches_of(one),
        standing={asked: ran for asked, ran in one.answers.items() if asked != ran},
        external_data=one.external_data,
        left_out=one.left_out,
        unsearched=[cell for cell in one.cells if not one.searches(cell)],
    )


def searches_of(one: StoredDetector) -> list[Cell]:
    """Return the cells that search on development classes for others, if any do."""
    development = one.search.development
    searched = [cell for cell in one.cells if development and one.searches(cell)]
    return list(dict.fromkeys(cell.over(development) for cell in searched))


def stored_winners(store: StudyReader) -> dict[str, Winner]:
    """Return the winners that are kept for a study's plan, by the labels of the confirmed cells."""
    return winners_of(store, planned(store))


def stored_standing(store: StudyReader) -> dict[str, str]:
    """Return the label of the cell that ran, by the label of each cell that it stands for."""
    return {
        asked.label: ran.label
        for one in planned(store).detectors
        for asked, ran in one.answers.items()
        if asked != ran
    }


def winners_of(store: StudyReader, plan: Planned) -> dict[str, Winner]:
    """Return the winners that are kept for a plan, by the labels of the confirmed cells."""
    kept = {one.cell: one for one in store.winners() if plan.has(one)}
    searched = {
        cell.label: cell.over(one.search.development if one.searches(cell) else ()).label
        for one in plan.detectors
        for cell in one.cells
    }
    return {label: kept[search] for label, search in searched.items() if search in kept}
