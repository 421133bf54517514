"""The distributions that a search draws values from: a class for each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from agad.config.counts import MAX_INT64, check_count, is_count, is_finite_number, shown_number
from agad.errors import ConfigError

Setting: TypeAlias = bool | int | float | str
"""A value that a detector's parameter can have."""

_MAX_BOUND = 2**53
"""The largest bound of ``IntUniform``: a double holds every whole number up to it exactly."""


def is_same(one: object, other: object) -> bool:
    """Whether two settings are the same: 1 is the same as 1.0, but not the same as True."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _check_bounds(kind: str, low: float, high: float) -> None:
    name = f"{kind}({shown_number(low)}, {shown_number(high)})"
    if any(isinstance(one, bool) or not isinstance(one, int | float) for one in (low, high)):
        raise ConfigError(f"{name} must have two numbers as its bounds.")
    if not (is_finite_number(low) and is_finite_number(high) and low < high):
        raise ConfigError(
            f"{name} is empty, but low must be below high and both finite; "
            "give the smaller bound first."
        )


def _is_within(value: object, low: float, high: float) -> bool:
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and low <= value <= high  # type: ignore[operator]


def setting_values(name: str, values: object) -> tuple[Setting, ...]:
    """Return the values as a tuple; refuse a value that is no sequence of settings."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ConfigError(f"{name} is given {values!r}, but must be given a list of values.")
    listed = tuple(values)
    for value in listed:
        if not isinstance(value, Setting):
            raise ConfigError(
                f"{name} holds {value!r}, but must hold numbers, texts, True or False."
            )
        if isinstance(value, int) and abs(value) > MAX_INT64:
            raise ConfigError(
                f"{name} holds {shown_number(value)}, but a whole number must be from "
                f"{-MAX_INT64:,} to {MAX_INT64:,}; give a larger one as a real number, such as "
                "1e30."
            )
    return listed


