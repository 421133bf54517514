"""The part of its budget that a study has spent, and the cost of its remaining confirm trials."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping

from agad.config import Study, SuccessiveHalving
from agad.records import Pause, TrialRow
from agad.study.cell import CellRun
from agad.study.costs_so_far import CostsSoFar, TrialCosts, by_detector
from agad.study.running import Running

_S_PER_HOUR = 3600.0


class BudgetSpent:
    """Tells when the budget of a study ends its search.

    The budget sets aside the expected cost of the confirm trials. A cell's expected cost is its
    mean seconds and GPU seconds of an epoch so far, times the epochs left. A cell without a trained
    epoch takes the mean of the other cells. Nothing is set aside before the first epoch.
    """

    def __init__(
        self,
        study: Study,
        costs: CostsSoFar,
        earlier: Iterable[TrialRow] = (),
        pauses: Iterable[Pause] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read what earlier drivers spent.

        Args:
            study: Has the budget.
            costs: Counts the trials that ended, also under earlier drivers.
            earlier: The rows of earlier drivers.
            pauses: The last pause of each trial that has not ended.
            clock: Returns the seconds of a clock that never goes back.
        """
        self._budget = study.budget
        self._costs = costs
        self._clock = clock
        self._start_s = clock()
        halved = {
            cell.over(entry.study_of(cell).search.development).label
            for entry in study.entries
            for cell in entry.cells
            if isinstance(entry.study.scheduler, SuccessiveHalving)
        }
        of_rows = (_span_of_halved(row) if row.cell in halved else _span(row) for row in earlier)
        spans = sorted([*of_rows, *map(_span_from_start, pauses)])
        self._earlier_s = _covered_s(spans)
        self._most_running = max(1, _most_at_once(spans))
        """The most trials that ever ran at once; the confirm trials are expected to do the same."""

    def run(self, num_trials: int) -> None:
        """Note how many trials run now."""
        self._most_running = max(self._most_running, num_trials)

    def ended_by(self, running: Collection[Running], cells: Mapping[str, CellRun]) -> str:
        """Return which limit is reached, such as ``the budget of 2 GPU-hours``; empty for none.

        Args:
            running: The trials that were launched or wait at a rung. A trial that was just
                promoted counts as it was at its pause.
            cells: All cells, by label; some are still to be confirmed.
        """
        names = self._budget.names
        if not names:
            return ""
        whole, to_confirm = self._spent_and_set_aside(running, cells)
        spent = {
            "gpu_hours": whole.gpu_s + to_confirm.gpu_s,
            "hours": self._wall_s + to_confirm.seconds / self._most_running,
        }
        for field, name in names.items():
            if spent[field] >= getattr(self._budget, field) * _S_PER_HOUR:
                return name
        return ""

    def left_s(self, running: Collection[Running], cells: Mapping[str, CellRun]) -> float | None:
        """Return the most seconds that the limits leave the study; None if no limit tells.

        Args:
            running: As ``ended_by`` takes them.
            cells: As ``ended_by`` takes them.
        """
        lefts = []
        if self._budget.hours is not None:
            lefts.append(self._budget.hours * _S_PER_HOUR - self._wall_s)
        if self._budget.gpu_hours is not None:
            whole, _ = self._costs.spent(cells, running)
            gpus = whole.gpu_s / whole.seconds if whole.seconds else 0.0
            if gpus:
                gpu_s = self._budget.gpu_hours * _S_PER_HOUR - whole.gpu_s
                lefts.append(gpu_s / gpus / self._most_running)
        return max(0.0, min(lefts)) if lefts else None

    @property
    def _wall_s(self) -> float:
        return self._earlier_s + self._clock() - self._start_s

    def _spent_and_set_aside(
        self, running: Collection[Running], cells: Mapping[str, CellRun]
    ) -> tuple[TrialCosts, TrialCosts]:
        """Return the cost of all trials so far, and the expected cost of the confirm trials."""
        whole, own = self._costs.spent(cells, running)
        alike = by_detector(cells, own)
        to_confirm = TrialCosts()
        for label, epochs in self._costs.confirm_epochs_left(cells, running).items():
            known = (own[label], alike[cells[label].detector])
            spent = next((one for one in known if one.epochs), whole)
            to_confirm.seconds += epochs * (spent.seconds_an_epoch or 0.0)
            to_confirm.gpu_s += epochs * (spent.gpu_s_an_epoch or 0.0)
        return whole, to_confirm


def _span(row: TrialRow) -> tuple[float, float]:
    """Return the start and the end of a trial's work, as if the trial never had a break.

    ``started_at`` is the launch of the last attempt, which took over epochs of earlier attempts.
    Their time is assumed to lie directly before the last attempt's own. If other trials ran at
    that time, the work counts as parallel to theirs.
    """
    end_s = row.ended_at.timestamp()
    return end_s - row.seconds, end_s


def _span_of_halved(row: TrialRow) -> tuple[float, float]:
    """Return the same under ``SuccessiveHalving``, which prunes only trials that wait at a rung.

    A pruned trial's row ends when the trial is given up, long after its work.
    """
    return _span_from_start(row) if row.state == "pruned" else _span(row)


def _span_from_start(waiting: TrialRow | Pause) -> tuple[float, float]:
    """Return the start and the end of a trial's work before it waited at a rung.

    The attempt that paused last gives the start. The work of earlier attempts is assumed to follow
    directly after this attempt's own.
    """
    start_s = waiting.started_at.timestamp()
    return start_s, start_s + waiting.seconds


def _covered_s(spans: Iterable[tuple[float, float]]) -> float:
    """Return the seconds that at least one span covers; the spans are sorted by their starts."""
    total_s, until_s = 0.0, float("-inf")
    for start_s, end_s in spans:
        total_s += max(0.0, end_s - max(start_s, until_s))
        until_s = max(until_s, end_s)
    return total_s


def _most_at_once(spans: Iterable[tuple[float, float]]) -> int:
    """Return the most spans that overlap at any moment."""
    # If an end and a start have the same time, the end comes first.
    changes = sorted(change for start, end in spans for change in ((start, 1), (end, -1)))
    num = most = 0
    for _, change in changes:
        num += change
        most = max(most, num)
    return most
