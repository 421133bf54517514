"""The axes of a study. Every combination of their values is a cell."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from agad.config.cell import Cell, ClassGiven, LabelledClasses
from agad.config.counts import MAX_COUNT, check_label_budget, count_rule, is_count, shown_number
from agad.config.space import Setting, setting_values
from agad.errors import ConfigError


def _axis(name: str, value: object, *kinds: type) -> tuple[Any, ...]:
    """Return an axis as a tuple; refuse repeated values and values of other kinds."""
    values = setting_values(name, (value,) if isinstance(value, str | int | float) else value)
    for one in values:
        if not isinstance(one, kinds) or isinstance(one, bool):
            known = " or ".join(kind.__name__ for kind in kinds)
            raise ConfigError(f"{name} holds {one!r}, but must hold {known} values.")
    _check_distinct(name, values)
    return values


def checked_classes(name: str, value: object) -> tuple[ClassGiven, ...]:
    """Return classes as a tuple; refuse a value that names no class, or a class twice."""
    values = _axis(name, value, int, str)
    for one in values:
        if isinstance(one, int) and not is_count(one, 0, MAX_COUNT):
            raise ConfigError(
                f"{name} holds {one}, but must be at least 0 and at most {MAX_COUNT:,}."
            )
    return values


def _ratios(name: str, value: object, meaning: str) -> tuple[float, ...]:
    values = _axis(name, value, float, int)
    for ratio in values:
        if not 0 <= ratio < 1:
            raise ConfigError(f"{name} holds {ratio:g}, but must be in [0, 1): it is {meaning}.")
    return tuple(map(float, values))


def _labelled(value: object) -> list[LabelledClasses]:
    """Return the axis of labelled classes as a list; a tuple in the list is one value."""
    name = "cells.labelled_classes"
    values = [_in_order(one) for one in (value if isinstance(value, list) else [value])]
    for one in values:
        if isinstance(one, tuple) and one:
            checked_classes(name, one)
        elif one != "all" and not is_count(one, 1, MAX_COUNT):
            raise ConfigError(
                f'{name} holds {one!r}, but must hold "all", a number of classes (at most '
                f"{MAX_COUNT:,}), or a tuple of classes, such as (3, 5); a list is an axis."
            )
    _check_distinct(name, values)
    return values


def _num_normals(value: object) -> tuple[int | None, ...]:
    """Return the axis of the numbers of normals as a tuple."""
    name = "cells.num_normals"
    is_one = isinstance(value, str) or not isinstance(value, Iterable)
    values: tuple[Any, ...] = (value,) if is_one else tuple(value)  # type: ignore[arg-type]
    for one in values:
        if one is not None and not is_count(one, 2, MAX_COUNT):
            raise ConfigError(
                f"{name} holds {shown_number(one)}, but must hold None for all, or "
                f"{count_rule(2, MAX_COUNT)}."
            )
    _check_distinct(name, values)
    return values


def _labels(value: object) -> tuple[int, ...] | None:
    """Return the axis of the label budgets as a tuple; None if there is no budget."""
    name = "cells.labels"
    if value is None:
        return None
    is_one = isinstance(value, str) or not isinstance(value, Iterable)
    values: tuple[Any, ...] = (value,) if is_one else tuple(value)  # type: ignore[arg-type]
    for one in values:
        check_label_budget(f"{name} holds", one, least=0)
    _check_distinct(name, values)
    return values


def _in_order(value: Any) -> Any:  # noqa: ANN401  Not checked yet.
    return in_order(value) if isinstance(value, tuple) else value


def in_order(classes: Iterable[ClassGiven]) -> tuple[ClassGiven, ...]:
    """Return classes in an order that does not depend on the given order."""
    return tuple(sorted(classes, key=lambda one: (isinstance(one, str), str(one))))


def _listed(axis: Any) -> str:  # noqa: ANN401  A tuple of numbers.
    return ", ".join(f"{one:g}" for one in axis)


def _check_distinct(name: str, values: Sequence[object]) -> None:
    if not values:
        raise ConfigError(f"{name} is empty, but must hold at least one value.")
    if len(set(values)) < len(values):
        raise ConfigError(f"{name} is {list(values)}, but must not name a value twice.")


_LATER_AXES: dict[str, object] = {"num_normals": (None,), "labels": None}
"""Axes that earlier versions did not have, and their values there. A ``study.json`` with these
values is written without the axis, as an earlier version wrote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The axes of a study: every combination of their values is a cell.

    An axis has one value or several. Give ``normal_class`` for the one-class protocol, or
    ``anomalous_class`` for the leave-one-out protocol.
    """

    dataset: str | Sequence[str]
    """Names of imported data sets, and ``digits``."""

    normal_class: ClassGiven | Sequence[ClassGiven] | None = None
    """Classes that are normal in turn, when all others are anomalous; by label or by name."""

    anomalous_class: ClassGiven | Sequence[ClassGiven] | None = None
    """Classes that are anomalous in turn, when all others are normal; by label or by name."""

    anomaly_ratio: float | Sequence[float] = 0.0
    """gamma, labelled anomalies / (unlabelled + labelled anomalies), each in [0, 1)."""

    pollution_ratio: float | Sequence[float] = 0.0
    """Hidden anomalies / unlabelled images, each in [0, 1)."""

    labelled_classes: LabelledClasses | Sequence[LabelledClasses] = "all"
    """Anomalous classes that have labelled images: ``"all"``, a number of classes (drawn by the
    seed), or a tuple of classes. A list is an axis. Anomalies of the other classes stay unseen
    until the test."""

    settings: Mapping[str, Sequence[Setting]] = field(default_factory=dict)
    """Further axes: parameters of the detector, each with the values that it takes in turn."""

    num_normals: int | Sequence[int | None] | None = None
    """Normal images to fit on, at least 2 each; None for all. The seed of the trial draws them from
    the fit split, and fewer are always among more: the 10 are among the 50. Validation has the same
    images at every value. ``anomaly_ratio`` and ``pollution_ratio`` of the fit split are relative
    to these images."""

    labels: int | Sequence[int] | None = None
    """Label budgets: labelled anomalies to fit and to validate, each 0 or at least 2. All seeds,
    phases and detectors of a cell share one pool of so many images, which the study's seed draws;
    the pool of 10 lies inside the pool of 30. Replaces ``anomaly_ratio``. At 0, nothing is searched
    by labels: the default configurations are confirmed."""

    def __post_init__(self) -> None:
        if (self.normal_class is None) == (self.anomalous_class is None):
            raise ConfigError(
                "cells must have normal_class, which makes it one-class, or anomalous_class, "
                "which makes it leave-one-out: one of them, not both."
            )
        given = "normal_class" if self.anomalous_class is None else "anomalous_class"
        self._set(given, checked_classes(f"cells.{given}", getattr(self, given)))
        self._set("dataset", _axis("cells.dataset", self.dataset, str))
        labelled = "labelled anomalies / (normals + labelled anomalies)"
        self._set("anomaly_ratio", _ratios("cells.anomaly_ratio", self.anomaly_ratio, labelled))
        hidden = "hidden anomalies / unlabelled images"
        self._set("pollution_ratio", _ratios("cells.pollution_ratio", self.pollution_ratio, hidden))
        self._set("labelled_classes", _labelled(self.labelled_classes))
        self._set("settings", self._checked_settings())
        self._set("num_normals", _num_normals(self.num_normals))
        self._set("labels", _labels(self.labels))
        if self.labels is not None and self.anomaly_ratio != (0.0,):
            raise ConfigError(
                f"cells.labels is {_listed(self.labels)} and cells.anomaly_ratio is "
                f"{_listed(self.anomaly_ratio)}, but both say how many anomalies are labelled; "
                "leave one of them out."
            )

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _checked_settings(self) -> dict[str, tuple[Setting, ...]]:
        if not isinstance(self.settings, Mapping):
            raise ConfigError(
                f"cells.settings is {self.settings!r}, but must name parameters of the detector, "
                'such as {"weight_adcon": [0, 15]}.'
            )
        settings = {}
        for name, values in sorted(self.settings.items()):
            settings[name] = setting_values(f"cells.settings[{name!r}]", values)
            _check_distinct(f"cells.settings[{name!r}]", settings[name])
        return settings

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Grid:
        """Return the grid that a stored configuration holds.

        Raises:
            KeyError: An axis is missing that every version writes.
        """
        axes = {
            one.name: values[one.name]
            for one in fields(cls)
            if one.name in values or one.name not in _LATER_AXES
        }
        labelled = [
            tuple(one) if isinstance(one, list) else one for one in axes["labelled_classes"]
        ]
        return cls(**axes | {"labelled_classes": labelled})

    def as_json(self) -> dict[str, Any]:
        """Return the axes as plain JSON values; an axis of a later version only if it is set."""
        values = asdict(self)
        return {
            name: axis
            for name, axis in values.items()
            if name not in _LATER_AXES or axis != _LATER_AXES[name]
        }

    @property
    def datasets(self) -> tuple[str, ...]:
        """The data sets, always as a tuple."""
        return tuple(self.dataset)

    @property
    def classes(self) -> tuple[ClassGiven, ...]:
        """The classes that are normal in turn; in the leave-one-out protocol, anomalous in turn."""
        given: Any = self.normal_class if self.anomalous_class is None else self.anomalous_class
        return tuple(given)

    def on_classes(self, classes: Sequence[ClassGiven]) -> Grid:
        """Return the grid with other classes."""
        if self.anomalous_class is None:
            return replace(self, normal_class=classes)
        return replace(self, anomalous_class=classes)

    def with_labels(self) -> Grid:
        """Return the grid without the ratio and the budget 0; each stays if it is the only one."""
        ratios: Any = self.anomaly_ratio
        budgets: Any = self.labels
        return replace(
            self,
            anomaly_ratio=[one for one in ratios if one] or ratios,
            labels=[one for one in budgets if one] or budgets if budgets else None,
        )

    @property
    def all_cells(self) -> tuple[Cell, ...]:
        """Every combination; the last axis varies fastest."""
        settings = [
            tuple(zip(self.settings, values, strict=True))
            for values in itertools.product(*self.settings.values())
        ]
        axes: dict[str, Any] = {
            "dataset": self.dataset,
            "normal_class": self.normal_class or (None,),
            "anomalous_class": self.anomalous_class or (None,),
            "anomaly_ratio": self.anomaly_ratio,
            "pollution_ratio": self.pollution_ratio,
            "labelled_classes": self.labelled_classes,
            "settings": settings,
            "num_normals": self.num_normals,
            "labels": self.labels or (None,),
        }
        return tuple(
            Cell(**dict(zip(axes, values, strict=True)))
            for values in itertools.product(*axes.values())
        )

    def reduced(self) -> Grid:
        """Return all data sets, and the first value of the other axes.

        Of the ratios and of the label budgets, the lowest and the highest stay.
        """
        ratios: Any = self.anomaly_ratio
        budgets: Any = self.labels
        first: dict[str, Any] = {
            name: axis[:1]
            for name in (
                *("normal_class", "anomalous_class", "pollution_ratio", "labelled_classes"),
                "num_normals",
            )
            if (axis := getattr(self, name)) is not None
        }
        return replace(
            self,
            **first,
            anomaly_ratio=sorted({min(ratios), max(ratios)}),
            labels=sorted({min(budgets), max(budgets)}) if budgets else None,
            settings={name: values[:1] for name, values in self.settings.items()},
        )
