"""What a study's trials took so far, by cell, and what the rest will take by that."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from agad.config import Study
from agad.data import SplitCounts
from agad.records import TrialRow
from agad.status import CellStatus
from agad.study.cell import CellRun
from agad.study.running import Running

_MIN_ENDED = 3
"""Search trials that must have ended before their mean length says anything of the others'."""


@dataclass(slots=True)
class _Spent:
    """What some trials took."""

    epochs: int = 0
    """Of all instances."""

    seconds: float = 0.0
    gpu_s: float = 0.0
    search_epochs: int = 0
    """Rounds of epochs of search trials that ended by themselves or were stopped."""

    num_searched: int = 0
    """How many these are."""

    def add(self, other: _Spent) -> None:
        self.epochs += other.epochs
        self.seconds += other.seconds
        self.gpu_s += other.gpu_s
        self.search_epochs += other.search_epochs
        self.num_searched += other.num_searched

    @property
    def epochs_a_trial(self) -> float | None:
        if self.num_searched < _MIN_ENDED:
            return None
        return self.search_epochs / self.num_searched

    @property
    def seconds_an_epoch(self) -> float | None:
        return self.seconds / self.epochs if self.epochs else None


class Tally:
    """Counts epochs, seconds and GPU seconds of ended trials; a board adds each row once."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._ended: dict[str, _Spent] = defaultdict(_Spent)
        """By the cell's label."""

        self._firsts: dict[str, tuple[SplitCounts, int]] = {}
        """Of a search trial of each cell, the images of each part and the instances."""

    def add(self, rows: Iterable[TrialRow]) -> None:
        """Count trials that ended."""
        for row in rows:
            is_typical = row.phase == "search" and row.state in ("finished", "pruned")
            self._ended[row.cell].add(
                _Spent(
                    epochs=row.epochs * row.num_instances,
                    seconds=row.seconds,
                    gpu_s=row.gpu_s,
                    search_epochs=row.epochs if is_typical else 0,
                    num_searched=int(is_typical),
                )
            )

    def statuses(
        self,
        cells: Mapping[str, CellRun],
        running: Collection[Running],
        paused: Collection[Running],
    ) -> tuple[CellStatus, ...]:
        """Return how far each cell is, and what it took and will take.

        Args:
            cells: By their labels.
            running: All trials that train now.
            paused: All trials that wait at a rung.
        """
        trials_of: dict[str, list[Running]] = defaultdict(list)
        for one in (*running, *paused):
            trials_of[one.cell.label].append(one)
        num_running = Counter(one.cell.label for one in running)
        spents = {label: self._spent(cell, trials_of[label]) for label, cell in cells.items()}
        whole = _Spent()
        for spent in spents.values():
            whole.add(spent)
        return tuple(
            self._with_costs(
                cell, cell.status(num_running[label]), trials_of[label], (spents[label], whole)
            )
            for label, cell in cells.items()
        )

    def _spent(self, cell: CellRun, trials: Collection[Running]) -> _Spent:
        spent = _Spent()
        for label in cell.labels:
            spent.add(self._ended[label])
        for one in trials:
            own, last = one.num_own_epochs * one.launch.spec.num_instances, one.last
            spent.add(_Spent(epochs=own, seconds=last.seconds, gpu_s=last.gpu_s))
        return spent

    def _with_costs(
        self,
        cell: CellRun,
        status: CellStatus,
        trials: Collection[Running],
        spent: tuple[_Spent, _Spent],
    ) -> CellStatus:
        """Return a cell's status with what it took and will take.

        Args:
            cell: The cell.
            status: How far it is.
            trials: Its trials that run or wait.
            spent: What the cell took, and what the whole study took.
        """
        own, _ = spent
        if cell.label not in self._firsts:
            first = cell.materials.search_spec(self._study, 0, {})
            self._firsts[cell.label] = cell.materials.trial_counts(first), first.num_instances
        counts, num_instances = self._firsts[cell.label]
        return replace(
            status,
            num_val_anomalies=counts.num_val_anomalies,
            num_fit_anomalies=counts.num_fit_anomalies,
            epochs=own.epochs,
            seconds=own.seconds,
            gpu_s=own.gpu_s,
            left_s=self._left_s(cell, status, trials, spent, num_instances),
        )

    def _left_s(
        self,
        cell: CellRun,
        status: CellStatus,
        trials: Collection[Running],
        spent: tuple[_Spent, _Spent],
        num_instances: int,
    ) -> float | None:
        """Return the workers' time that is left; by the study's figures where a cell has none.

        Each instance of a search trial takes as many epochs as those before it did on average, a
        confirm trial all.
        """
        if status.phase == "done":
            return 0.0
        own, whole = spent
        epoch_s = own.seconds_an_epoch or whole.seconds_an_epoch
        search_epochs = own.epochs_a_trial or whole.epochs_a_trial
        num_search_left = status.planned - status.ended
        if epoch_s is None or (search_epochs is None and num_search_left):
            return None
        max_epochs = self._study.scheduler.max_epochs
        lengths = {"search": search_epochs or 0.0, "confirm": max_epochs, "test": 0.0}
        epochs = num_search_left * lengths["search"] * num_instances
        epochs += cell.num_confirm_left * max_epochs
        for one in trials:
            spec = one.launch.spec
            epochs -= min(lengths[spec.phase], len(one.epochs)) * spec.num_instances
        return max(epochs, 0.0) * epoch_s
