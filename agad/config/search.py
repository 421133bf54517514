"""The search of each cell: its space, its sampler and its number of trials."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from agad.config.branches import (
    Axis,
    as_json,
    check_branches,
    check_configuration,
    configurations,
    draw,
    from_json,
    num_configurations,
)
from agad.config.cell import ClassGiven
from agad.config.counts import check_count
from agad.config.grid import checked_classes, in_order
from agad.config.sampler import (
    SAMPLERS,
    GaussianProcess,
    GridSearch,
    Nsga2,
    Sampler,
    Tpe,
    sampler_as_json,
    sampler_from_json,
)
from agad.config.space import DISTRIBUTION_NAMES, Distribution, Setting, is_same
from agad.errors import ConfigError

_MAX_DEVELOPMENT_CLASSES = 2
"""The limit ensures that most of the confirmed classes were not tuned on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The search of each cell: its space, its sampler and its number of trials."""

    space: Mapping[str, Distribution] = field(default_factory=dict)
    """The detector's parameters to search, each with its distribution."""

    trials_per_cell: int = 32
    """Trials that every cell starts in its search; fewer if the space has fewer configurations."""

    sampler: Sampler = field(default_factory=Tpe)
    """How the next configuration is proposed."""

    start: Sequence[Mapping[str, Setting]] = ()
    """Configurations that every cell tries first, in this order, such as the paper's."""

    seeds: int = 1
    """Seeds that every search trial trains in lock-step: its objective is the mean over them."""

    development_classes: ClassGiven | Sequence[ClassGiven] = ()
    """At most two classes of ``cells``, by label or by name as in ``cells``. Every search trial
    trains all of them in lock-step, and the winner is confirmed on every class. If empty, each
    class has its own search."""

    def __post_init__(self) -> None:
        check_count("search.trials_per_cell", self.trials_per_cell, 1)
        check_count("search.seeds", self.seeds, 1)
        self._check_development_classes()
        self._check_space()
        object.__setattr__(self, "space", dict(sorted(self.space.items())))
        given: object = self.sampler
        if not isinstance(given, SAMPLERS):
            choices = ", ".join(f"{one.__name__}(...)" for one in SAMPLERS)
            raise ConfigError(f"search.sampler is {given!r}, but must be one of: {choices}.")
        self.sampler.check_space(self.space)
        self._check_start()

    def _check_development_classes(self) -> None:
        classes: tuple[ClassGiven, ...] = ()
        if self.development_classes != ():
            name = "search.development_classes"
            classes = in_order(checked_classes(name, self.development_classes))
            if len(classes) > _MAX_DEVELOPMENT_CLASSES:
                raise ConfigError(
                    f"{name} is {list(classes)}, but must be at most {_MAX_DEVELOPMENT_CLASSES} "
                    "classes, so that most of what is confirmed was not tuned on."
                )
        object.__setattr__(self, "development_classes", classes)

    def _check_space(self) -> None:
        if not isinstance(self.space, Mapping):
            raise ConfigError(f"search.space is {self.space!r}, but must be a dictionary.")
        for name, distribution in self.space.items():
            if not isinstance(distribution, Distribution):
                raise ConfigError(
                    f"search.space[{name!r}] is {distribution!r}, but must be a "
                    f"{DISTRIBUTION_NAMES}."
                )
        check_branches(self.space)

    def _check_start(self) -> None:
        is_list = isinstance(self.start, Sequence) and not isinstance(self.start, str)
        if not is_list or not all(isinstance(one, Mapping) for one in self.start):
            raise ConfigError(
                f"search.start is {self.start!r}, but must be a list of dictionaries, such as "
                '[{"lr": 2e-4}].'
            )
        start = [dict(sorted(one.items())) for one in self.start]
        if len(start) > self.trials_per_cell:
            raise ConfigError(
                f"search.start holds {len(start)} configurations, but must hold at most "
                f"search.trials_per_cell = {self.trials_per_cell}."
            )
        for place, params in enumerate(start):
            where = f"search.start[{place}]"
            check_configuration(where, self.space, params)
            if isinstance(self.sampler, GridSearch):
                start[place] = self._grid_point(where, params)
            if start[place] in start[:place]:
                raise ConfigError(f"{where} stands in the list before; take it out.")
        object.__setattr__(self, "start", tuple(start))

    def _grid_point(self, where: str, params: dict[str, Setting]) -> dict[str, Setting]:
        """Return the grid point that a configuration names; numbers may differ by rounding.

        Example: the computed middle of the range 1e-4 to 1e-2 is 0.0010000000000000002, not 1e-3.
        """

        def point(axis: Axis) -> Setting:
            found = _point_of(self._values_of(axis) or (), params[axis.name])
            if found is None:
                raise ConfigError(f"{where} is {params}, but must be a point of the grid.")
            return found

        return draw(self.space, point)

    def _values_of(self, axis: Axis) -> Sequence[Setting] | None:
        if isinstance(self.sampler, GridSearch):
            return self.sampler.values_of(axis.name, axis.draw)
        return axis.draw.values

    def _listed(self) -> Iterator[dict[str, Setting]]:
        return configurations(self.space, lambda axis: self._values_of(axis) or ())

    @property
    def configurations(self) -> Iterator[dict[str, Setting]] | None:
        """Every configuration that can be proposed, in turn; None if the space has a range."""
        return None if self.num_configurations is None else self._listed()

    @property
    def num_configurations(self) -> int | None:
        """Configurations that can be proposed; None if the space has a range of real numbers."""
        return num_configurations(self.space, self._values_of)

    @property
    def num_cell_trials(self) -> int:
        """Search trials of a cell: ``trials_per_cell``, or fewer if the space is smaller."""
        size = self.num_configurations
        return self.trials_per_cell if size is None else min(self.trials_per_cell, size)

    @property
    def num_startup_trials(self) -> int:
        """Random trials of a cell before its sampler learns: as given, or max(4, trials / 4)."""
        given = None
        if isinstance(self.sampler, Tpe | GaussianProcess):
            given = self.sampler.startup_trials
        elif isinstance(self.sampler, Nsga2):
            given = self.sampler.population
        return max(4, self.trials_per_cell // 4) if given is None else given

    @property
    def development(self) -> tuple[ClassGiven, ...]:
        """The development classes, always as a tuple."""
        classes: Any = self.development_classes
        return tuple(classes)

    @property
    def given(self) -> tuple[str, ...]:
        """The fields that are not at their defaults."""
        plain = Search()
        names = (one.name for one in fields(self))
        return tuple(name for name in names if getattr(self, name) != getattr(plain, name))

    @property
    def counts_work(self) -> bool:
        """Whether the work of scoring is a second objective, in addition to the selection's."""
        return isinstance(self.sampler, Nsga2)

    def reduced(self) -> Search:
        """Return the search with so few trials and seeds that a laptop finishes them."""
        return replace(
            self,
            trials_per_cell=min(4, self.trials_per_cell),
            start=self.start[:4],
            seeds=min(2, self.seeds),
            development_classes=self.development[:1],
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Search:
        """Return the search of a ``study.json``, as ``as_json`` made it.

        Raises:
            ConfigError: A distribution or a sampler that this version does not know.
            KeyError: A field is missing.
        """
        return cls(
            space={name: from_json(one) for name, one in values["space"].items()},
            trials_per_cell=values["trials_per_cell"],
            sampler=sampler_from_json(values["sampler"]) if "sampler" in values else Tpe(),
            start=values.get("start", ()),
            seeds=values.get("seeds", 1),
            development_classes=values.get("development_classes", ()),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the search as plain JSON values; the default sampler ``Tpe()`` is left out."""
        values: dict[str, Any] = {
            "space": {name: as_json(distribution) for name, distribution in self.space.items()},
            "trials_per_cell": self.trials_per_cell,
        }
        if self.sampler != Tpe():
            values["sampler"] = sampler_as_json(self.sampler)
        if self.start:
            values["start"] = [dict(params) for params in self.start]
        if self.seeds != 1:
            values["seeds"] = self.seeds
        if self.development:
            values["development_classes"] = list(self.development)
        return values


def _point_of(points: Sequence[Setting], given: Setting) -> Setting | None:
    """Return the point that equals a setting; real numbers may differ by rounding."""
    same = next((one for one in points if is_same(one, given)), None)
    reals = [one for one in points if isinstance(one, float)]
    if same is not None or isinstance(given, str | bool) or len(reals) < 2:
        return same
    nearest = min(reals, key=lambda one: abs(one - given))
    # If a range goes through 0, the point at 0 may be a rounding error instead of 0.
    least = 1e-9 * abs(reals[1] - reals[0])
    return nearest if math.isclose(nearest, given, abs_tol=least) else None
