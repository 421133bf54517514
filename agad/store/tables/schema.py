"""The tables' schemas, derived from the fields of the rows, and files of other versions."""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias

import pyarrow as pa  # type: ignore[import-untyped]

from agad.errors import StoreError
from agad.records import AnyTable, DiagnosticRow, EpochRow, ScoreRow, TrialRow
from agad.store.tables.params import ParamTypes, is_param, param_columns, param_field, widened

RowType: TypeAlias = type[TrialRow] | type[EpochRow] | type[ScoreRow] | type[DiagnosticRow]

SCHEMA_VERSION = 1
"""Grows when a column changes its meaning; a new column alone does not need it."""

ROW_TYPES: dict[AnyTable, RowType] = {
    "trials": TrialRow,
    "epochs": EpochRow,
    "scores": ScoreRow,
    "diagnostics": DiagnosticRow,
}

HINTS: dict[Any, dict[str, Any]] = {
    row_type: typing.get_type_hints(row_type) for row_type in ROW_TYPES.values()
}
"""The type of each field, by the type of the row."""

ADDED: dict[Any, dict[str, Any]] = {
    TrialRow: {
        "protocol": "one-class",
        "anomalous_class": None,
        "pollution_ratio": 0.0,
        "labelled_classes": "all",
        "num_fit_hidden": 0,
        "num_val_hidden": 0,
        "precision": "float32",
        "peak_memory_bytes": None,
        "peak_gpu_memory_bytes": None,
        "gpu_memory_bytes": None,
        "work_flop": None,
        "objective": None,
        "pretrain_s": 0.0,
        "encode_s": 0.0,
        "development_classes": (),
        "num_normals": None,
        "label_budget": None,
        "num_labelled": None,
        "num_test_anomalies": None,
    },
    EpochRow: {"objective": None},
    ScoreRow: {},
    DiagnosticRow: {},
}
"""Columns that the first files did not have, and the values that their rows have instead."""

_VERSION_KEY = b"agad_schema_version"
_ARROW_TYPES: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    datetime: pa.timestamp("us", tz="UTC"),
    tuple[int, ...]: pa.list_(pa.field("item", pa.int64(), nullable=False)),
    tuple[float, ...]: pa.list_(pa.field("item", pa.float64(), nullable=False)),
    dict[str, float]: pa.map_(pa.string(), pa.float64()),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table, as ``agad store schema`` lists it."""

    table: str
    column: str
    type: str
    """Arrow's name of the type."""

    is_nullable: bool
    description: str
    is_added: bool
    """Whether files of earlier versions lack the column; ``default`` is then read in its place."""

    default: object = None


def columns_of_tables() -> list[Column]:
    """Return every column of every table, but for the searched parameters' own."""
    return [
        Column(
            table=table,
            column=field.name,
            type=str(field.type),
            is_nullable=field.nullable,
            description=_descriptions(row_type)[field.name],
            is_added=field.name in ADDED[row_type],
            default=ADDED[row_type].get(field.name),
        )
        for table, row_type in ROW_TYPES.items()
        for field in arrow_schema(row_type)
    ]


def arrow_schema(row_type: RowType) -> pa.Schema:
    """Return the schema of a table of these rows: one column a field, in the same order."""
    columns = [_column(name, hint) for name, hint in HINTS[row_type].items()]
    return pa.schema(columns, metadata={_VERSION_KEY: str(SCHEMA_VERSION)})


def _column(name: str, hint: Any) -> pa.Field:  # noqa: ANN401  A type hint has no type.
    is_optional = isinstance(hint, types.UnionType)
    value_types = [one for one in typing.get_args(hint) if one is not type(None)]
    return pa.field(name, _ARROW_TYPES[value_types[0] if is_optional else hint], is_optional)


def described(table: pa.Table, row_type: RowType) -> pa.Table:
    """Return a table whose fields carry their meaning, under ``description``."""
    texts = _descriptions(row_type)
    fields = [
        param_field(field.name, field.type)
        if is_param(field.name)
        else field.with_metadata({b"description": texts[field.name].encode()})
        for field in table.schema
    ]
    return table.cast(pa.schema(fields, metadata={_VERSION_KEY: str(SCHEMA_VERSION)}))


def _descriptions(row_type: type) -> dict[str, str]:
    """Return the string below each field, by the field's name, each on one line.

    A field without a string means what the trial's field of the same name means. The text is
    ``""`` if a trial has no such field.
    """
    trial = {} if row_type is TrialRow else _descriptions(TrialRow)
    own = _parsed(inspect.getsource(row_type))
    return {name: text or trial.get(name, "") for name, text in own.items()}


