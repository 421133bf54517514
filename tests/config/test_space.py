"""Which distributions can be searched."""

from __future__ import annotations

import math
import re
from typing import Any, TypeAlias

import pytest

from agad.config import Choice, LogUniform, Uniform
from agad.errors import ConfigError

AnyValue: TypeAlias = Any
"""What a user may write where a value is asked for, of any type."""


@pytest.mark.parametrize("kind", [Uniform, LogUniform])
@pytest.mark.parametrize(
    ("low", "high"),
    [(2.0, 1.0), (1.0, 1.0), (1.0, math.inf), (-math.inf, 1.0), (math.nan, 1.0), (1.0, math.nan)],
)
def test_a_range_refuses_bounds_without_room_between_them(
    kind: type[Uniform | LogUniform], low: float, high: float
) -> None:
    message = f"{kind.__name__}({low}, {high}) is empty, but low must be below high and both finite"
    with pytest.raises(ConfigError, match=re.escape(message)):
        kind(low, high)


@pytest.mark.parametrize("kind", [Uniform, LogUniform])
@pytest.mark.parametrize("low", ["0.1", None], ids=repr)
def test_a_range_refuses_a_bound_that_is_no_number(
    kind: type[Uniform | LogUniform], low: AnyValue
) -> None:
    with pytest.raises(ConfigError, match=str(low)):
        kind(low, 1.0)


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_log_uniform_refuses_a_bound_without_a_logarithm(low: float) -> None:
    message = f"LogUniform({low}, 1.0) has no logarithm at {low}, but low must be above 0"
    with pytest.raises(ConfigError, match=re.escape(message)):
        LogUniform(low, 1.0)


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_uniform_allows_a_range_that_holds_0(low: float) -> None:
    assert Uniform(low, 1.0).extremes == (low, 1.0)


@pytest.mark.parametrize("values", [[], [1], [1, 1], [1, 2, 1], [1, 1.0], [1, True]], ids=repr)
def test_choice_refuses_fewer_than_two_values_or_equal_ones(values: list[Any]) -> None:
    message = f"Choice({values}) must hold at least two values, all different"
    with pytest.raises(ConfigError, match=re.escape(message)):
        Choice(values)


@pytest.mark.parametrize("values", [3, None, [[1], [2]]], ids=repr)
def test_choice_refuses_what_holds_no_settings(values: AnyValue) -> None:
    with pytest.raises(ConfigError, match="Choice"):
        Choice(values)


def test_choice_keeps_the_order_of_its_values() -> None:
    assert Choice(["unet++", "naive"]).values == ("unet++", "naive")


@pytest.mark.parametrize(
    ("distribution", "extremes"),
    [
        (Uniform(0.0, 2.0), (0.0, 2.0)),
        (LogUniform(1e-4, 1e-2), (1e-4, 1e-2)),
        (Choice([3, 1, 2]), (3, 1, 2)),
    ],
    ids=["uniform", "log-uniform", "choice"],
)
def test_extremes_bound_what_can_be_drawn(
    distribution: Uniform | LogUniform | Choice, extremes: tuple[float, ...]
) -> None:
    assert distribution.extremes == extremes
