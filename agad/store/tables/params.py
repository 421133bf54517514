"""The searched parameters as columns of their own, each with the type of its values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]

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


def param_columns(params: Sequence[str]) -> dict[str, pa.Array]:
    """Return the columns of the parameters of some trials, in order of the name.

    Args:
        params: The texts of ``TrialRow.params``. A text that is no JSON object gives no column.
    """
    values = [_object(text) for text in params]
    names = sorted({name for one in values for name in one})
    return {PREFIX + name: _column([one.get(name) for one in values]) for name in names}


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


def _column(values: list[Any]) -> pa.Array:
    data_type = widened(_type(value) for value in values if value is not None)
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
