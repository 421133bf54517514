"""What a study has spent of its budget, and what its confirm phase will still take."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping

from agad.config import Study, SuccessiveHalving
from agad.records import Pause, TrialRow
from agad.study.cell import CellRun
from agad.study.costs_so_far import CostsSoFar, TrialCosts
from agad.study.running import Running

_S_PER_HOUR = 3600.0


class BudgetSpent:
    """Tells when the budget of a study ends its search.

    What the confirm trials of a cell will take is told from its trials so far: seconds and GPU
    seconds of an epoch x epochs left. A cell of which no epoch was trained yet is taken for the
    mean of the others. Before any epoch is known, nothing is set aside.
    """

    def __init__(
        self,
        study: Study,
        costs: CostsSoFar,
        earlier: Iterable[TrialRow] = (),
        pauses: Iterable[Pause] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take up what was spent.

        Args:
            study: With its budget.
            costs: Counts the trials that ended, the earlier ones among them.
            earlier: The rows of earlier drivers.
            pauses: The last ones of trials that are still to end.
            clock: Seconds of a clock that never goes back.
        """
        self._budget = study.budget
        self._costs = costs
        self._clock = clock
        self._start_s = clock()
        of_row = _span_of_halved if isinstance(study.scheduler, SuccessiveHalving) else _span
        spans = sorted([*map(of_row, earlier), *map(_span_from_start, pauses)])
        self._earlier_s = _covered_s(spans)
        self._most_running = max(1, _most_at_once(spans))
        """The trials that ever ran at once: as many share the wall time of confirm trials."""

    def run(self, num_trials: int) -> None:
        """Note how many trials run now."""
        self._most_running = max(self._most_running, num_trials)

    def ended_by(self, running: Collection[Running], cells: Mapping[str, CellRun]) -> str:
        """Return which limit is reached, such as ``the budget of 2 GPU-hours``; empty for none.

        Args:
            running: The trials that were launched or wait at a rung, those just promoted from it
                as they waited.
            cells: All cells by their labels, of which some are still to be confirmed.
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
        """Return the most seconds that the limits leave the study; None where none tells.

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
        """Return what all trials took, and what the confirm trials to come will take."""
        whole, own = self._costs.spent(cells, running)
        to_confirm = TrialCosts()
        for label, epochs in self._costs.confirm_epochs_left(cells, running).items():
            spent = own[label] if own[label].epochs else whole
            if spent.epochs:
                to_confirm.seconds += epochs * spent.seconds / spent.epochs
                to_confirm.gpu_s += epochs * spent.gpu_s / spent.epochs
        return whole, to_confirm


def _span(row: TrialRow) -> tuple[float, float]:
    """Return from when to when a trial worked, as if without a break until its end.

    ``started_at`` is when its last attempt was launched. Earlier attempts' work on the epochs that
    it took over is taken to lie right before its own, whatever lay between them: where others ran
    then, it counts as work beside theirs.
    """
    end_s = row.ended_at.timestamp()
    return end_s - row.seconds, end_s


def _span_of_halved(row: TrialRow) -> tuple[float, float]:
    """Return the same under ``SuccessiveHalving``, which prunes only what waits at a rung.

    Such a trial ends when it is given up, long after its work.
    """
    return _span_from_start(row) if row.state == "pruned" else _span(row)


def _span_from_start(waiting: TrialRow | Pause) -> tuple[float, float]:
    """Return when a trial worked before it waited at a rung.

    The work on its earlier rungs, before the attempt that paused last, is taken to follow that
    attempt's own.
    """
    start_s = waiting.started_at.timestamp()
    return start_s, start_s + waiting.seconds


def _covered_s(spans: Iterable[tuple[float, float]]) -> float:
    """Return the seconds in at least one of some spans, sorted by their starts."""
    total_s, until_s = 0.0, float("-inf")
    for start_s, end_s in spans:
        total_s += max(0.0, end_s - max(start_s, until_s))
        until_s = max(until_s, end_s)
    return total_s


def _most_at_once(spans: Iterable[tuple[float, float]]) -> int:
    """Return the most spans that any moment is in."""
    # Of an end and a start at the same time, the end comes first.
    changes = sorted(change for start, end in spans for change in ((start, 1), (end, -1)))
    num = most = 0
    for _, change in changes:
        num += change
        most = max(most, num)
    return most
