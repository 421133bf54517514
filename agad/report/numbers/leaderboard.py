"""The leaderboard of one study: its cells, means, methods and totals, at full precision."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from agad.config import FixedEpoch
from agad.report.numbers.methods import Contrast
from agad.report.numbers.rankings import Ranking
from agad.report.numbers.results import CellResult, RatioResult, Summary, without_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What the whole study ran."""

    num_trials: int
    """Search trials that have ended, in whatever way."""

    num_trials_planned: int
    """As ``CellResult.num_trials_planned``, over all cells."""

    num_pruned: int
    num_diverged: int
    num_failed: int
    num_confirm_trials: int
    """Confirm trials that have ended, of all configurations."""

    num_confirm_diverged: int
    num_confirm_failed: int
    total_s: float
    """Seconds of each trial's last attempt. Work that was lost with a worker is not included."""

    gpu_s: float
    """GPU seconds, counted as ``total_s``."""

    num_epochs: int
    """Epochs trained, search and confirm."""

    num_search_epochs: int
    num_planned_search_epochs: int
    num_saved_epochs: int
    """Epochs that search trials did not train because they were stopped early.

    Each instance counts its own epochs.
    """

    unstopped_cells: tuple[str, ...]
    """Labels of the cells that searched and stopped no trial early; none whose trials have one
    epoch."""

    encode_s: float = 0.0
    """Seconds of ``total_s`` on features of encoders."""

    wall_s: float = 0.0
    """Seconds during which at least one trial was at work."""

    cost: float | None = None
    """Price of the GPU seconds or of the wall time; None if no price was given."""

    cost_of: str = ""
    """``GPU time`` or ``wall time``; empty if no price was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowOrigins:
    """The code, data and machines that made the rows, each text once and sorted."""

    detectors: tuple[str, ...]
    commits: tuple[str, ...]
    fingerprints: tuple[str, ...]
    """Each data set with the first digits of its fingerprint."""

    versions: tuple[str, ...]
    hardware: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaderboard:
    """A study's results. Cells do not compare, so their order is by name; methods are ranked."""

    study: str
    cells: tuple[CellResult, ...]
    """In order of data set, detector, variant, class and ratio; cells without rows are included."""

    ratios: tuple[RatioResult, ...]
    """In order of data set, detector, variant and ratio."""

    summaries: tuple[Summary, ...]
    """Means over ratios, over data sets and over both, if there are several."""

    contrasts: tuple[Contrast, ...]
    """A contrast for every two methods of the study."""

    rankings: tuple[Ranking, ...]
    """A ranking for each data set's classes and one over data sets; empty for a single method."""

    totals: Totals
    provenance: RowOrigins
    searches: tuple[CellResult, ...] = ()
    """The searches on development classes, which have no test AUROC; empty if each cell searches
    for itself."""

    detectors: tuple[str, ...] = ()
    """The names of the detectors that the study compares, in its order; empty if it has one."""

    left_out: tuple[tuple[str, int], ...] = ()
    """The method of a detector that needs labelled anomalies, and its cells without any, which do
    not run."""

    @property
    def has_budgets(self) -> bool:
        """Whether label budgets say how many anomalies are labelled, in every cell."""
        return bool(self.cells) and all(cell.label_budget is not None for cell in self.cells)

    @property
    def num_labelled(self) -> int | None:
        """Distinct labelled anomalies that built the study: to fit and to validate, in all trials.

        An image counts once for each data set, class and choice of labelled classes. The most that
        any cell of these uses counts: all with budgets, and the least number without. None if
        unknown.
        """
        return self._most_of_each({cell.cell: cell.num_labelled for cell in self.cells})

    @property
    def num_test_anomalies(self) -> int | None:
        """Labelled anomalies of the test split, which judge; counted as ``num_labelled``."""
        return self._most_of_each({cell.cell: cell.num_test_anomalies for cell in self.cells})

    def _most_of_each(self, counts: Mapping[str, int | None]) -> int | None:
        most: dict[object, int] = {}
        for cell in self.cells:
            count = counts[cell.cell]
            if count is None and cell.selection:
                return None  # An earlier version wrote a row without the count.
            task = without_words(cell.task, "labels", "normals", "pollution")
            asked = (cell.dataset, cell.given_class, task)
            most[asked] = max(count or 0, most.get(asked, 0))
        return sum(most.values())

    @property
    def searching(self) -> tuple[CellResult, ...]:
        """The searches on development classes, or all cells if each searches for itself."""
        return self.searches or self.cells

    @property
    def has_rows(self) -> bool:
        """Whether any trial has ended."""
        return self.totals.num_trials + self.totals.num_confirm_trials > 0


def has_ended(board: Leaderboard, winners: Collection[str]) -> bool:
    """Whether the rows of a study say that every planned trial has ended.

    Args:
        board: The leaderboard with all planned cells.
        winners: Labels of the cells that keep a winner for what is planned.
    """
    return all(
        _has_ended(cell, has_winner=cell.cell in winners)
        for cell in board.cells
        if not cell.stands_for
    )


def _has_ended(cell: CellResult, *, has_winner: bool) -> bool:
    # A cell with a small search space has a winner before all planned trials have run.
    if not (has_winner or cell.num_trials >= cell.num_trials_planned):
        return False
    if not (has_winner or cell.num_confirmed):
        # A cell that searches nothing always keeps a winner, before its first confirm trial.
        searches = cell.policy != FixedEpoch.policy
        return searches and not (cell.num_finished or cell.num_pruned)
    num_ended = cell.num_confirmed + cell.num_confirm_diverged + cell.num_confirm_failed
    return num_ended >= cell.num_confirm_planned
