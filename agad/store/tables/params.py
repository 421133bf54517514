"""The searched parameters as columns of their own, each with the type of its values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa  # type: ignore[import-untyped]

from agad.config import Choice, Draw, Fixed, IntUniform, stored_axes
from agad.errors import ConfigError

ParamTypes: TypeAlias = Mapping[str, pa.DataType]
"""The type of each searched parameter's column, by the column's name."""

PREFIX = "param_"
"""Prefix of a parameter's column: the column of the parameter ``lr`` is ``param_lr``."""

_INT64_LIMIT = 2**63


def is_param(column: str) -> bool:
    """Whether a column holds a searched parameter."""
    return column.startswith(PREFIX)


def param_field(name: str, data_type: pa.DataType) -> pa.Field:
    """Return the column of the parameter that the column's name says."""
    text = f"Searched parameter {name.removeprefix(PREFIX)}; None where it was not searched."
    return pa.field(name, data_type, metadata={b"description": text.encode()})


def param_types(config: Mapping[str, Any]) -> ParamTypes:
    """Return the columns of the parameters that a study searches.

    A column's type follows the parameter's axis, not the values that were drawn so far. Example:
    the column of ``Choice([10, 50.5])`` is ``double`` in every file.

    Args:
        config: The study's configuration. If a newer version wrote one of its distributions, no
            column is known in advance.
    """
    try:
        axes = stored_axes(config)
    except ConfigError:
        return {}
    kinds: dict[str, list[pa.DataType]] = {}
    for axis in axes:
        kinds.setdefault(PREFIX + axis.name, []).append(_type_of(axis.draw))
    return {name: widened(kinds[name]) for name in sorted(kinds)}


def _type_of(draw: Draw) -> pa.DataType:
    if isinstance(draw, Choice | Fixed):
        return widened(map(_type, draw.values))
    return pa.int64() if isinstance(draw, IntUniform) else pa.float64()


def param_columns(params: Sequence[str], known: ParamTypes | None = None) -> dict[str, pa.Array]:
    """Return the columns of the parameters of some trials, in order of the name.

    Args:
        params: The texts of ``TrialRow.params``. A text that is no JSON object gives no column.
        known: Columns that are there in any case, and their types. A value that does not fit into
            its column's type widens the column.
    """
    types = known or {}
    values = [_object(text) for text in params]
    names = sorted({PREFIX + name for one in values for name in one} | types.keys())
    return {
        name: _column([one.get(name.removeprefix(PREFIX)) for one in values], types.get(name))
        for name in names
    }


def widened(types: Iterable[pa.DataType]) -> pa.DataType:
    """Return the type that holds every value of a parameter's columns in several files.

    Whole and real numbers together give ``double``; every other mixture gives ``string``.
    """
    distinct = set(types) - {pa.null()}
    if len(distinct) == 1:
        return distinct.pop()
    if distinct and distinct <= {pa.int64(), pa.float64()}:
        return pa.float64()
    return pa.string() if distinct else pa.null()


def _object(text: str) -> Mapping[str, Any]:
    try:
        values = json.loads(text)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _column(values: list[Any], known: pa.DataType | None) -> pa.Array:
    given = [_type(value) for value in values if value is not None]
    data_type = widened(given if known is None else [known, *given])
    if pa.types.is_string(data_type):
        values = [None if value is None else _text(value) for value in values]
    if pa.types.is_floating(data_type):  # Arrow refuses a whole number that no double holds.
        values = [None if value is None else float(value) for value in values]
    return pa.array(values, data_type)


def _type(value: object) -> pa.DataType:
    if isinstance(value, bool):
        return pa.bool_()
    if isinstance(value, int) and -_INT64_LIMIT <= value < _INT64_LIMIT:
        return pa.int64()
    return pa.float64() if isinstance(value, float) else pa.string()


def _text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode(errors="backslashreplace").decode()
