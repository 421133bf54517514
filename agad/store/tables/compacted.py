"""Reading of compacted files: only the requested columns and row groups."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from agad.errors import AgadError, StoreError
from agad.objects import ObjectStore
from agad.store.tables.manifest import CompactFile
from agad.store.tables.params import is_param
from agad.store.tables.schema import ROW_TYPES, check_version, conformed, first_line


def read_compacted(
    objects: ObjectStore,
    file: CompactFile,
    *,
    columns: Sequence[str] | None = None,
    cells: Collection[str] | None = None,
) -> pa.Table:
    """Return a file's rows, conformed, reading no more of it than needed.

    Args:
        objects: Where the file is.
        file: As the manifest lists it.
        columns: Only these columns; a searched parameter that the file does not know is left out.
        cells: Only rows of these cells.

    Raises:
        MissingObjectError: A later compaction has removed the file.
        StoreError: The file is damaged, or of a newer version.
    """
    row_type = ROW_TYPES[file.table]
    source = f"{objects.uri}/{file.key}"
    wanted = None if columns is None else {*columns, *(["cell"] if cells is not None else [])}
    with objects.open(file.key) as stream:
        try:
            parquet = pq.ParquetFile(stream, pre_buffer=True, page_checksum_verification=True)
            check_version(parquet.schema_arrow, source)
            known = parquet.schema_arrow.names
            read = known if wanted is None else [name for name in known if name in wanted]
            groups = _groups(parquet.metadata, cells)
            table = parquet.read_row_groups(groups, columns=read)
        except AgadError:
            raise
        except (pa.ArrowException, OSError, ValueError) as error:
            raise StoreError(
                f"{source} cannot be read as a table of {row_type.__name__}: {first_line(error)}; "
                "restore it from a copy."
            ) from error
    fields = None if wanted is None else [name for name in wanted if not is_param(name)]
    table = conformed(table, row_type, source, fields)
    if cells is not None:
        table = table.filter(pc.is_in(table["cell"], pa.array(sorted(cells), pa.string())))
    return table


def _groups(metadata: pq.FileMetaData, cells: Collection[str] | None) -> list[int]:
    """Return the row groups that may hold rows of some cells."""
    groups = range(metadata.num_row_groups)
    if cells is None:
        return [*groups]
    leaves = [metadata.schema.column(leaf).path for leaf in range(metadata.num_columns)]
    place = leaves.index("cell")
    return [group for group in groups if _may_hold(metadata.row_group(group).column(place), cells)]


def _may_hold(chunk: pq.ColumnChunkMetaData, cells: Collection[str]) -> bool:
    statistics = chunk.statistics
    if statistics is None or not statistics.has_min_max:
        return True
    return any(statistics.min <= cell <= statistics.max for cell in cells)


def overlapping(files: Sequence[CompactFile], cells: Collection[str] | None) -> list[CompactFile]:
    """Return the files that may hold rows of some cells."""
    if cells is None:
        return [*files]
    return [file for file in files if any(file.min_cell <= one <= file.max_cell for one in cells)]
