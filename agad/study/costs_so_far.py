"""The cost of a study's trials so far, by cell, and the expected cost of the rest."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from agad.records import CellStatus, TrialRow
from agad.study.cell import CellRun
from agad.study.running import Running
from agad.trial import TrialSpec

_MIN_ENDED = 3
"""Search trials that must have ended before their mean length is used to predict the others."""


@dataclass(slots=True)
class TrialCosts:
    """The summed cost of some trials."""

    epochs: int = 0
    """Epochs of all instances."""

    seconds: float = 0.0
    gpu_s: float = 0.0
    encode_s: float = 0.0
    """Seconds of ``seconds`` on features, which no later epoch needs again."""

    search_epochs: int = 0
    """Epochs of search trials that finished or were stopped, each counted once for all instances.
    """

    num_searched: int = 0
    """The number of trials in ``search_epochs``."""

    def add(self, other: TrialCosts) -> None:
        self.epochs += other.epochs
        self.seconds += other.seconds
        self.gpu_s += other.gpu_s
        self.encode_s += other.encode_s
        self.search_epochs += other.search_epochs
        self.num_searched += other.num_searched

    @property
    def epochs_a_trial(self) -> float | None:
        if self.num_searched < _MIN_ENDED:
            return None
        return self.search_epochs / self.num_searched

    @property
    def seconds_an_epoch(self) -> float | None:
        return (self.seconds - self.encode_s) / self.epochs if self.epochs else None

    @property
    def gpu_s_an_epoch(self) -> float | None:
        if not self.epochs or not self.seconds:
            return 0.0 if self.epochs else None
        return self.gpu_s * (1 - self.encode_s / self.seconds) / self.epochs


def by_detector(
    cells: Mapping[str, CellRun], own: Mapping[str, TrialCosts]
) -> dict[str, TrialCosts]:
    """Return the summed cost of each detector's cells, by the detector's name.

    Args:
        cells: The cells, by label.
        own: The cost of each cell, by label.
    """
    found: dict[str, TrialCosts] = defaultdict(TrialCosts)
    for label, cell in cells.items():
        found[cell.detector].add(own[label])
    return found


class CostsSoFar:
    """Counts epochs, seconds and GPU seconds of ended trials; a board adds each row once."""

    def __init__(self) -> None:
        self._ended: dict[str, TrialCosts] = defaultdict(TrialCosts)
        """The cost of each cell's ended trials, by the cell's label."""

        self._specs: dict[str, TrialSpec] = {}

    def add(self, rows: Iterable[TrialRow]) -> None:
        """Count trials that ended."""
        for row in rows:
            is_typical = row.phase == "search" and row.state in ("finished", "pruned")
            self._ended[row.cell].add(
                TrialCosts(
                    epochs=row.epochs * row.num_instances,
                    seconds=row.seconds,
                    gpu_s=row.gpu_s,
                    encode_s=row.encode_s,
                    search_epochs=row.epochs if is_typical else 0,
                    num_searched=int(is_typical),
                )
            )

    def spent(
        self, cells: Mapping[str, CellRun], trials: Iterable[Running]
    ) -> tuple[TrialCosts, dict[str, TrialCosts]]:
        """Return the cost of the whole study so far, and of each cell.

        Args:
            cells: The cells, by label.
            trials: All trials that run or wait at a rung. A trial that was just promoted counts as
                it was at its pause.
        """
        own = {label: TrialCosts() for label in cells}
        for label, cell in cells.items():
            for one in cell.labels:
                own[label].add(self._ended[one])
        for running in trials:
            last = running.last
            epochs = running.num_own_epochs * running.launch.spec.num_instances
            own[running.cell.label].add(
                TrialCosts(
                    epochs=epochs,
                    seconds=last.seconds,
                    gpu_s=last.gpu_s,
                    encode_s=last.encode_s,
                )
            )
        whole = TrialCosts()
        for spent in own.values():
            whole.add(spent)
        return whole, own

    def confirm_epochs_left(
        self, cells: Mapping[str, CellRun], trials: Iterable[Running]
    ) -> dict[str, int]:
        """Return the epochs that each cell's confirm trials have left to train.

        Args:
            cells: As ``spent`` takes them.
            trials: As ``spent`` takes them.
        """
        left = {
            label: cell.num_confirm_left * cell.scheduler.max_epochs
            for label, cell in cells.items()
        }
        for one in trials:
            if one.launch.spec.phase == "confirm":
                label = one.cell.label
                left[label] -= len(one.epochs)
        return left

    def statuses(
        self,
        cells: Mapping[str, CellRun],
        running: Collection[Running],
        paused: Collection[Running],
    ) -> tuple[CellStatus, ...]:
        """Return how far each cell is, its cost so far and its expected remaining cost.

        Args:
            cells: The cells, by label.
            running: All trials that were launched.
            paused: All trials that wait at a rung, or were just promoted from a rung.
        """
        trials = [*running, *paused]
        _, own = self.spent(cells, trials)
        alike = by_detector(cells, own)
        confirm_left = self.confirm_epochs_left(cells, trials)
        searching: dict[str, list[Running]] = defaultdict(list)
        for one in trials:
            if one.launch.spec.phase == "search":
                searching[one.cell.label].append(one)
        num_running = Counter(one.cell.label for one in running if one.is_started)
        statuses = []
        for label, cell in cells.items():
            status = self._with_costs(cell, cell.status(num_running[label]), own[label])
            spent = (own[label], alike[cell.detector])
            left_s = self._left_s(cell, searching[label], confirm_left[label], spent)
            statuses.append(replace(status, left_s=left_s))
        return tuple(statuses)

    def _with_costs(self, cell: CellRun, status: CellStatus, spent: TrialCosts) -> CellStatus:
        counts = cell.cell_data.trial_counts(self._any_spec(cell))
        return replace(
            status,
            num_val_anomalies=counts.num_val_anomalies,
            num_fit_anomalies=counts.num_fit_anomalies,
            epochs=spent.epochs,
            seconds=spent.seconds,
            gpu_s=spent.gpu_s,
        )

    def _any_spec(self, cell: CellRun) -> TrialSpec:
        """Return any search trial of a cell: all have the same number of instances and labels."""
        if cell.label not in self._specs:
            self._specs[cell.label] = cell.cell_data.middle_spec()
        return self._specs[cell.label]

    def _left_s(
        self,
        cell: CellRun,
        searching: Collection[Running],
        confirm_epochs: int,
        spent: tuple[TrialCosts, TrialCosts],
    ) -> float | None:
        """Return the workers' time left; a cell without figures takes its detector's.

        A search trial is expected to train the mean number of epochs of the search trials so far.
        A confirm trial trains all epochs.

        Args:
            cell: The cell.
            searching: The search trials of the cell that run or wait.
            confirm_epochs: The epochs that the cell's confirm trials have left to train.
            spent: The cost of the cell, and the cost of all cells of its detector.
        """
        if cell.is_done:
            return 0.0
        own, alike = spent
        epoch_s = own.seconds_an_epoch or alike.seconds_an_epoch
        search_epochs = own.epochs_a_trial or alike.epochs_a_trial
        if epoch_s is None or (search_epochs is None and cell.num_search_left):
            return None
        epochs = float(confirm_epochs)
        if search_epochs is not None:
            trained = sum(min(search_epochs, len(one.epochs)) for one in searching)
            num_instances = self._any_spec(cell).num_instances
            epochs += (cell.num_search_left * search_epochs - trained) * num_instances
        return max(epochs, 0.0) * epoch_s
