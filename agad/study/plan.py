"""The expected cost of a study, before anything runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from agad.config import Cell, Entry, Study, method_label
from agad.data import Library
from agad.records import CellStatus, StudyMemory, StudyStatus, find_provenance
from agad.search import expected_epochs
from agad.study.board import StudyBoard
from agad.study.cell_data import CellData, find_cell_data, kept_config
from agad.study.epoch_time import EpochTime, EpochTimes
from agad.study.row_maker import RowMaker


@dataclass(frozen=True, slots=True, kw_only=True)
class CellPlan:
    """The share of a cell in a study."""

    label: str
    num_steps: int
    """Optimiser steps of an epoch."""

    epoch_time: EpochTime | None = None
    """Seconds of an epoch; None if unknown."""

    num_val_anomalies: int
    num_fit_anomalies: int
    labelled: frozenset[int] = frozenset()
    """The labelled anomalies that all trials of the cell use together, by their places."""

    num_test_anomalies: int = 0
    """Labelled anomalies of the test split."""

    num_confirm_trials: int | None = None
    """Confirm trials of the cell; None for the detector's ``confirm_per_cell``."""

    label_budget: int | None = None
    """The label budget of the cell; None if its ratio says how many anomalies are labelled."""

    labelled_for: object = None
    """What cells share that label the same images: data set, class and labelled classes."""

    num_search_instances: int = 1
    """Instances of the cell's class that each search trial trains; 0 if the search uses other
    classes."""

    search_left: float = 1.0
    """Share of the cell's search trials that have not ended yet."""

    confirm_left: float = 1.0
    """Share of the cell's confirm trials that have not ended yet."""

    @property
    def num_labelled(self) -> int:
        """Distinct labelled anomalies that all trials of the cell use together."""
        return len(self.labelled)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTime:
    """The workers' time that a study takes; with the test, where its time is known."""

    search_s: float = 0.0
    """Seconds of one slot in the search."""

    confirm_s: float = 0.0
    search_gpu_s: float = 0.0
    """GPU seconds of the search: seconds x the GPUs that a trial reserves."""

    confirm_gpu_s: float = 0.0

    def __add__(self, other: WorkerTime) -> WorkerTime:
        return WorkerTime(
            **{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)}
        )

    @property
    def seconds(self) -> float:
        """Seconds of one slot, of both phases."""
        return self.search_s + self.confirm_s

    @property
    def gpu_s(self) -> float:
        """GPU seconds of both phases."""
        return self.search_gpu_s + self.confirm_gpu_s


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorPlan:
    """Trials, epochs, seconds and labels of one detector of a study."""

    detector: str
    """Name of the detector."""

    method: str = ""
    """The name, with the parameters that tell the detector from another candidate."""

    cells: tuple[CellPlan, ...]
    num_searches: int
    """Cells that search: all cells, or fewer with development classes."""

    trials_per_cell: int
    """Search trials of each cell that searches."""

    confirm_per_cell: int
    """Confirm trials of a cell, for all its candidates; the search does not change the number."""

    tested_per_cell: int = 0
    """Confirm trials of a cell that score the test part."""

    max_epochs: int
    stage_epochs: int = 0
    """Epochs of a trial before the study's first epoch, assumed to last as long as later epochs."""

    expected_epochs: float
    """Epochs of a search trial if the scheduler does what ``expectation`` says."""

    expectation: str
    """The assumption about the search, such as ``no trial is stopped``."""

    num_search_ended: int = 0
    """Search trials that have ended, or that a budget has taken from the search."""

    num_left_out: int = 0
    """Cells without the labelled anomalies that the detector needs, which do not run."""

    num_unsearched: int = 0
    """Cells at a label budget of 0, where nothing is searched."""

    @property
    def num_search_trials(self) -> int:
        """Search trials of all cells that are still to run."""
        return self.num_searches * self.trials_per_cell - self.num_search_ended

    @property
    def num_confirm_trials(self) -> int:
        """Confirm trials of all cells that are still to run."""
        return round(sum(self._num_confirm_of(cell) * cell.confirm_left for cell in self.cells))

    def _num_confirm_of(self, cell: CellPlan) -> int:
        own = cell.num_confirm_trials
        return self.confirm_per_cell if own is None else own

    @property
    def confirm_epochs(self) -> int:
        """Epochs of all confirm trials."""
        return self.num_confirm_trials * self.max_epochs

    @property
    def most_epochs(self) -> int:
        """Epochs of all instances if no trial is stopped."""
        return round(self._num_instances * self.max_epochs) + self.confirm_epochs

    @property
    def likely_epochs(self) -> float:
        """Epochs of all instances if the scheduler does what is expected."""
        return self._num_instances * self.expected_epochs + self.confirm_epochs

    @property
    def _num_instances(self) -> float:
        """Instances of all search trials that are still to run."""
        return self.trials_per_cell * sum(
            cell.num_search_instances * cell.search_left for cell in self.cells
        )

    @property
    def likely(self) -> WorkerTime | None:
        """Workers' time if the scheduler does what is expected; None if it is unknown."""
        return self._spent(self.expected_epochs)

    @property
    def most(self) -> WorkerTime | None:
        """Workers' time if no trial is stopped; None if it is unknown."""
        return self._spent(self.max_epochs)

    @property
    def known(self) -> WorkerTime:
        """The workers' time of ``likely``, over the cells whose time is known."""
        spent = (self._spent_on(cell, self.expected_epochs) for cell in self.cells)
        return sum((one for one in spent if one is not None), WorkerTime())

    def _spent(self, search_epochs: float) -> WorkerTime | None:
        """Return the workers' time if each search trial trains so many epochs."""
        return _sum(self._spent_on(cell, search_epochs) for cell in self.cells)

    def _spent_on(self, cell: CellPlan, search_epochs: float) -> WorkerTime | None:
        if cell.epoch_time is None:
            return None
        search = (
            self.trials_per_cell * (search_epochs + self.stage_epochs) * cell.num_search_instances
        )
        confirm = self._num_confirm_of(cell) * (self.max_epochs + self.stage_epochs)
        search_s = cell.epoch_time.epoch_s * search * cell.search_left
        test_s = cell.epoch_time.test_s * self.tested_per_cell
        confirm_s = (cell.epoch_time.epoch_s * confirm + test_s) * cell.confirm_left
        return WorkerTime(
            search_s=search_s,
            confirm_s=confirm_s,
            search_gpu_s=search_s * cell.epoch_time.gpus,
            confirm_gpu_s=confirm_s * cell.epoch_time.gpus,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlan:
    """Trials, epochs, seconds and labels of a whole study."""

    study: str
    detectors: tuple[DetectorPlan, ...]
    num_confirm_seeds: int
    done: StudyStatus | None = None
    """What the study's memory says of trials that have ended; None if no trial has ended."""

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to run."""
        return self.done is not None and all(cell.phase == "done" for cell in self.done.cells)

    @property
    def cells(self) -> tuple[CellPlan, ...]:
        """The cells of all detectors."""
        return tuple(cell for one in self.detectors for cell in one.cells)

    @property
    def num_trials(self) -> int:
        """Trials of both phases that are still to run."""
        return sum(one.num_search_trials + one.num_confirm_trials for one in self.detectors)

    @property
    def known(self) -> WorkerTime:
        """Workers' time of ``likely``, over the cells whose time is known."""
        return sum((one.known for one in self.detectors), WorkerTime())

    @property
    def num_labelled(self) -> int:
        """Distinct labelled anomalies that build the study: to fit and to validate, in all trials.

        An image is counted once for each data set, class and choice of labelled classes, whichever
        detectors, ratios, budgets and numbers of normals use it.
        """
        used: dict[object, set[int]] = defaultdict(set)
        for cell in self.cells:
            used[cell.labelled_for] |= cell.labelled
        return sum(map(len, used.values()))

    @property
    def num_test_anomalies(self) -> int:
        """Labelled anomalies of the test split, which judge; counted as ``num_labelled``."""
        counts = {cell.labelled_for: cell.num_test_anomalies for cell in self.cells}
        return sum(counts.values())

    @property
    def likely(self) -> WorkerTime | None:
        """Workers' time if the schedulers do what is expected; None if it is unknown."""
        return _sum(one.likely for one in self.detectors)

    @property
    def most(self) -> WorkerTime | None:
        """Workers' time if no trial is stopped; None if it is unknown."""
        return _sum(one.most for one in self.detectors)


def _sum(times: Iterable[WorkerTime | None]) -> WorkerTime | None:
    whole = WorkerTime()
    for one in times:
        if one is None:
            return None
        whole = whole + one
    return whole


def plan_study(
    study: Study,
    library: Library,
    epoch_times: Sequence[EpochTimes] = (),
    *,
    memory: StudyMemory | None = None,
    precision: str = "float32",
) -> StudyPlan:
    """Check a study against its data and its memory, and estimate the cost of what is left.

    Needs no Ray, and writes nothing into the memory.

    Args:
        study: The study to plan.
        library: Holds the data sets.
        epoch_times: For each cell, the first entry that knows the time of an epoch counts.
        memory: Knows what earlier runs did; None plans the whole study.
        precision: The precision that the study is to run in.

    Raises:
        StudyChangedError: ``run`` would refuse the study, since its memory holds another study.
        AgadError: The study does not fit its data.
    """
    cell_data = find_cell_data(study, library, None if memory is None else memory.kept())
    found = cell_data.values()
    confirmed = {one.cell.label: one for searching in found for one in searching.confirmed}
    done = None if memory is None else _done(study, cell_data, memory, precision)
    statuses = {one.label: one for one in done.cells} if done else {}
    return StudyPlan(
        study=study.name,
        detectors=tuple(
            _detector_plan(
                entry, [confirmed[cell.label] for cell in entry.cells], epoch_times, statuses
            )
            for entry in study.entries
        ),
        num_confirm_seeds=study.confirm.seeds,
        done=done,
    )


def _done(
    study: Study, cell_data: Mapping[str, CellData], memory: StudyMemory, precision: str
) -> StudyStatus | None:
    """Return how far a study is by its memory; None if no trial has ended."""
    memory.is_kept(kept_config(study, cell_data, precision))  # Refuses another study.
    rows = RowMaker(study=study.name, provenance=find_provenance(), precision=precision)
    status = StudyBoard(study, cell_data, memory, rows).status(slots=0)
    return status if any(map(_has_begun, status.cells)) else None


def _has_begun(status: CellStatus) -> bool:
    """Whether a trial of a cell has ended, or a limit has ended its search."""
    is_searched = status.planned > 0 and status.phase != "search"
    return bool(status.ended or status.confirmed or is_searched)


def _detector_plan(
    entry: Entry,
    cells: Sequence[CellData],
    epoch_times: Sequence[EpochTimes],
    statuses: Mapping[str, CellStatus],
) -> DetectorPlan:
    study = entry.study
    first = (*entry.cells, *entry.left_out)[0]
    is_searched = study.selection.searches
    searched = [one for one in cells if one.study.selection.searches or not is_searched]
    searching = {one.cell.over(study.search.development).label for one in searched}
    ended = [_num_ended(statuses[label]) for label in searching if label in statuses]
    return DetectorPlan(
        detector=study.detector.name,
        method=method_label(study.detector.name, dict(first.settings)),
        cells=tuple(
            _cell_plan(
                one, epoch_times, statuses.get(one.cell.over(one.study.search.development).label)
            )
            for one in cells
        ),
        num_searches=len(searching),
        trials_per_cell=study.num_search_trials,
        confirm_per_cell=study.confirm.num_trials,
        tested_per_cell=study.confirm.seeds,
        max_epochs=study.scheduler.max_epochs,
        stage_epochs=sum(stage.epochs or 0 for stage in study.detector.stages),
        expected_epochs=expected_epochs(study.scheduler, study.search.num_cell_trials),
        expectation=study.scheduler.expectation,
        num_search_ended=sum(ended),
        num_left_out=len(entry.left_out),
        num_unsearched=len(cells) - len(searched),
    )


def _num_ended(status: CellStatus) -> int:
    """Return the search trials that have ended, or all of them if the search is over."""
    return status.ended if status.phase == "search" else status.planned


def _cell_plan(
    cell_data: CellData, epoch_times: Sequence[EpochTimes], status: CellStatus | None
) -> CellPlan:
    counts = cell_data.counts(cell_data.study.seed)
    known = (one.of(cell_data) for one in epoch_times)
    return CellPlan(
        label=cell_data.cell.label,
        num_steps=cell_data.num_steps,
        epoch_time=next((epoch_time for epoch_time in known if epoch_time is not None), None),
        num_val_anomalies=counts.num_val_anomalies,
        num_fit_anomalies=counts.num_fit_anomalies,
        labelled=cell_data.labelled,
        num_test_anomalies=cell_data.num_test_anomalies,
        num_confirm_trials=cell_data.study.confirm.num_trials,
        label_budget=cell_data.cell.labels,
        labelled_for=_labelled_for(cell_data.cell),
        num_search_instances=_num_search_instances(cell_data.study, cell_data.cell),
        search_left=1.0 if status is None else _share_left(_num_ended(status), status.planned),
        confirm_left=1.0 if status is None else _confirm_left(status),
    )


def _confirm_left(status: CellStatus) -> float:
    if status.phase == "done":
        return 0.0
    return _share_left(status.confirmed, status.confirm_planned)


def _share_left(num_ended: int, num_planned: int) -> float:
    return 1 - num_ended / num_planned if num_planned else 0.0


def _num_search_instances(study: Study, cell: Cell) -> int:
    is_searched = cell.given_class in cell.over(study.search.development).classes
    is_left_out = cell.labels == 0 and not study.selection.searches
    return study.search.seeds if is_searched and not is_left_out else 0


def _labelled_for(cell: Cell) -> Cell:
    """Return what a cell shares with cells that label the same images, or some of them."""
    shared = replace(cell, settings=(), detector="", num_normals=None, labels=None)
    return replace(shared, anomaly_ratio=0.0, pollution_ratio=0.0)
