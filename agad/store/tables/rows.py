"""Rows to Parquet files, and tables back to rows."""

from __future__ import annotations

import dataclasses
import io
import itertools
import typing
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from agad.errors import StoreError
from agad.records import DiagnosticRow, EpochRow, ScoreRow, TrialRow
from agad.store.tables.params import ParamTypes, param_columns
from agad.store.tables.schema import (
    HINTS,
    RowType,
    arrow_schema,
    check_version,
    conformed,
    first_line,
    remedy,
)

_Row = TypeVar("_Row", TrialRow, EpochRow, ScoreRow, DiagnosticRow)


def rows_to_parquet(
    rows: Sequence[_Row], row_type: type[_Row], params: ParamTypes | None = None
) -> bytes:
    """Return a whole Parquet file; each searched parameter of trials gets a column too.

    The file is made in memory: a writer that fails on a stream would publish half a file.

    Args:
        rows: The rows.
        row_type: Their type.
        params: The columns of the parameters that the study searches, as ``param_types`` has them.
    """
    buffer = io.BytesIO()
    # Dictionaries and statistics double the size of files of a few rows.
    pq.write_table(
        rows_to_table(rows, row_type, params),
        buffer,
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
    )
    return buffer.getvalue()


def rows_to_table(
    rows: Sequence[_Row], row_type: type[_Row], params: ParamTypes | None = None
) -> pa.Table:
    """Return rows as an Arrow table, with the trials' searched parameters."""
    values = [_storable(dataclasses.asdict(row)) for row in rows]
    table = pa.Table.from_pylist(values, schema=arrow_schema(row_type))
    if row_type is TrialRow:
        for name, array in param_columns([row["params"] for row in values], params).items():
            table = table.append_column(pa.field(name, array.type), array)
    return table


def _storable(values: dict[str, Any]) -> dict[str, Any]:
    # A traceback can name a file whose name is not UTF-8; such a row must be kept all the same.
    return {
        name: value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
        for name, value in values.items()
    }


def table_from_parquet(data: bytes, row_type: RowType, source: str) -> pa.Table:
    """Return the conformed table of a Parquet file, its pages checked.

    Args:
        data: The whole file.
        row_type: Type of the file's rows.
        source: Where the file is, for errors.

    Raises:
        StoreError: The data are no Parquet file, of a newer version, or no table of these rows.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        check_version(file.schema_arrow, source)
        table = file.read(use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"{source} cannot be read as a table of {row_type.__name__}: "
            f"{first_line(error)}; {remedy(row_type)}."
        ) from error
    return conformed(table, row_type, source)


def rows_from_parquet(data: bytes, row_type: type[_Row], source: str) -> list[_Row]:
    """Return the rows of a Parquet file; columns that are no field are ignored.

    Raises:
        StoreError: As ``table_from_parquet`` has it.
    """
    return rows_from_table(table_from_parquet(data, row_type, source), row_type)


def rows_from_table(table: pa.Table, row_type: type[_Row]) -> list[_Row]:
    """Return the rows of a conformed table, in its order."""
    hints: dict[str, Any] = HINTS[row_type]
    columns = [_values(table[name], hint) for name, hint in hints.items()]
    names = [*hints]
    return [
        row_type(**dict(zip(names, values, strict=True))) for values in zip(*columns, strict=True)
    ]


def _values(column: pa.ChunkedArray, hint: Any) -> list[Any]:  # noqa: ANN401  A type hint.
    """Return a column's values as the rows' fields have them.

    Arrow makes the Python values of texts and maps one by one, which takes seconds for a million.
    Here equal texts are made once, and maps are made from their flat keys and items.
    """
    values: list[Any]
    if hint is str:
        encoded = column.combine_chunks().dictionary_encode()
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.unify_dictionaries().chunk(0)
        texts = encoded.dictionary.to_pylist()
        return [texts[place] for place in encoded.indices.to_numpy().tolist()]
    if typing.get_origin(hint) is dict:
        return [one for chunk in column.chunks for one in _maps(chunk)]
    if typing.get_origin(hint) is tuple:
        return [tuple(one) for one in column.to_pylist()]
    values = column.to_pylist()
    return [value.astimezone(UTC) for value in values] if hint is datetime else values


def _maps(chunk: pa.MapArray) -> list[dict[str, float]]:
    offsets = chunk.offsets.to_pylist()
    first = offsets[0] if offsets else 0
    length = offsets[-1] - first if offsets else 0
    keys = _values(pa.chunked_array([chunk.keys.slice(first, length)]), str) if length else []
    items = chunk.items.slice(first, length).to_pylist()
    return [
        dict(
            zip(keys[start - first : end - first], items[start - first : end - first], strict=True)
        )
        for start, end in itertools.pairwise(offsets)
    ]
