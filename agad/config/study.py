"""A study: the cells, the search space and the budget of one question."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agad.config.branches import configurations
from agad.config.budget import Budget
from agad.config.cell import Cell
from agad.config.counts import check_count
from agad.config.detectors import DETECTORS, Agad, DetectorConfig, with_parameters
from agad.config.grid import Grid
from agad.config.scheduler import (
    SCHEDULERS,
    Asha,
    NoStopping,
    Scheduler,
    scheduler_as_json,
    scheduler_from_json,
)
from agad.config.search import Search
from agad.config.selection import (
    SELECTIONS,
    FixedEpoch,
    LabelFree,
    Labelled,
    Selection,
    selection_as_json,
    selection_from_json,
)
from agad.config.space import Setting
from agad.errors import ConfigError

_MAX_CORNERS = 4096

_NO_SCHEDULER_GIVEN = Asha()
"""Stands where a study names no scheduler, told from an equal one by its identity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """Train each cell's best configurations anew; the winner's trials alone see the test split."""

    seeds: int = 3
    """Fresh seeds a cell: one trial each and candidate, full budget, none stopped."""

    candidates: int = 1
    """Best configurations of a cell's search to confirm. Of several, the highest mean objective
    over the fresh seeds wins."""

    keep_every: int | None = None
    """Epochs from one kept checkpoint of a winner's trial to the next, beside that of its last
    epoch: what ``agad diagnose`` takes. None keeps none. It decides no result, and holds for the
    trials that are confirmed from then on."""

    def __post_init__(self) -> None:
        check_count("confirm.seeds", self.seeds, 1)
        check_count("confirm.candidates", self.candidates, 1)
        if self.keep_every is not None:
            check_count("confirm.keep_every", self.keep_every, 1)

    @property
    def num_trials(self) -> int:
        """Confirm trials of a cell, of all its candidates."""
        return self.seeds * self.candidates


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One question: cells x a search space x a budget. A value: it says what, never where."""

    name: str
    """Lower-case letters, digits, ``.``, ``_`` and ``-``; the study's prefix in the store."""

    cells: Grid
    search: Search = field(default_factory=Search)
    """Left out where there is nothing to search, under ``FixedEpoch``."""

    detector: DetectorConfig = field(default_factory=Agad)
    """The detector, with every parameter that neither an axis nor the search sets."""

    scheduler: Scheduler = field(default_factory=lambda: _NO_SCHEDULER_GIVEN)
    """When a search trial is stopped early: ``Asha()``, and under ``FixedEpoch``, which stops none,
    ``NoStopping`` of its epochs."""

    confirm: Confirm = field(default_factory=Confirm)
    selection: Selection = field(default_factory=Labelled)
    """What chooses a cell's configuration."""

    budget: Budget = field(default_factory=Budget)
    """What ends the search before its planned trials."""

    seed: int = 0
    """First seed of every search trial, and that of the samplers; confirm trials take the seeds
    after those of the search."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch(
            r"[a-z0-9][a-z0-9._-]{0,99}", self.name
        ):
            raise ConfigError(
                f"study.name is {self.name!r}, but must start with a lower-case letter or digit "
                "and hold only those, '.', '_' and '-', at most 100 of them."
            )
        self._check_types()
        check_count("study.seed", self.seed, 0)
        searched = set(self.search.space) & set(self.cells.settings)
        if searched:
            raise ConfigError(
                f"{', '.join(sorted(searched))} is in search.space and in cells.settings, but an "
                "axis is never searched; take it out of one of them."
            )
        self._check_development_classes()
        self._check_selection()
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
        self._check_corners()

    def _check_development_classes(self) -> None:
        known = self.cells.classes
        for one in self.search.development:
            if one not in known:
                name = "normal_class" if self.cells.anomalous_class is None else "anomalous_class"
                raise ConfigError(
                    f"search.development_classes holds {one!r}, but cells.{name} is "
                    f"{', '.join(map(repr, known))}; name classes of it, as it names them."
                )

    def _check_selection(self) -> None:
        if isinstance(self.selection, FixedEpoch):
            self._fix_epochs(self.selection.epochs)
        elif not self.search.space:
            raise ConfigError(
                "search.space is empty, but must hold at least one parameter, such as "
                '{"lr": LogUniform(1e-4, 1e-2)}; with nothing to search, select by '
                "FixedEpoch(epochs=...)."
            )
        weights = [name for name in self.detector.loss_weights if name in self.search.space]
        if weights and isinstance(self.selection, LabelFree):
            raise ConfigError(
                f"search.space holds {', '.join(weights)}, but LabelFree searches no loss weight: "
                "searching them by reconstruction error would always switch the contextual "
                "adversarial term off; fix them in the detector, or select by Labelled()."
            )

    def _fix_epochs(self, epochs: int) -> None:
        """Take the epochs that are given in advance; refuse what would choose or stop."""
        num = self.search.num_configurations
        if num != 1:
            raise ConfigError(
                f"search.space has {'endless' if num is None else num} configurations, but "
                "FixedEpoch chooses among none; leave the search out, and set its parameters in "
                "the detector or in cells.settings."
            )
        ignored = [f"search.{name}" for name in self.search.given if name != "space"]
        if ignored:
            raise ConfigError(
                f"{' and '.join(ignored)} {'is' if len(ignored) == 1 else 'are'} given, but "
                "FixedEpoch searches nothing; leave out all of the search but its space."
            )
        if self.budget.names:
            raise ConfigError(
                f"study.budget is {self.budget}, but FixedEpoch searches nothing that it could "
                "end; leave it out."
            )
        wanted = NoStopping(max_epochs=epochs)
        if self.scheduler is _NO_SCHEDULER_GIVEN:
            object.__setattr__(self, "scheduler", wanted)
        if self.scheduler != wanted:
            raise ConfigError(
                f"study.scheduler is {self.scheduler}, but FixedEpoch(epochs={epochs}) trains "
                f"every trial for {epochs} epochs; leave it out, or give {wanted}."
            )

    def _check_corners(self) -> None:
        """Build the detector at every corner of the space, under every setting of the axes."""
        # A space of very many choices is checked at its first corners alone.
        every = configurations(self.search.space, lambda axis: axis.draw.extremes)
        corners: list[Mapping[str, Setting]] = list(itertools.islice(every, _MAX_CORNERS))
        for settings in {cell.settings for cell in self.cells.all_cells}:
            for corner in (*corners, *self.search.start):
                with_parameters(self.detector, {**dict(settings), **corner})

    def _check_types(self) -> None:
        known = tuple(DETECTORS)
        allowed: dict[str, tuple[type, ...]] = {
            "cells": (Grid,),
            "search": (Search,),
            "detector": known,
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
    def search_seeds(self) -> tuple[int, ...]:
        """The seeds of every search trial."""
        return tuple(range(self.seed, self.seed + self.search.seeds))

    @property
    def num_search_trials(self) -> int:
        """Search trials of a cell; none where nothing is searched."""
        return self.search.num_cell_trials if self.selection.searches else 0

    @property
    def confirm_seeds(self) -> tuple[int, ...]:
        """The seeds of the confirm phase, none of which the search used."""
        first = self.seed + self.search.seeds
        return tuple(range(first, first + self.confirm.seeds))

    @property
    def search_cells(self) -> tuple[Cell, ...]:
        """The cells that search: all, or with development classes one for all classes together."""
        return self.cells.search_cells(self.search.development)

    def reduced(self) -> Study:
        """Return the same question at a budget that a laptop finishes, under a name of its own.

        The first class at the lowest and the highest ratio, 4 trials a cell of at most 3 epochs,
        2 seeds to search and 2 to confirm, networks of an eighth of the width, and no further
        budget. Of several development classes the first stays, with one other class to confirm on.
        """
        detector = replace(
            self.detector,
            base_width=max(4, self.detector.generator_width // 8),
            discriminator_width=max(4, self.detector.discriminator_width // 8),
        )
        search = self.search.reduced() if self.selection.searches else self.search
        cells = self.cells.reduced()
        if search.development:
            others = [one for one in self.cells.classes if one not in search.development]
            cells = cells.on_classes((*search.development, *others[:1]))
        return replace(
            self,
            name=f"{self.name[:92]}-reduced",
            cells=cells,
            search=search,
            detector=detector,
            scheduler=self.scheduler.reduced(3),
            budget=Budget(),
            selection=self.selection.reduced(3),
            confirm=replace(
                self.confirm,
                seeds=min(2, self.confirm.seeds),
                candidates=min(self.confirm.candidates, search.num_cell_trials),
            ),
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Study:
        """Return the study of a ``study.json``, as ``as_json`` made it.

        Of a search of nothing it takes the space alone: earlier versions kept what it ignored.

        Raises:
            ConfigError: It holds a value that this version does not know.
            KeyError: A field is missing.
            TypeError: A part has a field that this version does not know.
        """
        parameters = dict(values["detector"])
        name, _ = parameters.pop("name"), parameters.pop("version")
        detectors = {one.name: one for one in DETECTORS}
        if name not in detectors:
            raise ConfigError(
                f"detector.name is {name!r}, but must be one of: {', '.join(detectors)}; upgrade "
                "agad."
            )
        search = Search.from_json(values["search"])
        selection = selection_from_json(values.get("selection", {}))
        return cls(
            name=values["name"],
            cells=Grid.from_json(values["cells"]),
            search=search if selection.searches else Search(space=search.space),
            detector=detectors[name](**parameters),
            scheduler=scheduler_from_json(values["scheduler"]),
            confirm=Confirm(**values["confirm"]),
            selection=selection,
            budget=Budget(**values.get("budget", {})),
            seed=values["seed"],
        )

    def as_json(self) -> dict[str, Any]:
        """Return the whole configuration as plain JSON values, for ``study.json``.

        What keeps no checkpoint names no ``confirm.keep_every``.
        """
        values = dataclasses.asdict(self)
        if self.confirm.keep_every is None:
            del values["confirm"]["keep_every"]
        values["detector"]["name"] = self.detector.name
        values["detector"]["version"] = self.detector.version
        values["search"] = self.search.as_json()
        values["scheduler"] = scheduler_as_json(self.scheduler)
        values["selection"] = selection_as_json(self.selection)
        return values
