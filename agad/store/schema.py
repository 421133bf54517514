"""The tables' schemas, derived from the fields of the rows, and rows to Parquet and back."""

from __future__ import annotations

import dataclasses
import io
import types
import typing
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from agad.errors import StoreError
from agad.records import EpochRow, ScoreRow, TrialRow

_Row = TypeVar("_Row", TrialRow, EpochRow, ScoreRow)

SCHEMA_VERSION = 1
"""Grows when a column changes its meaning; a new column alone does not need it."""

_HINTS: dict[Any, dict[str, Any]] = {
    row_type: typing.get_type_hints(row_type) for row_type in (TrialRow, EpochRow, ScoreRow)
}
_VERSION_KEY = b"agad_schema_version"
_ARROW_TYPES: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    datetime: pa.timestamp("us", tz="UTC"),
    tuple[int, ...]: pa.list_(pa.field("item", pa.int64(), nullable=False)),
    dict[str, float]: pa.map_(pa.string(), pa.float64()),
}


def arrow_schema(row_type: type[TrialRow] | type[EpochRow] | type[ScoreRow]) -> pa.Schema:
    """Return the schema of a table of these rows: one column a field, in the same order."""
    columns = [_column(name, hint) for name, hint in _HINTS[row_type].items()]
    return pa.schema(columns, metadata={_VERSION_KEY: str(SCHEMA_VERSION)})


def _column(name: str, hint: Any) -> pa.Field:  # noqa: ANN401  A type hint has no type.
    is_optional = isinstance(hint, types.UnionType)
    value_types = [one for one in typing.get_args(hint) if one is not type(None)]
    return pa.field(name, _ARROW_TYPES[value_types[0] if is_optional else hint], is_optional)


def rows_to_parquet(rows: Sequence[_Row], row_type: type[_Row]) -> bytes:
    """Return a whole Parquet file.

    It is made in memory: a writer on a stream would publish half a file when it fails.
    """
    values = [_storable(dataclasses.asdict(row)) for row in rows]
    buffer = io.BytesIO()
    # Dictionaries and statistics double the size of files of a few rows.
    pq.write_table(
        pa.Table.from_pylist(values, schema=arrow_schema(row_type)),
        buffer,
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
    )
    return buffer.getvalue()


def _storable(values: dict[str, Any]) -> dict[str, Any]:
    # A traceback can name a file whose name is not UTF-8; such a row must be kept all the same.
    return {
        name: value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
        for name, value in values.items()
    }


def rows_from_parquet(data: bytes, row_type: type[_Row], source: str) -> list[_Row]:
    """Return the rows of a Parquet file; columns that are no field are ignored.

    Args:
        data: The whole file.
        row_type: What its rows are.
        source: Where the file is, for errors.

    Raises:
        StoreError: It is no Parquet file, or a column is missing or has another type.
    """
    schema = arrow_schema(row_type)
    try:
        file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        table = file.read(use_threads=False)
        missing = [name for name in schema.names if name not in table.column_names]
        if missing:
            raise StoreError(
                f"{source} has no column {', '.join(missing)}, but must be a table of "
                f"{row_type.__name__}; it was written by another version or is no file of agad's."
            )
        values = table.select(schema.names).cast(schema).to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"{source} cannot be read as a table of {row_type.__name__}: "
            f"{_first_line(error)}; restore it from a copy, or remove it to run the trial again."
        ) from error
    restore = _restorers(row_type)
    return [
        row_type(**{name: restore[name](value) for name, value in row.items()}) for row in values
    ]


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")


def _unchanged(value: Any) -> Any:  # noqa: ANN401
    return value


def _in_utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


def _restorers(
    row_type: type[TrialRow] | type[EpochRow] | type[ScoreRow],
) -> dict[str, Callable[[Any], Any]]:
    """Return, by column, what turns Arrow's Python value into the field's own type."""
    by_type: dict[Any, Callable[[Any], Any]] = {
        datetime: _in_utc,
        tuple[int, ...]: tuple,
        dict[str, float]: dict,
    }
    return {name: by_type.get(hint, _unchanged) for name, hint in _HINTS[row_type].items()}
