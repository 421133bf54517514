"""A study: the cells, the search space and the budget of one question."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agad.config.detectors import DETECTORS, Agad, DetectorConfig, with_parameters
from agad.config.grid import Grid
from agad.config.space import Choice, Distribution, Setting
from agad.errors import ConfigError

_MAX_CORNERS = 4096


def check_count(name: str, value: object, least: int) -> None:
    """Refuse what is no whole number of at least ``least``, by its dotted name."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{name} is {value!r}, but must be a whole number, at least {least}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What each cell's sampler draws, and how often."""

    space: Mapping[str, Distribution]
    """The detector's parameters to search, each with its distribution."""

    trials_per_cell: int = 32
    """Trials that every cell starts in its search."""

    def __post_init__(self) -> None:
        check_count("search.trials_per_cell", self.trials_per_cell, 1)
        if not isinstance(self.space, Mapping):
            raise ConfigError(f"search.space is {self.space!r}, but must be a dictionary.")
        if not self.space:
            raise ConfigError(
                "search.space is empty, but must hold at least one parameter, such as "
                '{"lr": LogUniform(1e-4, 1e-2)}.'
            )
        for name, distribution in self.space.items():
            if not isinstance(distribution, Distribution):
                raise ConfigError(
                    f"search.space[{name!r}] is {distribution!r}, but must be a Uniform, "
                    "LogUniform or Choice; set a fixed value on the detector instead."
                )
        object.__setattr__(self, "space", dict(sorted(self.space.items())))

    @property
    def configurations(self) -> Iterator[dict[str, Setting]] | None:
        """Every configuration of a space of choices in turn; None where there is a range."""
        choices = [one.values for one in self.space.values() if isinstance(one, Choice)]
        if len(choices) < len(self.space):
            return None
        return (
            dict(zip(self.space, values, strict=True)) for values in itertools.product(*choices)
        )

    @property
    def num_cell_trials(self) -> int:
        """Search trials of a cell: as many as asked for, or as there are configurations."""
        sizes = [len(one.values) for one in self.space.values() if isinstance(one, Choice)]
        if len(sizes) < len(self.space):
            return self.trials_per_cell
        return min(self.trials_per_cell, math.prod(sizes))

    @property
    def num_startup_trials(self) -> int:
        """Random trials of a cell before its TPE sampler learns: max(4, trials / 4)."""
        return max(4, self.trials_per_cell // 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asha:
    """Asynchronous successive halving, one ladder a cell.

    A trial goes on past a rung when its validation AUROC beats the (1 - 1/eta) quantile of those
    that reached the rung before it; a tie loses.

    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020.
    """

    max_epochs: int = 27
    """Epochs of a trial that is never stopped."""

    grace_period: int = 3
    """Epochs every trial trains before it can be stopped: the first rung."""

    reduction_factor: int = 3
    """eta: about 1/eta of the trials survive each rung."""

    def __post_init__(self) -> None:
        check_count("scheduler.max_epochs", self.max_epochs, 1)
        check_count("scheduler.grace_period", self.grace_period, 1)
        check_count("scheduler.reduction_factor", self.reduction_factor, 2)
        if self.grace_period > self.max_epochs:
            raise ConfigError(
                f"scheduler.grace_period is {self.grace_period}, but must be at most "
                f"scheduler.max_epochs = {self.max_epochs}."
            )

    @property
    def milestones(self) -> tuple[int, ...]:
        """Epochs trained at each rung, ascending, all below ``max_epochs``, in integers."""
        rungs = []
        epochs = self.grace_period
        while epochs < self.max_epochs:
            rungs.append(epochs)
            epochs *= self.reduction_factor
        return tuple(rungs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """Train each cell's best configuration anew; these trials alone see the test split."""

    seeds: int = 3
    """Fresh seeds a cell: one trial each, full budget, none stopped."""

    def __post_init__(self) -> None:
        check_count("confirm.seeds", self.seeds, 1)


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

    scheduler: Asha = field(default_factory=Asha)
    confirm: Confirm = field(default_factory=Confirm)
    selection: Labelled = field(default_factory=Labelled)
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
        self._check_corners()

    def _check_corners(self) -> None:
        """Build the detector at every corner of the space, under every setting of the axes."""
        space = self.search.space
        # A space of very many choices is checked at its first corners alone.
        products = itertools.product(*(space[name].extremes for name in space))
        corners = list(itertools.islice(products, _MAX_CORNERS))
        for settings in {cell.settings for cell in self.cells.all_cells}:
            for corner in corners:
                params = dict(zip(space, corner, strict=True))
                with_parameters(self.detector, {**dict(settings), **params})

    def _check_types(self) -> None:
        known = tuple(DETECTORS)
        allowed: dict[str, tuple[type, ...]] = {
            "cells": (Grid,),
            "search": (Search,),
            "detector": known,
            "scheduler": (Asha,),
            "confirm": (Confirm,),
            "selection": (Labelled,),
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
        2 confirm seeds, and networks of an eighth of the width.
        """
        detector = replace(
            self.detector,
            base_width=max(4, self.detector.generator_width // 8),
            discriminator_width=max(4, self.detector.discriminator_width // 8),
        )
        return replace(
            self,
            name=f"{self.name[:92]}-reduced",
            cells=self.cells.reduced(),
            search=replace(self.search, trials_per_cell=min(4, self.search.trials_per_cell)),
            detector=detector,
            scheduler=replace(
                self.scheduler, max_epochs=min(3, self.scheduler.max_epochs), grace_period=1
            ),
            confirm=Confirm(seeds=min(2, self.confirm.seeds)),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the whole configuration as plain JSON values, for ``study.json``."""
        values = dataclasses.asdict(self)
        values["detector"]["name"] = self.detector.name
        values["detector"]["version"] = self.detector.version
        values["search"]["space"] = {
            name: {"distribution": type(distribution).__name__} | dataclasses.asdict(distribution)
            for name, distribution in self.search.space.items()
        }
        return values
