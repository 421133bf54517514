"""Sorted Parquet files of a bounded size, and their entries in a manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from agad.errors import StoreError
from agad.objects import ObjectStore
from agad.records import Table
from agad.store.tables.manifest import CompactFile

_GROUP_ROWS = 100_000
"""Rows of a row group; a reader of one cell of a large table reads at least one row group."""

_MAX_FILE_BYTES = 128 * 2**20
"""A file ends with the first row group that reaches this size."""


def put_sorted(
    objects: ObjectStore,
    table: Table,
    parts: Iterable[pa.Table],
    folder: Path,
    new_key: Callable[[], str],
) -> Iterator[CompactFile]:
    """Put a table's rows as files, yielding each file that has been put.

    Args:
        objects: The store.
        table: Which table.
        parts: The rows in order, all parts with the same columns.
        folder: A local folder for one file at a time.
        new_key: Returns the key of the next file.
    """
    writer: _FileWriter | None = None
    for group in _groups(parts):
        if writer is None:
            writer = _FileWriter(folder / "part.parquet", group.schema)
        writer.write(group)
        if writer.num_bytes >= _MAX_FILE_BYTES:
            yield writer.put(objects, table, new_key())
            writer = None
    if writer is not None:
        yield writer.put(objects, table, new_key())


class _FileWriter:
    """A file, written to a local path before it is put."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._sink = path.open("wb")
        self._parquet = pq.ParquetWriter(
            self._sink,
            schema,
            compression="zstd",
            use_dictionary=True,
            write_statistics=True,
            write_page_checksum=True,
        )
        self._rows = 0
        self._cells: set[str] = set()

    @property
    def num_bytes(self) -> int:
        return self._sink.tell()

    def write(self, group: pa.Table) -> None:
        """Add a row group."""
        self._parquet.write_table(group, row_group_size=group.num_rows)
        self._rows += group.num_rows
        self._cells |= set(group["cell"].unique().to_pylist())

    def put(self, objects: ObjectStore, table: Table, key: str) -> CompactFile:
        """End the file, put it and remove the local one."""
        self._parquet.close()
        self._sink.close()
        file = CompactFile(
            table=table,
            key=key,
            bytes=self._path.stat().st_size,
            sha256=file_sha256(self._path),
            rows=self._rows,
            min_cell=min(self._cells),
            max_cell=max(self._cells),
        )
        if not objects.put_file_if_absent(file.key, self._path):
            raise StoreError(f"{objects.uri}/{file.key} was there before its name was drawn.")
        self._path.unlink()
        return file


def file_sha256(path: Path) -> str:
    """Return a local file's SHA-256 in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _groups(parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Cut rows into row groups of one size, the last smaller."""
    rest: pa.Table | None = None
    for part in parts:
        rest = part if rest is None else pa.concat_tables([rest, part])
        while rest.num_rows >= _GROUP_ROWS:
            yield rest.slice(0, _GROUP_ROWS)
            rest = rest.slice(_GROUP_ROWS)
    if rest is not None and rest.num_rows:
        yield rest
