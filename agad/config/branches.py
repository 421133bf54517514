"""A search space as a tree: which parameters apply, and every configuration in turn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from agad.config.space import (
    DISTRIBUTION_NAMES,
    DISTRIBUTIONS,
    Choice,
    Distribution,
    Draw,
    Fixed,
    IntUniform,
    LogUniform,
    Setting,
    When,
    is_same,
)
from agad.errors import ConfigError

Space: TypeAlias = Mapping[str, Distribution]


@dataclass(frozen=True, slots=True)
class Axis:
    """A parameter on one branch of the space."""

    name: str
    label: str
    """The name and the conditions, such as ``bottleneck_px where backbone='naive'``: unique."""

    draw: Draw


def all_axes(space: Space) -> tuple[Axis, ...]:
    """Return every parameter on every branch, in the order in which they are drawn."""
    return tuple(axis for name in ordered(space) for axis in _axes_of(name, name, space[name]))


def active_axis(name: str, space: Space, chosen: Mapping[str, Setting]) -> Axis | None:
    """Return the axis that a parameter is drawn from; None if the parameter does not apply.

    Args:
        name: The parameter.
        space: The space.
        chosen: The values of the parameters that come before this one in the space's order.
    """
    label, distribution = name, space[name]
    while isinstance(distribution, When):
        if distribution.parameter not in chosen:
            return None
        value = chosen[distribution.parameter]
        case = _case(distribution, value)
        if case is None:
            return None
        label, distribution = _narrowed(label, distribution.parameter, case[0]), case[1]
    return Axis(name, label, distribution)


def draw(space: Space, pick: Callable[[Axis], Setting]) -> dict[str, Setting]:
    """Return a configuration; ``pick`` chooses each parameter that applies, parents first."""
    chosen: dict[str, Setting] = {}
    for name in ordered(space):
        axis = active_axis(name, space, chosen)
        if axis is not None:
            chosen[name] = axis.draw.value if isinstance(axis.draw, Fixed) else pick(axis)
    return dict(sorted(chosen.items()))


def configurations(
    space: Space, values_of: Callable[[Axis], Sequence[Setting]]
) -> Iterator[dict[str, Setting]]:
    """Yield every configuration that takes each applying parameter from its ``values_of``."""
    names = ordered(space)

    def extend(chosen: dict[str, Setting], place: int) -> Iterator[dict[str, Setting]]:
        if place == len(names):
            yield dict(sorted(chosen.items()))
            return
        axis = active_axis(names[place], space, chosen)
        if axis is None:
            yield from extend(chosen, place + 1)
        else:
            for value in values_of(axis):
                yield from extend(chosen | {axis.name: value}, place + 1)

    return extend({}, 0)


def num_configurations(
    space: Space, values_of: Callable[[Axis], Sequence[Setting] | None]
) -> int | None:
    """Count the configurations without listing them; None if an axis cannot be listed."""
    if any(values_of(axis) is None for axis in all_axes(space)):
        return None
    parents = {parent for one in space.values() for parent in _parents(one)}

    def count(chosen: dict[str, Setting], names: Sequence[str]) -> int:
        if not names:
            return 1
        name, *others = names
        axis = active_axis(name, space, chosen)
        if axis is None:
            return count(chosen, others)
        values = values_of(axis) or ()
        if name in parents:
            return sum(count(chosen | {name: value}, others) for value in values)
        return len(values) * count(chosen, others)

    return count({}, ordered(space))


def ordered(space: Space) -> list[str]:
    """Return the parameters in order of their names, but each after the parameters it depends on.

    Raises:
        ConfigError: Parameters depend on each other in a circle.
    """
    names: list[str] = []
    waiting = sorted(space)
    while waiting:
        ready = [name for name in waiting if _parents(space[name]) <= {*names}]
        if not ready:
            raise ConfigError(
                f"search.space has {', '.join(waiting)} depend on each other in a circle; let one "
                "of them depend on none."
            )
        names += ready
        waiting = [name for name in waiting if name not in ready]
    return names


def check_branches(space: Space) -> None:
    """Refuse a condition on a parameter outside the space, or on a value that is never drawn."""
    for name, distribution in space.items():
        for condition in _conditions(distribution):
            parent = condition.parameter
            if parent not in space:
                raise ConfigError(
                    f"search.space[{name!r}] depends on {parent!r}, which must be in search.space "
                    f"too; set {name!r} on the detector where {parent!r} is not searched."
                )
            values = _listed_values(name, parent, space[parent])
            for value in condition.cases:
                if not any(is_same(value, one) for one in values):
                    raise ConfigError(
                        f"search.space[{name!r}] has a case for {parent} = {value!r}, but "
                        f"{parent!r} must be one of: {', '.join(map(repr, values))}."
                    )
    ordered(space)


def check_configuration(where: str, space: Space, params: Mapping[str, Setting]) -> None:
    """Refuse parameters that are no configuration of the space."""
    applying: list[str] = []
    for name in ordered(space):
        axis = active_axis(name, space, {one: params[one] for one in applying})
        if axis is None:
            continue
        if name not in params:
            raise ConfigError(f"{where} lacks {name!r}, but must set every parameter that applies.")
        if not axis.draw.holds(params[name]):
            raise ConfigError(
                f"{where} has {name} = {params[name]!r}, which is outside of {axis.draw}."
            )
        applying.append(name)
    left = sorted(params.keys() - {*applying})
    if left:
        raise ConfigError(
            f"{where} sets {', '.join(left)}, which the space does not draw there; take it out."
        )


def as_json(distribution: Distribution) -> dict[str, object]:
    """Return a distribution as plain JSON values."""
    kind: dict[str, object] = {"distribution": type(distribution).__name__}
    if isinstance(distribution, When):
        cases = [[value, as_json(case)] for value, case in distribution.cases.items()]
        return kind | {"parameter": distribution.parameter, "cases": cases}
    fields = type(distribution).__dataclass_fields__
    return kind | {name: getattr(distribution, name) for name in fields}


def from_json(values: Mapping[str, Any]) -> Distribution:
    """Return a distribution of a ``study.json``.

    Raises:
        ConfigError: The distribution is unknown to this version, or refuses a value.
        KeyError: A field is missing.
    """
    fields = dict(values)
    name = fields.pop("distribution")
    kinds = {kind.__name__: kind for kind in DISTRIBUTIONS}
    if name not in kinds:
        raise ConfigError(
            f"search.space has a {name!r}, but must hold a {DISTRIBUTION_NAMES}; upgrade agad."
        )
    if kinds[name] is When:
        cases = {value: from_json(case) for value, case in fields["cases"]}
        return When(fields["parameter"], cases)
    return kinds[name](**fields)


def _axes_of(name: str, label: str, distribution: Distribution) -> Iterator[Axis]:
    if not isinstance(distribution, When):
        yield Axis(name, label, distribution)
        return
    for value, case in distribution.cases.items():
        yield from _axes_of(name, _narrowed(label, distribution.parameter, value), case)


def _narrowed(label: str, parent: str, value: Setting) -> str:
    return f"{label}{' and' if ' where ' in label else ' where'} {parent}={value!r}"


def _case(condition: When, value: Setting) -> tuple[Setting, Distribution] | None:
    found = (pair for pair in condition.cases.items() if is_same(pair[0], value))
    return next(found, None)


def _conditions(distribution: Distribution) -> Iterator[When]:
    if isinstance(distribution, When):
        yield distribution
        for case in distribution.cases.values():
            yield from _conditions(case)


def _parents(distribution: Distribution) -> set[str]:
    return {condition.parameter for condition in _conditions(distribution)}


def _listed_values(name: str, parent: str, distribution: Distribution) -> list[Setting]:
    values: list[Setting] = []
    for axis in _axes_of(parent, parent, distribution):
        if not isinstance(axis.draw, Choice | Fixed):
            raise ConfigError(
                f"search.space[{name!r}] depends on {parent!r}, which is a "
                f"{type(axis.draw).__name__}, but must be a Choice or a Fixed."
            )
        values += axis.draw.values
    return values


def evenly(draw: Draw, num_points: int) -> list[Setting]:
    """Return distinct points over a whole range with both its ends, ascending.

    On a logarithmic range, the logarithms of the points are evenly spaced.
    """
    if isinstance(draw, Choice | Fixed):
        return list(draw.values)
    low, high = float(draw.extremes[0]), float(draw.extremes[1])
    is_log = isinstance(draw, LogUniform) or (isinstance(draw, IntUniform) and draw.log)
    shares = [place / (num_points - 1) for place in range(num_points)]
    if is_log:
        points = [low * math.exp(share * math.log(high / low)) for share in shares]
    else:
        points = [low + share * (high - low) for share in shares]
    points[-1] = high
    if not isinstance(draw, IntUniform):
        return [*points]
    return sorted({draw.low + draw.step * round((one - low) / draw.step) for one in points})
