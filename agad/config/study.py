"""A study: the cells, the search space and the budget of one question."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agad.config.budget import Budget
from agad.config.candidate import Candidate, check_detector
from agad.config.cell import Cell, ClassGiven
from agad.config.checks import (
    budgeted,
    check_development_classes,
    check_label_budgets,
    check_nothing_searched,
    check_selection,
    check_space,
    check_study_name,
    corner_detectors,
)
from agad.config.confirm import Confirm
from agad.config.contest import (
    answered,
    cells_of_detectors,
    detector_as_json,
    detectors_from_json,
    unsearched,
)
from agad.config.counts import MAX_INT64, check_count
from agad.config.detector import DetectorConfig, parameters_of
from agad.config.grid import Grid
from agad.config.registry import detector_class
from agad.config.scheduler import (
    SCHEDULERS,
    Asha,
    NoStopping,
    Scheduler,
    scheduler_as_json,
)
from agad.config.search import Search
from agad.config.selection import (
    SELECTIONS,
    FixedEpoch,
    Labelled,
    Selection,
    searches,
    selection_as_json,
    selection_from_json,
)
from agad.errors import ConfigError

_NO_SCHEDULER_GIVEN = Asha()
"""Marks a study without a given scheduler. The identity differs from that of a given ``Asha()``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A question: cells x a search space x a budget. A study says what to run, never where."""

    name: str
    """Lower-case letters, digits, ``.``, ``_`` and ``-``; the study's prefix in the store."""

    cells: Grid
    search: Search = field(default_factory=Search)
    """The search; leave this out under ``FixedEpoch``, which searches nothing."""

    detector: DetectorConfig = None  # type: ignore[assignment]  # __post_init__ sets it.
    """The detector, with every parameter that neither an axis nor the search sets; ``Agad()`` if
    none is given. A study that compares ``detectors`` has none here."""

    detectors: Sequence[Candidate] = ()
    """Detectors to compare, each with its own space, scheduler and number of trials. The list
    replaces ``detector``, ``search.space``, ``search.start`` and ``scheduler``. A stored study is
    extended by appending further detectors."""

    scheduler: Scheduler = field(default_factory=lambda: _NO_SCHEDULER_GIVEN)
    """The rule that stops search trials early; ``Asha()`` by default. ``FixedEpoch`` stops none,
    and takes ``NoStopping`` with its own epochs. A detector that fits once takes one epoch."""

    confirm: Confirm = field(default_factory=Confirm)
    selection: Selection = field(default_factory=Labelled)
    """The policy that chooses a cell's configuration."""

    budget: Budget = field(default_factory=Budget)
    """Limits that end the search before its planned trials."""

    seed: int = 0
    """First seed of every search trial, and the seed of the samplers. Confirm trials take the seeds
    after those of the search."""

    def __post_init__(self) -> None:
        check_study_name(self.name)
        detector: DetectorConfig | None = self.detector
        if detector is None and not self.detectors:
            object.__setattr__(self, "detector", detector_class("agad")())
        self._check_types()
        self._take_label_budget()
        # The seeds of the confirm phase follow, and must fit their column too.
        num_seeds = self.search.seeds + self.confirm.seeds
        check_count("study.seed", self.seed, 0, MAX_INT64 - num_seeds)
        if self.detectors:
            self._check_candidates()
            return
        check_development_classes(self.cells, self.search)
        if isinstance(self.selection, FixedEpoch):
            check_nothing_searched(self.search, self.budget)
            self._fix_epochs(self.selection.epochs)
        self._fix_single_fit()
        _check_answered(self.cells, self.entries)
        check_selection(self.selection, self.search, self.detector)
        num_trials = self.search.num_cell_trials
        if self.confirm.candidates > num_trials:
            raise ConfigError(
                f"confirm.candidates is {self.confirm.candidates}, but must be at most "
                f"{num_trials}, the search trials of a cell; confirm fewer, or search more."
            )
        if self.search.counts_work and not isinstance(self.scheduler, NoStopping):
            raise ConfigError(
                f"scheduler is {self.scheduler}, but must be NoStopping(...) where search.sampler "
                f"is {type(self.search.sampler).__name__}: of a trial stopped early, the objective "
                "at the end is not known."
            )
        check_space(self.cells, self.search, self.detector)

    def _take_label_budget(self) -> None:
        """Make the budget of the selection an axis of the cells, and check it there."""
        if not isinstance(self.selection, Labelled):
            return
        if self.selection.budget is not None or (self.selection.pool and self.cells.labels is None):
            cells, selection = budgeted(self.cells, self.selection)
            object.__setattr__(self, "cells", cells)
            object.__setattr__(self, "selection", selection)
        check_label_budgets(self.cells, self.selection)

    def _check_candidates(self) -> None:
        """Refuse fields that the candidates replace, then check each candidate as its own study."""
        object.__setattr__(self, "detectors", tuple(self.detectors))
        given = {
            "study.detector": self.detector is not None,
            "search.space": bool(self.search.space),
            "search.start": bool(self.search.start),
            "study.scheduler": self.scheduler is not _NO_SCHEDULER_GIVEN,
            "cells.settings": bool(self.cells.settings),
        }
        for name, is_given in given.items():
            if is_given:
                raise ConfigError(
                    f"study.detectors and {name} are both given, but every Candidate has its "
                    f"own; leave {name} out."
                )
        check_development_classes(self.cells, self.search)
        entries = self.entries
        for place in range(len(entries)):
            _check_entry(entries, place)
        _check_answered(self.cells, entries)
        if self.budget.names and not any(one.candidate.searches for one in entries):
            raise ConfigError(
                f"study.budget is {self.budget}, but no candidate searches anything that it could "
                "end; leave it out."
            )

    def _fix_epochs(self, epochs: int) -> None:
        """Set the scheduler to train the epochs that are given in advance."""
        wanted = NoStopping(max_epochs=epochs)
        if self.scheduler is _NO_SCHEDULER_GIVEN:
            object.__setattr__(self, "scheduler", wanted)
        if self.scheduler != wanted:
            raise ConfigError(
                f"study.scheduler is {self.scheduler}, but FixedEpoch(epochs={epochs}) trains "
                f"every trial for {epochs} epochs; leave it out, or give {wanted}."
            )

    def _fix_single_fit(self) -> None:
        """Give a detector that fits once its own scheduler, and refuse any that has more epochs."""
        if not getattr(self.detector, "fits_once", False):
            return
        if self.scheduler is _NO_SCHEDULER_GIVEN:
            object.__setattr__(self, "scheduler", self.detector.default_scheduler())
        if self.scheduler.max_epochs > 1:
            raise ConfigError(
                f"study.scheduler is {self.scheduler}, but {type(self.detector).__name__} fits "
                "once, in a single epoch; leave the scheduler out, and give FixedEpoch, if any, "
                "epochs=1."
            )

    def _check_types(self) -> None:
        if not self.detectors:
            check_detector("study.detector", self.detector)
        if isinstance(self.detectors, Candidate | str) or not isinstance(self.detectors, Sequence):
            raise ConfigError(
                f"study.detectors is {self.detectors!r}, but must be a list of Candidate(...)."
            )
        for place, one in enumerate(self.detectors):
            if not isinstance(one, Candidate):
                raise ConfigError(
                    f"study.detectors[{place}] is {one!r}, but must be a Candidate(...)."
                )
        allowed: dict[str, tuple[type, ...]] = {
            "cells": (Grid,),
            "search": (Search,),
            "scheduler": SCHEDULERS,
            "confirm": (Confirm,),
            "selection": SELECTIONS,
            "budget": (Budget,),
        }
        for name, types in allowed.items():
            value = getattr(self, name)
            if not isinstance(value, types):
                choices = ", ".join(f"{one.__name__}(...)" for one in types)
                raise ConfigError(f"study.{name} is {value!r}, but must be one of: {choices}.")

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every detector as a study of its own, with its cells; one entry without ``detectors``."""
        if not self.detectors:
            given = Candidate(
                self.detector,
                space=self.search.space,
                scheduler=self.scheduler,
            )
            labels = self.detector.supervision.labels
            answers = answered(self.cells.all_cells, labels, self.selection)
            unsearched = self._unsearched(given, self.cells, answers)
            return (Entry(candidate=given, study=self, answers=answers, unsearched=unsearched),)
        return tuple(self._entries())

    def _entries(self) -> Iterator[Entry]:
        detectors = [one.detector for one in self.detectors]
        own_cells = cells_of_detectors(
            self.cells.all_cells,
            [(one.name, parameters_of(one), one.supervision.external_data) for one in detectors],
        )
        for place, (one, cells) in enumerate(zip(self.detectors, own_cells, strict=True)):
            labels = one.detector.supervision.labels
            if labels == "required" and not any(cell.has_labels for cell in cells):
                axis, more = ("anomaly_ratio", "a ratio above 0")
                if self.cells.labels is not None:
                    axis, more = ("labels", "a budget of at least 2")
                raise ConfigError(
                    f"study.detectors[{place}] is {one.detector}, which needs labelled anomalies, "
                    f"but cells.{axis} is 0; add {more}."
                )
            alone = self._alone(one)
            answers = answered(cells, labels, alone.selection)
            left_out = tuple(cell for cell in cells if cell not in answers)
            yield Entry(
                candidate=one,
                study=alone,
                answers=answers,
                left_out=left_out,
                unsearched=self._unsearched(one, alone.cells, answers),
            )

    def _alone(self, one: Candidate) -> Study:
        """Return the study of one candidate; its trials have the same keys as in this study."""
        needs_labels = one.detector.supervision.labels == "required"
        cells = self.cells.with_labels() if needs_labels else self.cells
        if one.searches:
            search = replace(
                self.search,
                space=one.searched_space,
                trials_per_cell=one.trials or self.search.trials_per_cell,
            )
            most = min(self.confirm.candidates, search.num_cell_trials)
            return replace(
                self,
                cells=cells,
                detector=one.detector,
                detectors=(),
                search=search,
                scheduler=one.rule,
                confirm=replace(self.confirm, candidates=most),
            )
        return self._confirming(one, cells)

    def _unsearched(
        self, one: Candidate, cells: Grid, answers: Mapping[Cell, Cell]
    ) -> Study | None:
        """Return the study of a candidate where nothing can be searched; None without such a cell.

        The returned study has all cells of the candidate. It is asked for its settings, and is
        never run.
        """
        is_needed = self.selection.searches and not all(
            searches(self.selection, cell.labels) for cell in answers.values()
        )
        return self._confirming(one, cells) if is_needed else None

    def _confirming(self, one: Candidate, cells: Grid) -> Study:
        """Return the study of one candidate that confirms its configuration as it is."""
        epochs = one.rule.max_epochs
        return replace(
            self,
            cells=cells,
            detector=one.detector,
            detectors=(),
            search=Search(),
            scheduler=NoStopping(max_epochs=epochs),
            confirm=replace(self.confirm, candidates=1),
            selection=unsearched(self.selection, epochs),
            budget=Budget(),
            # With this seed, the candidate has the same confirm seeds as the others.
            seed=self.seed + self.search.seeds - 1,
        )

    @property
    def all_cells(self) -> tuple[Cell, ...]:
        """The cells of all detectors."""
        return tuple(cell for entry in self.entries for cell in entry.cells)

    @property
    def encoders(self) -> tuple[str, ...]:
        """The names of the frozen encoders that a trial can take, each once."""
        named = {
            one.input().encoder
            for entry in self.entries
            for cell in entry.cells
            for one in corner_detectors(
                dict(cell.settings), entry.study.search, entry.study.detector
            )
        }
        return tuple(sorted(named - {""}))

    @property
    def search_seeds(self) -> tuple[int, ...]:
        """The seeds of every search trial."""
        return tuple(range(self.seed, self.seed + self.search.seeds))

    @property
    def num_search_trials(self) -> int:
        """Search trials of a cell; 0 if nothing is searched."""
        return self.search.num_cell_trials if self.selection.searches else 0

    @property
    def confirm_seeds(self) -> tuple[int, ...]:
        """The seeds of the confirm phase; the search uses none of them."""
        first = self.seed + self.search.seeds
        return tuple(range(first, first + self.confirm.seeds))

    def on_dataset(self, dataset: str, classes: Sequence[ClassGiven]) -> Study:
        """Return the same question about another data set, as study ``NAME-DATASET``.

        Args:
            dataset: Name of the data set.
            classes: The classes that are normal in turn; in the leave-one-out protocol, anomalous
                in turn.

        Raises:
            ConfigError: The study names other classes or images of its own data set, or the name
                of the new study is too long.
        """
        labelled: Any = self.cells.labelled_classes
        named = {
            "search.development_classes": self.search.development,
            "cells.labelled_classes": [one for one in labelled if isinstance(one, tuple)],
            "selection.pool": getattr(self.selection, "pool", ()),
        }
        for where, given in named.items():
            if given:
                things = "images" if where == "selection.pool" else "classes"
                raise ConfigError(
                    f"{where} of study {self.name} names {things} of its own data set, so the "
                    f"study cannot be asked of {dataset}; write a study file for {dataset}."
                )
        cells = replace(self.cells, dataset=dataset).on_classes(classes)
        return replace(self, name=f"{self.name}-{dataset}", cells=cells)

    def reduced(self) -> Study:
        """Return the same question at a size that a laptop finishes, under a name of its own.

        The reduced study has the first class at the lowest and the highest ratio, and no budget. A
        cell has 4 trials of at most 3 epochs, 2 search seeds and 2 confirm seeds. Each detector is
        its ``reduced`` self. If there are several development classes, the first stays, with one
        other class to confirm on.
        """
        is_searched = self.selection.searches or bool(self.detectors)
        search = self.search.reduced() if is_searched else self.search
        cells = self.cells.reduced()
        if search.development:
            others = [one for one in self.cells.classes if one not in search.development]
            cells = cells.on_classes((*search.development, *others[:1]))
        return replace(
            self,
            name=f"{self.name[:92]}-reduced",
            cells=cells,
            search=search,
            detector=self.detector if self.detectors else self.detector.reduced(),
            detectors=tuple(one.reduced() for one in self.detectors),
            # Set again, because in an unpickled study the marker is another object.
            scheduler=_NO_SCHEDULER_GIVEN if self.detectors else self.scheduler.reduced(3),
            budget=Budget(),
            selection=self.selection.reduced(3),
            confirm=replace(
                self.confirm,
                seeds=min(2, self.confirm.seeds),
                candidates=self._reduced_candidates(search),
            ),
        )

    def _reduced_candidates(self, search: Search) -> int:
        """Return how many configurations a reduced search confirms."""
        most = search.trials_per_cell if self.detectors else search.num_cell_trials
        return min(self.confirm.candidates, most)

    @staticmethod
    def _candidate_as_json(entry: Entry) -> dict[str, Any]:
        """Return a candidate with its detector's defaults, which a later version may change."""
        study = entry.study
        values = {
            "detector": detector_as_json(study.detector),
            "labels": study.detector.supervision.labels,
            "space": study.search.as_json()["space"],
            "scheduler": scheduler_as_json(study.scheduler),
        }
        if study.detector.supervision.external_data:
            values["external_data"] = study.detector.supervision.external_data
        if study.selection.searches:
            values["trials"] = study.search.trials_per_cell
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Study:
        """Return the study of a ``study.json``, as ``as_json`` made it.

        If nothing is searched, only the space of ``search`` is read: earlier versions also kept
        fields that such a study ignored.

        Raises:
            ConfigError: This version does not know a value.
            KeyError: A field is missing.
            TypeError: A part has a field that this version does not know.
        """
        search = Search.from_json(values["search"])
        selection = selection_from_json(values.get("selection", {}))
        return cls(
            name=values["name"],
            cells=Grid.from_json(values["cells"]),
            search=search if selection.searches else Search(space=search.space),
            **detectors_from_json(values),
            confirm=Confirm(**values["confirm"]),
            selection=selection,
            budget=Budget(**values.get("budget", {})),
            seed=values["seed"],
        )

    def as_json(self) -> dict[str, Any]:
        """Return the whole configuration as plain JSON values, for ``study.json``.

        ``confirm.keep_every`` is left out if no checkpoint is kept.
        """
        without = ("detector", "scheduler") if self.detectors else ("detectors",)
        values = {
            one.name: _plain(getattr(self, one.name))
            for one in dataclasses.fields(self)
            if one.name not in without
        }
        if self.confirm.keep_every is None:
            del values["confirm"]["keep_every"]
        if self.detectors:
            values["detectors"] = [self._candidate_as_json(one) for one in self.entries]
        else:
            values["detector"] = detector_as_json(self.detector)
            values["scheduler"] = scheduler_as_json(self.scheduler)
        values["cells"] = self.cells.as_json()
        values["search"] = self.search.as_json()
        values["selection"] = selection_as_json(self.selection)
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A detector of a study, with the cells that the detector answers."""

    candidate: Candidate
    study: Study
    """The study as it would be with this detector alone: its search, scheduler and selection."""

    answers: Mapping[Cell, Cell]
    """The cell that runs, for each cell that the detector answers."""

    left_out: tuple[Cell, ...] = ()
    """The cells without the labelled anomalies that the detector needs."""

    unsearched: Study | None = None
    """The study of the cells at a label budget of 0, if labels would choose the configuration."""

    def study_of(self, cell: Cell) -> Study:
        """Return the study as it would be with this detector and a cell alone."""
        is_searched = searches(self.study.selection, cell.labels)
        return self.study if is_searched or self.unsearched is None else self.unsearched

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells that run; no other entry has any of them."""
        return tuple(dict.fromkeys(self.answers.values()))


