"""What a study has spent of its budget, and what its confirm phase will still take."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from agad.config import Study
from agad.records import TrialRow
from agad.study.cell import CellRun
from agad.study.running import Running

_S_PER_HOUR = 3600.0


@dataclass(slots=True)
class _Cost:
    """Of some search trials."""

    epochs: int = 0
    """Of all instances."""

    seconds: float = 0.0
    gpu_s: float = 0.0

    def add(self, epochs: int, seconds: float, gpu_s: float) -> None:
        self.epochs += epochs
        self.seconds += seconds
        self.gpu_s += gpu_s

    def plus(self, other: _Cost) -> _Cost:
        return _Cost(
            self.epochs + other.epochs, self.seconds + other.seconds, self.gpu_s + other.gpu_s
        )


class Spending:
    """Tells when the budget of a study ends its search.

    What the confirm trials of a cell will take is told from its search trials: seconds and GPU
    seconds of an epoch x epochs x trials. A cell of which no epoch was trained yet is taken for the
    mean of the others. Before any epoch is known, nothing is set aside.
    """

    def __init__(
        self,
        study: Study,
        earlier: Iterable[TrialRow] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take up what was spent.

        Args:
            study: With its budget.
            earlier: The rows of earlier drivers.
            clock: Seconds of a clock that never goes back.
        """
        self._budget = study.budget
        self._max_epochs = study.scheduler.max_epochs
        self._clock = clock
        self._start_s = clock()
        self._gpu_s = 0.0
        self._costs: dict[str, _Cost] = defaultdict(_Cost)
        """Of the search trials of each cell that ended."""

        self._most_running = 1
        rows = list(earlier)
        self._earlier_s = _worked_s(rows)
        for row in rows:
            self.take(row)

    def take(self, row: TrialRow) -> None:
        """Count a trial that has ended."""
        self._gpu_s += row.gpu_s
        if row.phase == "search":
            self._costs[row.cell].add(row.epochs * row.num_instances, row.seconds, row.gpu_s)

    def ended_by(self, running: Collection[Running], cells: Collection[CellRun]) -> str:
        """Return which limit is reached, such as ``the budget of 2 GPU-hours``; empty for none.

        Args:
            running: The trials that run or wait at a rung.
            cells: All cells, of which some are still to be confirmed.
        """
        names = self._budget.names
        if not names:
            return ""
        self._most_running = max(self._most_running, len(running))
        seconds_left, gpu_s_left = self._set_aside(running, cells)
        gpu_s = self._gpu_s + sum(one.last.gpu_s for one in running)
        # As many confirm trials as ever ran at once share their wall time.
        wall_s = self._earlier_s + self._clock() - self._start_s
        spent = {
            "gpu_hours": gpu_s + gpu_s_left,
            "hours": wall_s + seconds_left / self._most_running,
        }
        for field, name in names.items():
            if spent[field] >= getattr(self._budget, field) * _S_PER_HOUR:
                return name
        return ""

    def _set_aside(
        self, running: Collection[Running], cells: Collection[CellRun]
    ) -> tuple[float, float]:
        """Return the seconds and GPU seconds that the confirm trials to come will take."""
        costs = {label: cost.plus(_Cost()) for label, cost in self._costs.items()}
        for one in running:
            spec = one.launch.spec
            if spec.phase == "search":
                cost = costs.setdefault(spec.cell.label, _Cost())
                epochs = len(one.epochs) * spec.num_instances
                cost.add(epochs, one.last.seconds, one.last.gpu_s)
        known = {label: cost for label, cost in costs.items() if cost.epochs}
        total = _Cost()
        for cost in known.values():
            total = total.plus(cost)
        seconds = gpu_s = 0.0
        for cell in cells if known else ():
            cost = known.get(cell.label, total)
            epochs = cell.num_confirm_left * self._max_epochs
            seconds += epochs * cost.seconds / cost.epochs
            gpu_s += epochs * cost.gpu_s / cost.epochs
        return seconds, gpu_s


def _worked_s(rows: Iterable[TrialRow]) -> float:
    """Return the seconds in which at least one of these trials ran.

    A trial that waited at a rung ran for less time than passed between its start and its end.
    """
    spans = sorted(
        (max(row.started_at.timestamp(), row.ended_at.timestamp() - row.seconds), row.ended_at)
        for row in rows
    )
    total_s, until_s = 0.0, float("-inf")
    for start_s, ended_at in spans:
        end_s = ended_at.timestamp()
        total_s += max(0.0, end_s - max(start_s, until_s))
        until_s = max(until_s, end_s)
    return total_s
