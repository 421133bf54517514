"""Cells: the points on a study's axes, inside which alone AUROCs may be compared."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from agad.config.space import Setting, setting_values
from agad.errors import ConfigError

_T = TypeVar("_T", bound=Setting)


def _canonical(value: Setting) -> str:
    """Write equal numbers alike, and different ones differently."""
    if isinstance(value, bool | str):
        return str(value)
    return repr(float(value)).removesuffix(".0")


def settings_label(settings: Mapping[str, Setting]) -> str:
    """Return the detector's fixed parameters as a cell's label has them."""
    return " ".join(f"{name}={_canonical(settings[name])}" for name in sorted(settings))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One point on a study's axes, with its own sampler and its own ASHA ladder."""

    dataset: str
    normal_class: int
    anomaly_ratio: float
    """gamma, labelled anomalies / (normals + labelled anomalies) of the fit split, in [0, 1)."""

    settings: tuple[tuple[str, Setting], ...] = ()
    """The detector's parameters that the study's axes fix, by name, in order of the name."""

    @property
    def label(self) -> str:
        """The cell's name in every row, such as ``digits class=0 ratio=0.05``."""
        axes = [f"class={self.normal_class}", f"ratio={_canonical(self.anomaly_ratio)}"]
        return " ".join([self.dataset, *axes, settings_label(dict(self.settings))]).rstrip()


def _axis(name: str, value: object, kind: type[_T]) -> tuple[_T, ...]:
    is_one = isinstance(value, str | int | float)
    values = (value,) if is_one else setting_values(f"cells.{name}", value)
    for one in values:
        is_allowed = isinstance(one, (int, float) if kind is float else kind)
        if not is_allowed or (isinstance(one, bool) and kind is not bool):
            raise ConfigError(f"cells.{name} holds {one!r}, but must hold {kind.__name__} values.")
    _check_distinct(f"cells.{name}", values)
    return tuple(kind(one) for one in values)  # type: ignore[arg-type, call-overload]


def _check_distinct(name: str, values: Sequence[object]) -> None:
    if not values:
        raise ConfigError(f"{name} is empty, but must hold at least one value.")
    if len(set(values)) < len(values):
        raise ConfigError(f"{name} is {list(values)}, but must not name a value twice.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Every combination of its axes is one cell. An axis is one value or several."""

    dataset: str | Sequence[str]
    """Names of data sets (``agad.data``)."""

    normal_class: int | Sequence[int]
    """Classes that are normal in turn, by label."""

    anomaly_ratio: float | Sequence[float] = 0.0
    """gamma, labelled anomalies / (normals + labelled anomalies), each in [0, 1)."""

    settings: Mapping[str, Sequence[Setting]] = field(default_factory=dict)
    """Further axes: a parameter of the detector and the values it is fixed at in turn."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "dataset", _axis("dataset", self.dataset, str))
        object.__setattr__(self, "normal_class", _axis("normal_class", self.normal_class, int))
        object.__setattr__(self, "anomaly_ratio", _axis("anomaly_ratio", self.anomaly_ratio, float))
        for label in self.normal_classes:
            if label < 0:
                raise ConfigError(f"cells.normal_class holds {label}, but must be at least 0.")
        for ratio in self.anomaly_ratios:
            if not 0 <= ratio < 1:
                raise ConfigError(
                    f"cells.anomaly_ratio holds {ratio:g}, but must be in [0, 1): it is labelled "
                    "anomalies / (normals + labelled anomalies)."
                )
        if not isinstance(self.settings, Mapping):
            raise ConfigError(
                f"cells.settings is {self.settings!r}, but must name parameters of the detector, "
                'such as {"weight_adcon": [0, 15]}.'
            )
        settings = {}
        for name, values in sorted(self.settings.items()):
            settings[name] = setting_values(f"cells.settings[{name!r}]", values)
            _check_distinct(f"cells.settings[{name!r}]", settings[name])
        object.__setattr__(self, "settings", settings)

    @property
    def datasets(self) -> tuple[str, ...]:
        """The data sets, always as a tuple."""
        return tuple(self.dataset)

    @property
    def normal_classes(self) -> tuple[int, ...]:
        """The normal classes, always as a tuple."""
        return self.normal_class  # type: ignore[return-value]

    @property
    def anomaly_ratios(self) -> tuple[float, ...]:
        """The anomaly ratios, always as a tuple."""
        return self.anomaly_ratio  # type: ignore[return-value]

    @property
    def all_cells(self) -> tuple[Cell, ...]:
        """Every combination, the last axis varying fastest."""
        settings = [
            tuple(zip(self.settings, values, strict=True))
            for values in itertools.product(*self.settings.values())
        ]
        axes = itertools.product(self.datasets, self.normal_classes, self.anomaly_ratios, settings)
        return tuple(
            Cell(dataset=dataset, normal_class=label, anomaly_ratio=ratio, settings=fixed)
            for dataset, label, ratio, fixed in axes
        )

    def reduced(self) -> Grid:
        """Return the first class and setting of each data set at its lowest and highest ratio."""
        ends = sorted({min(self.anomaly_ratios), max(self.anomaly_ratios)})
        return Grid(
            dataset=self.datasets,
            normal_class=self.normal_classes[0],
            anomaly_ratio=ends,
            settings={name: values[:1] for name, values in self.settings.items()},
        )