def _check_entry(entries: Sequence[Entry], place: int) -> None:
    """Refuse a candidate that repeats an earlier candidate."""
    entry = entries[place]
    for earlier, other in enumerate(entries[:place]):
        if entry.candidate == other.candidate:
            raise ConfigError(f"study.detectors[{place}] stands in the list before; take it out.")
        if entry.candidate.detector == other.candidate.detector:
            raise ConfigError(
                f"study.detectors[{place}] has the parameters of study.detectors[{earlier}], but "
                "candidates are told apart by them; change a parameter of one, or take it out."
            )


def _check_answered(cells: Grid, entries: Sequence[Entry]) -> None:
    """Refuse cells without labelled anomalies, if every detector needs some."""
    axis, values, noun = "anomaly_ratio", cells.anomaly_ratio, "ratios"
    if cells.labels is not None:
        axis, values, noun = "labels", cells.labels, "budgets"
    given: Any = values
    needs = all(one.candidate.detector.supervision.labels == "required" for one in entries)
    if needs and not all(given):
        names = dict.fromkeys(type(one.candidate.detector).__name__ for one in entries)
        raise ConfigError(
            f"cells.{axis} is {', '.join(f'{one:g}' for one in given)}, but "
            f"{', '.join(names)} cannot be fitted without labelled anomalies; give {noun} above 0 "
            "alone, or compare with a detector that needs none, such as Knn()."
        )


def _plain(value: object) -> Any:  # noqa: ANN401  What JSON can hold.
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value
