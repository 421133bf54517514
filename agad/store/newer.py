"""Refusing to merge files that hold more than this version would keep of them."""

from __future__ import annotations

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from agad.errors import AgadError, StoreError
from agad.objects import ObjectStore
from agad.records import TABLES, Table
from agad.store.parallel import in_parallel
from agad.store.tables.params import is_param
from agad.store.tables.schema import ROW_TYPES, arrow_schema, check_version, first_line
from agad.store.tables.snapshot import Snapshot


def check_columns(objects: ObjectStore, study: str, snapshot: Snapshot) -> None:
    """Refuse a snapshot with columns that reading would leave out, and merging so would lose.

    Raises:
        MissingObjectError: A compaction has removed a file meanwhile.
        StoreError: A newer version wrote a file, or it is no table.
    """
    for table in TABLES:
        compacted = snapshot.manifest.of(table) if snapshot.manifest else []
        keys = [*(file.key for file in compacted), *snapshot.loose_keys(study, table)]
        in_parallel(lambda key, table=table: _check(objects, table, key), keys)  # type: ignore[misc]


def _check(objects: ObjectStore, table: Table, key: str) -> None:
    source = f"{objects.uri}/{key}"
    with objects.open(key) as stream:
        try:
            schema = pq.read_schema(stream)
        except AgadError:
            raise
        except (pa.ArrowException, OSError, ValueError) as error:
            raise StoreError(
                f"{source} cannot be read as a table of {ROW_TYPES[table].__name__}: "
                f"{first_line(error)}; restore it from a copy."
            ) from error
    check_version(schema, source)
    known = {*arrow_schema(ROW_TYPES[table]).names}
    newer = [name for name in schema.names if name not in known and not is_param(name)]
    if newer:
        raise StoreError(
            f"{source} has columns {', '.join(newer)} of a newer agad; compact with that version."
        )
