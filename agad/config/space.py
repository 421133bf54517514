"""The values that a search draws: one class a distribution."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from agad.errors import ConfigError

Setting: TypeAlias = bool | int | float | str
"""A value that a detector's parameter can have."""


def _is_real(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_bounds(kind: str, low: float, high: float) -> None:
    if not (_is_real(low) and _is_real(high)):
        raise ConfigError(f"{kind}({low!r}, {high!r}) must have two numbers as its bounds.")
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ConfigError(
            f"{kind}({low}, {high}) is empty, but low must be below high and both finite; "
            "give the smaller bound first."
        )


def setting_values(name: str, values: object) -> tuple[Setting, ...]:
    """Return the values as a tuple, or refuse what is no sequence of settings."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ConfigError(f"{name} is given {values!r}, but must be given a list of values.")
    listed = tuple(values)
    for value in listed:
        if not isinstance(value, Setting):
            raise ConfigError(
                f"{name} holds {value!r}, but must hold numbers, texts, True or False."
            )
    return listed


@dataclass(frozen=True, slots=True)
class Uniform:
    """A real number, every value in [low, high] equally likely."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds("Uniform", self.low, self.high)

    @property
    def extremes(self) -> tuple[Setting, ...]:
        """The values that bound what can be drawn."""
        return (float(self.low), float(self.high))


@dataclass(frozen=True, slots=True)
class LogUniform:
    """A positive real number, its logarithm uniform in [log low, log high]."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds("LogUniform", self.low, self.high)
        if self.low <= 0:
            raise ConfigError(
                f"LogUniform({self.low}, {self.high}) has no logarithm at {self.low}, "
                "but low must be above 0; use Uniform for a range that holds 0."
            )

    @property
    def extremes(self) -> tuple[Setting, ...]:
        """The values that bound what can be drawn."""
        return (float(self.low), float(self.high))


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the given values, unordered."""

    values: Sequence[Setting]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", setting_values("Choice", self.values))
        if len(set(self.values)) < 2 or len(set(self.values)) < len(self.values):
            raise ConfigError(
                f"Choice({list(self.values)}) must hold at least two values, all different; "
                "set a single value on the detector instead."
            )

    @property
    def extremes(self) -> tuple[Setting, ...]:
        """All the values: none bounds the others."""
        return tuple(self.values)


Distribution: TypeAlias = Uniform | LogUniform | Choice
