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
from agad.config.counts import check_count
from agad.config.detectors import DETECTORS, Agad, DetectorConfig, with_parameters
from agad.config.grid import Grid
from agad.config.scheduler import SCHEDULERS, Asha, Scheduler, scheduler_as_json
from agad.config.search import Search
from agad.config.space import Setting
from agad.errors import ConfigError

_MAX_CORNERS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """Train each cell's best configurations anew; the winner's trials alone see the test split."""

    seeds: int = 3
    """Fresh seeds a cell: one trial each and candidate, full budget, none stopped."""

    candidates: int = 1
    """Best configurations of a cell's search to confirm. Of several, the highest mean validation
    AUROC over the fresh seeds wins."""

    def __post_init__(self) -> None:
        check_count("confirm.seeds", self.seeds, 1)
        check_count("confirm.candidates", self.candidates, 1)

    @property
    def num_trials(self) -> int:
        """Confirm trials of a cell, of all its candidates."""
        return self.seeds * self.candidates


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Select by validation AUROC on labelled anomalies, which are drawn from training images."""

    num_anomalies: int | None = None
    """Labelled validation anomalies, the same at every ratio; None is the data set's default."""

    val_share: float = 0.1
    """Share of the class's training normals held out for validation, in (0, 1)."""

    def __post_init__(self) -> None:
        if self.num_anomalies is not None:
            check_count("selection.num_anomalies", self.num_anomalies, 1)
        is_number = isinstance(self.val_share, int | float)
        if not is_number or not 0 < self.val_share < 1:
            raise ConfigError(
                f"selection.val_share is {self.val_share!r}, but must be between 0 and 1."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One question: cells x a search space x a budget. A value: it says what, never where."""

    name: str
    """Lower-case letters, digits, ``.``, ``_`` and ``-``; the study's prefix in the store."""

    cells: Grid
    search: Search
    detector: DetectorConfig = field(default_factory=Agad)
    """The detector, with every parameter that neither an axis nor the search sets."""

    scheduler: Scheduler = field(default_factory=Asha)
    """When a search trial is stopped early."""

    confirm: Confirm = field(default_factory=Confirm)
    selection: Labelled = field(default_factory=Labelled)
    budget: Budget = field(default_factory=Budget)
    """What ends the search before its planned trials."""

    seed: int = 0
    """Seed of every search trial and of the samplers; confirm trials take the seeds after it."""

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
        num_trials = self.search.num_cell_trials
        if self.confirm.candidates > num_trials:
            raise ConfigError(
                f"confirm.candidates is {self.confirm.candidates}, but must be at most "
                f"{num_trials}, the search trials of a cell; confirm fewer, or search more."
            )
        self._check_corners()

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
            "selection": (Labelled,),
            "budget": (Budget,),
        }
        for name, types in allowed.items():
            value = getattr(self, name)
            if not isinstance(value, types):
                choices = ", ".join(f"{one.__name__}(...)" for one in types)
                raise ConfigError(f"study.{name} is {value!r}, but must be one of: {choices}.")

    @property
    def confirm_seeds(self) -> tuple[int, ...]:
        """The seeds of the confirm phase, none of which the search used."""
        return tuple(range(self.seed + 1, self.seed + 1 + self.confirm.seeds))

    def reduced(self) -> Study:
        """Return the same question at a budget that a laptop finishes, under a name of its own.

        The first class at the lowest and the highest ratio, 4 trials a cell of at most 3 epochs,
        2 confirm seeds, networks of an eighth of the width, and no further budget.
        """
        detector = replace(
            self.detector,
            base_width=max(4, self.detector.generator_width // 8),
            discriminator_width=max(4, self.detector.discriminator_width // 8),
        )
        search = replace(
            self.search,
            trials_per_cell=min(4, self.search.trials_per_cell),
            start=self.search.start[:4],
        )
        return replace(
            self,
            name=f"{self.name[:92]}-reduced",
            cells=self.cells.reduced(),
            search=search,
            detector=detector,
            scheduler=self.scheduler.reduced(3),
            budget=Budget(),
            confirm=Confirm(
                seeds=min(2, self.confirm.seeds),
                candidates=min(self.confirm.candidates, search.num_cell_trials),
            ),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the whole configuration as plain JSON values, for ``study.json``."""
        values = dataclasses.asdict(self)
        values["detector"]["name"] = self.detector.name
        values["detector"]["version"] = self.detector.version
        values["search"] = self.search.as_json()
        values["scheduler"] = scheduler_as_json(self.scheduler)
        return values