@cache
def _parsed(source: str) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(source)).body[0]
    assert isinstance(tree, ast.ClassDef)
    return {
        node.target.id: " ".join(_string(following).replace("``", "`").split())
        for node, following in zip(tree.body, [*tree.body[1:], None], strict=True)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def _string(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return str(node.value.value)
    return ""


def check_version(schema: pa.Schema, source: str) -> None:
    """Refuse a file whose columns may mean something else.

    Raises:
        StoreError: A newer version wrote the file, or the file names no version.
    """
    text = (schema.metadata or {}).get(_VERSION_KEY, b"1").decode(errors="replace")
    if not text.isdecimal():
        raise StoreError(
            f"{source} says that its schema version is {text!r}, but must say a number; restore it "
            "from a copy."
        )
    if int(text) > SCHEMA_VERSION:
        raise StoreError(
            f"{source} has schema version {text}, but this agad reads up to {SCHEMA_VERSION}; "
            "upgrade agad."
        )


def conformed(
    table: pa.Table, row_type: RowType, source: str, columns: Sequence[str] | None = None
) -> pa.Table:
    """Return a file's table with this version's columns, then the parameters' own.

    Args:
        table: What was read of the file.
        row_type: Type of the file's rows.
        source: Where the file is, for errors.
        columns: Only these of the row's fields, and the parameters' columns that were read.

    Raises:
        StoreError: A column that every version has is missing, or a column has another type.
    """
    schema = arrow_schema(row_type)
    fields = [field for field in schema if columns is None or field.name in columns]
    missing = {field.name for field in fields} - set(table.column_names)
    lost = [field.name for field in fields if field.name in missing - ADDED[row_type].keys()]
    if lost:
        raise StoreError(
            f"{source} has no column {', '.join(lost)}, but must be a table of "
            f"{row_type.__name__}; it was written by another version or is no file of agad's."
        )
    arrays = {
        field.name: _default(field, ADDED[row_type][field.name], table.num_rows)
        if field.name in missing
        else table[field.name]
        for field in fields
    }
    params = {name: table[name] for name in table.column_names if is_param(name)}
    if columns is None and row_type is TrialRow and not params:
        params = param_columns(table["params"].to_pylist())
    wanted = [*fields, *(pa.field(name, array.type) for name, array in params.items())]
    try:
        plain = pa.Table.from_arrays([*arrays.values(), *params.values()], [*arrays, *params])
        return plain.cast(pa.schema(wanted, metadata=schema.metadata))
    except (pa.ArrowException, ValueError) as error:
        raise StoreError(
            f"{source} cannot be read as a table of {row_type.__name__}: {first_line(error)}; "
            f"{remedy(row_type)}."
        ) from error


def united(
    tables: Sequence[pa.Table], row_type: RowType, params: ParamTypes | None = None
) -> pa.Table:
    """Return the rows of several conformed tables as one, the parameters' types widened.

    Without tables, the result is empty, with the columns of the row's fields.

    Args:
        tables: The tables.
        row_type: Type of their rows.
        params: Columns of parameters that are there in any case, and their types.
    """
    if not tables:
        return arrow_schema(row_type).empty_table()
    kinds: dict[str, list[pa.DataType]] = {name: [one] for name, one in (params or {}).items()}
    for one in tables:
        for field in one.schema:
            if is_param(field.name):
                kinds.setdefault(field.name, []).append(field.type)
    fields = [pa.field(name, widened(kinds[name])) for name in sorted(kinds)]
    return pa.concat_tables([_with_params(one, fields) for one in tables]).combine_chunks()


def _with_params(table: pa.Table, fields: Sequence[pa.Field]) -> pa.Table:
    """Return a table with exactly these columns of parameters, in this order.

    A whole number that no double holds is rounded; ``params`` keeps its digits.
    """
    rest = table.select([name for name in table.column_names if not is_param(name)])
    for field in fields:
        has_it = field.name in table.column_names
        array = table[field.name] if has_it else pa.nulls(table.num_rows, field.type)
        is_rounded = pa.types.is_floating(field.type)
        rest = rest.append_column(field, array.cast(field.type, safe=not is_rounded))
    return rest


def _default(field: pa.Field, value: object, num_rows: int) -> pa.Array:
    return pa.array([value] * num_rows, field.type)


def remedy(row_type: RowType) -> str:
    """Return what to do about an object that does not hold the rows that its name says."""
    verb = "diagnose" if row_type is DiagnosticRow else "run"
    return f"restore it from a copy, or remove it to {verb} the trial again"


def first_line(error: Exception) -> str:
    """Return an error's text without its further lines and its full stop."""
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
