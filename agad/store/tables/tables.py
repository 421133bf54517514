"""Tables as Arrow, with the rows of compacted files and of single objects."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from agad.errors import ConfigError, StoreError
from agad.objects import ObjectStore
from agad.records import ALL_TABLES, AnyTable, Attempt, Table, attempt_key
from agad.store.tables.choose import CHOICE_COLUMNS, all_places, chosen_places, in_order
from agad.store.tables.compacted import overlapping, read_compacted
from agad.store.tables.parallel import in_parallel
from agad.store.tables.params import PREFIX, is_param
from agad.store.tables.rows import table_from_parquet
from agad.store.tables.schema import ROW_TYPES, arrow_schema, described, remedy, united
from agad.store.tables.snapshot import Snapshot, list_attempts, reading

WITHIN: dict[AnyTable, tuple[str, ...]] = {
    "trials": (),
    "epochs": ("epoch",),
    "scores": ("image",),
    "diagnostics": (),
}
"""Columns that order the rows of one attempt."""


def read_table(
    objects: ObjectStore,
    studies: Sequence[str],
    table: str,
    *,
    columns: Sequence[str] | None = None,
    cells: Collection[str] | None = None,
) -> pa.Table:
    """Return a table of some studies, one attempt a trial: the best state, then the lowest number.

    Rows are in order of study, cell, phase (search first) and number, then of epoch or image.

    Args:
        objects: The store.
        studies: Names of studies.
        table: Which table.
        columns: Only these columns, in this order. A searched parameter's column is ``param_`` and
            its name.
        cells: Only rows of the cells with these labels.

    Raises:
        ConfigError: The table has no such column.
        StoreError: An object is damaged, or of a newer version.
    """
    name = _checked(table, columns)
    row_type = ROW_TYPES[name]
    labels = None if cells is None else frozenset(cells)
    if name == "diagnostics":
        tables = [_diagnostics(objects, study, labels) for study in studies]
    else:
        tables = [
            reading(
                objects,
                study,
                lambda snapshot, study=study: _Reader(  # type: ignore[misc]
                    objects, study, snapshot, labels
                ).chosen(name, columns),
            )
            for study in studies
        ]
    found = united(tables, row_type)
    return described(found if columns is None else _selected(found, columns), row_type)


def _diagnostics(objects: ObjectStore, study: str, cells: frozenset[str] | None) -> pa.Table:
    """Return the diagnostics of each trial's lowest attempt, in order."""
    lowest: dict[str, int] = {}
    for trial_key, attempt in list_attempts(objects, study, "diagnostics"):
        lowest.setdefault(trial_key, attempt)
    rows = _of_cells(loose_table(objects, study, "diagnostics", [*lowest.items()]), cells)
    return in_order(rows, all_places(rows), WITHIN["diagnostics"])


def _of_cells(rows: pa.Table, cells: frozenset[str] | None) -> pa.Table:
    if cells is None:
        return rows
    return rows.filter(pc.is_in(rows["cell"], pa.array(sorted(cells), pa.string())))


def loose_table(
    objects: ObjectStore, study: str, table: AnyTable, attempts: Sequence[Attempt]
) -> pa.Table:
    """Return the rows of objects of their own, in no order.

    Raises:
        MissingObjectError: An object is not there.
        StoreError: An object is damaged, or holds other rows than its name says.
    """
    tables = in_parallel(lambda one: _loose(objects, study, table, one), attempts)
    return united(tables, ROW_TYPES[table])


def _loose(objects: ObjectStore, study: str, table: AnyTable, attempt: Attempt) -> pa.Table:
    key = attempt_key(study, table, *attempt)
    source = f"{objects.uri}/{key}"
    rows = table_from_parquet(objects.get(key), ROW_TYPES[table], source)
    if table in ("trials", "diagnostics") and rows.num_rows != 1:
        raise StoreError(
            f"{source} holds {rows.num_rows} rows, but must hold one; {remedy(ROW_TYPES[table])}."
        )
    named = zip(rows["trial_key"].to_pylist(), rows["attempt"].to_pylist(), strict=True)
    if set(named) - {attempt}:
        raise StoreError(
            f"{source} holds the rows of another trial, but must hold those that its name says; "
            f"{remedy(ROW_TYPES[table])}."
        )
    return rows


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one study as one snapshot has it."""

    objects: ObjectStore
    study: str
    snapshot: Snapshot
    cells: frozenset[str] | None

    def chosen(self, table: Table, columns: Sequence[str] | None) -> pa.Table:
        """Return a table's rows of the attempts that count, in order."""
        if table == "trials":
            trials = self._trials(_plus(columns, CHOICE_COLUMNS))
            return in_order(trials, chosen_places(trials), ())
        places = chosen_places(self._trials(CHOICE_COLUMNS))
        columns = _plus(columns, ("trial_key", "attempt", *WITHIN[table]))
        attempts = [
            one
            for one in self.snapshot.loose
            if one in places and (table != "scores" or one in self.snapshot.loose_scores)
        ]
        loose = loose_table(self.objects, self.study, table, attempts)
        rows = [*self._compacted(table, columns), _some(loose, columns)]
        return in_order(united(rows, ROW_TYPES[table]), places, WITHIN[table])

    def _trials(self, columns: Sequence[str] | None) -> pa.Table:
        loose = loose_table(self.objects, self.study, "trials", self.snapshot.loose)
        loose = _of_cells(loose, self.cells)
        rows = [*self._compacted("trials", columns), _some(loose, columns)]
        return united(rows, ROW_TYPES["trials"])

    def _compacted(self, table: Table, columns: Sequence[str] | None) -> list[pa.Table]:
        manifest = self.snapshot.manifest
        files = overlapping(manifest.of(table), self.cells) if manifest else []
        tables = in_parallel(
            lambda file: read_compacted(self.objects, file, columns=columns, cells=self.cells),
            files,
        )
        return [_some(one, columns) for one in tables]


def _plus(columns: Sequence[str] | None, more: Sequence[str]) -> tuple[str, ...] | None:
    return None if columns is None else tuple(dict.fromkeys([*columns, *more]))


def _some(table: pa.Table, columns: Sequence[str] | None) -> pa.Table:
    """Return the named columns that a table has, in the table's order."""
    if columns is None:
        return table
    return table.select([name for name in table.column_names if name in columns])


def _checked(table: str, columns: Sequence[str] | None) -> AnyTable:
    """Return the table of a name, and refuse columns that it cannot have."""
    name = next((one for one in ALL_TABLES if one == table), None)
    if name is None:
        raise ConfigError(f"table is {table!r}, but must be one of: {', '.join(ALL_TABLES)}.")
    if isinstance(columns, str):
        raise ConfigError(f"columns is {columns!r}, but must be a list of names.")
    known = arrow_schema(ROW_TYPES[name]).names
    has_params = name == "trials"
    for one in columns or ():
        if one not in known and not (has_params and is_param(one)):
            more = f", and {PREFIX}<name> of each searched parameter" if has_params else ""
            raise ConfigError(
                f"columns holds {one!r}, but the table of {name} has: {', '.join(known)}{more}."
            )
    return name


def _selected(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Return these columns in this order; a parameter that no trial searched is an error."""
    for name in columns:
        if name in table.column_names:
            continue
        if table.num_rows:
            raise ConfigError(
                f"columns holds {name!r}, but none of these trials searched a parameter "
                f"{name.removeprefix(PREFIX)!r}."
            )
        table = table.append_column(name, pa.nulls(0))
    return table.select([*columns])