@dataclass(frozen=True, slots=True)
class Uniform:
    """A real number; every value in [low, high] is equally likely."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds("Uniform", self.low, self.high)

    @property
    def extremes(self) -> tuple[Setting, ...]:
        """The values that bound what can be drawn."""
        return (float(self.low), float(self.high))

    @property
    def values(self) -> None:
        """None: too many to list."""
        return None

    def at(self, share: float) -> Setting:
        """Return the value below which a share in [0, 1] of the draws falls."""
        return min(self.low + share * (self.high - self.low), float(self.high))

    def share_of(self, value: float) -> float:
        """Return the share in [0, 1] of the draws that falls below a value."""
        return (value - self.low) / (self.high - self.low)

    def holds(self, value: object) -> bool:
        """Whether a value can be drawn."""
        return _is_within(value, self.low, self.high)


@dataclass(frozen=True, slots=True)
class LogUniform:
    """A positive real number; its logarithm is uniform in [log low, log high]."""

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

    @property
    def values(self) -> None:
        """None: too many to list."""
        return None

    def at(self, share: float) -> Setting:
        """Return the value below which a share in [0, 1] of the draws falls."""
        value = self.low * (self.high / self.low) ** share
        return float(min(max(value, self.low), self.high))

    def share_of(self, value: float) -> float:
        """Return the share in [0, 1] of the draws that falls below a value."""
        return math.log(value / self.low) / math.log(self.high / self.low)

    def holds(self, value: object) -> bool:
        """Whether a value can be drawn."""
        return _is_within(value, self.low, self.high)


@dataclass(frozen=True, slots=True)
class IntUniform:
    """A whole number in [low, high]: low, low + step, ..., high."""

    low: int
    high: int
    step: int = 1
    """Distance of two neighbours; 1 if ``log``."""

    log: bool = False
    """Whether the logarithm is uniform, as for a width or a batch size."""

    def __post_init__(self) -> None:
        name = f"IntUniform({shown_number(self.low)}, {shown_number(self.high)})"
        if not all(is_count(one, -_MAX_BOUND, _MAX_BOUND) for one in (self.low, self.high)):
            raise ConfigError(
                f"{name} must have two whole numbers as its bounds, from {-_MAX_BOUND:,} to "
                f"{_MAX_BOUND:,}."
            )
        _check_bounds("IntUniform", self.low, self.high)
        check_count(f"{name}.step", self.step, 1, _MAX_BOUND)
        if not isinstance(self.log, bool):
            raise ConfigError(f"{name}.log is {self.log!r}, but must be True or False.")
        if self.log and (self.low < 1 or self.step > 1):
            raise ConfigError(
                f"{name} is logarithmic with step {self.step}, but must then start at 1 or more "
                "and have step 1."
            )
        left_over = (self.high - self.low) % self.step
        if left_over:
            raise ConfigError(
                f"{name} does not end on a step of {self.step}; use high = {self.high - left_over}."
            )

    @property
    def extremes(self) -> tuple[Setting, ...]:
        """The values that bound what can be drawn."""
        return (self.low, self.high)

    @property
    def values(self) -> Sequence[Setting]:
        """Every value, ascending."""
        return range(self.low, self.high + 1, self.step)

    def at(self, share: float) -> Setting:
        """Return the value below which a share in [0, 1] of the draws falls."""
        if self.log:
            first, last = self.low - 0.5, self.high + 0.5
            value = round(first * float((last / first) ** share))
            return min(max(value, self.low), self.high)
        values = self.values
        return values[min(int(share * len(values)), len(values) - 1)]

    def share_of(self, value: float) -> float:
        """Return the share in [0, 1] of draws below a value, plus half of the value's own share."""
        if self.log:
            first, last = self.low - 0.5, self.high + 0.5
            return math.log(value / first) / math.log(last / first)
        return ((value - self.low) / self.step + 0.5) / len(self.values)

    def holds(self, value: object) -> bool:
        """Whether a value can be drawn."""
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        return is_whole and value in self.values


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice of one of the given values, which have no order."""

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
        """All the values, because values without an order have no bounds."""
        return tuple(self.values)

    def at(self, share: float) -> Setting:
        """Return the value at a share in [0, 1] of the list."""
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]

    def holds(self, value: object) -> bool:
        """Whether a value can be drawn."""
        return any(is_same(value, one) for one in self.values)


@dataclass(frozen=True, slots=True)
class Fixed:
    """A single value that every configuration has, such as on one branch of a ``When``."""

    value: Setting

    def __post_init__(self) -> None:
        setting_values("Fixed", [self.value])

    @property
    def extremes(self) -> tuple[Setting, ...]:
        """The value."""
        return (self.value,)

    @property
    def values(self) -> Sequence[Setting]:
        """The value."""
        return (self.value,)

    def at(self, share: float) -> Setting:  # noqa: ARG002  As every distribution has it.
        """Return the value, whatever the share."""
        return self.value

    def holds(self, value: object) -> bool:
        """Whether a value equals the fixed value."""
        return is_same(value, self.value)


@dataclass(frozen=True, slots=True)
class When:
    """A parameter that depends on another; each listed value of the other has a distribution.

    The parameter is absent if the other parameter is absent or has a value without a case. The
    detector then keeps its own value. A case can be a ``When`` again, on a third parameter.
    """

    parameter: str
    """The other parameter, of the same space: a Choice, a Fixed, or a When of these."""

    cases: Mapping[Setting, Distribution]
    """A distribution for each value of the other parameter that has a case."""

    def __post_init__(self) -> None:
        if not isinstance(self.parameter, str):
            raise ConfigError(f"When({self.parameter!r}, ...) must name a parameter of the space.")
        if not isinstance(self.cases, Mapping) or not self.cases:
            raise ConfigError(
                f"When({self.parameter!r}, {self.cases!r}) must have a dictionary of cases, such "
                'as {"naive": Choice([1, 2])}.'
            )
        setting_values(f"When({self.parameter!r})", self.cases)
        for value, case in self.cases.items():
            if not isinstance(case, Distribution):
                raise ConfigError(
                    f"When({self.parameter!r}) has {case!r} for {value!r}, but must have a "
                    f"{DISTRIBUTION_NAMES}."
                )
        object.__setattr__(self, "cases", dict(self.cases))


Draw: TypeAlias = Uniform | LogUniform | IntUniform | Choice | Fixed
"""A distribution that does not depend on another parameter."""

Distribution: TypeAlias = Draw | When

DISTRIBUTIONS = (Uniform, LogUniform, IntUniform, Choice, Fixed, When)
DISTRIBUTION_NAMES = "Uniform, LogUniform, IntUniform, Choice, Fixed or When"
