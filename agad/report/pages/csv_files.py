"""Cells and means as CSV, or as rows for a data frame, at full precision."""

from __future__ import annotations

import csv as csv_format
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from agad.report.numbers.leaderboard import Leaderboard
from agad.report.numbers.results import CellResult, RatioResult, Summary
from agad.report.numbers.statistics import Interval


def csv(*boards: Leaderboard) -> str:
    """Return CSV with a line for each cell of every study, at full precision.

    Tuples and parameters are JSON. A search on development classes has a line too, with
    ``is_search`` and no test AUROC.
    """
    return csv_table(cell_rows(*boards), _header(_cell_names(boards)))


def cell_rows(*boards: Leaderboard) -> list[dict[str, Any]]:
    """Return the fields of every study's cells by name, at full precision, in leaderboard order.

    The ends of an interval ``x_interval`` are named ``x_low`` and ``x_high``.
    """
    names = _cell_names(boards)
    return [
        _flat({name: getattr(cell, name) for name in names})
        for board in boards
        for cell in (*board.cells, *board.searches)
    ]


_EMPTY = {
    **dict.fromkeys(("stands_for", "given"), ""),
    **dict.fromkeys(("label_budget", "num_normals", "num_labelled", "num_test_anomalies")),
    "encode_s": 0.0,
}
"""Fields of ``CellResult`` that have no column if every cell has this value."""


def _cell_names(boards: Sequence[Leaderboard]) -> list[str]:
    """Return the names of the fields that are shown of a cell."""
    cells = [cell for board in boards for cell in board.cells]
    return [
        field.name
        for field in fields(CellResult)
        if field.name not in _EMPTY
        or any(getattr(cell, field.name) != _EMPTY[field.name] for cell in cells)
    ]


_MEAN_NAMES = (
    *("study", "dataset", "detector", "variant", "anomaly_ratio", "label_budget", "test_auroc"),
    *("test_auroc_interval", "interval_by", "sd_over_classes", "sd_over_datasets"),
    *("sd_over_seeds", "iqm", "iqm_interval", "num_cells", "num_missing", "num_confirmed"),
    *("left_out", "given", "is_highest"),
)


def means_csv(*boards: Leaderboard) -> str:
    """Return CSV with a line for each mean over cells: the ratios, then the summaries.

    The data set or the ratio is empty if a mean is over several, and the label budget if the ratio
    says how many are labelled. ``left_out`` is JSON. ``given`` and ``is_highest`` are empty unless
    the study compares detectors or has external data.
    """
    return csv_table(mean_rows(*boards), _header(_MEAN_NAMES))


def mean_rows(*boards: Leaderboard) -> list[dict[str, Any]]:
    """Return the fields of each mean over cells by name, as ``cell_rows`` does for cells."""
    return [
        *(_flat(_mean_row(board.study, one)) for board in boards for one in board.ratios),
        *(_flat(_mean_row(board.study, one)) for board in boards for one in board.summaries),
    ]


def _mean_row(study: str, one: RatioResult | Summary) -> dict[str, object]:
    return {
        "study": study,
        "dataset": one.dataset,
        "detector": one.detector,
        "variant": one.variant,
        "anomaly_ratio": one.anomaly_ratio,
        "test_auroc": one.test_auroc,
        "test_auroc_interval": one.interval,
        "interval_by": one.interval.method if one.interval else None,
        "sd_over_classes": one.sd_over_classes if isinstance(one, RatioResult) else None,
        "sd_over_datasets": one.sd_over_datasets if isinstance(one, Summary) else None,
        "sd_over_seeds": one.sd_over_seeds,
        "iqm": one.iqm,
        "iqm_interval": one.iqm_interval,
        "num_cells": one.num_classes if isinstance(one, RatioResult) else one.num_cells,
        "num_missing": one.num_missing,
        "num_confirmed": one.num_confirmed,
        "left_out": one.left_out,
        "label_budget": one.label_budget,
        "given": one.given if isinstance(one, RatioResult) else "",
        "is_highest": one.is_highest if isinstance(one, RatioResult) and one.given else None,
    }


def _header(names: Iterable[str]) -> list[str]:
    return [
        column
        for name in names
        for column in (_ends(name) if name.endswith("_interval") else [name])
    ]


def csv_table(rows: Iterable[Mapping[str, object]], header: Sequence[str]) -> str:
    """Return rows as CSV; an interval ``x_interval`` fills the columns ``x_low`` and ``x_high``."""
    out = io.StringIO()
    writer = csv_format.DictWriter(out, header, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: csv_value(value) for name, value in _flat(row).items()})
    return out.getvalue()


def _flat(row: Mapping[str, object]) -> dict[str, Any]:
    return {name: value for given, one in row.items() for name, value in _columns(given, one)}


def _columns(name: str, value: object) -> Iterable[tuple[str, object]]:
    if not name.endswith("_interval"):
        return [(name, value)]
    ends = (value.low, value.high) if isinstance(value, Interval) else (None, None)
    return zip(_ends(name), ends, strict=True)


def _ends(name: str) -> list[str]:
    start = name.removesuffix("_interval")
    return [f"{start}_low", f"{start}_high"]


def csv_value(value: object) -> object:
    """Return a value as a CSV file has it: tuples and dictionaries as JSON, no formula."""
    if isinstance(value, tuple | dict):
        value = json.dumps(value, sort_keys=True)
    if isinstance(value, str) and value.lstrip()[:1] in ("=", "+", "-", "@"):
        # A spreadsheet would run it as a formula.
        return f"'{value}"
    return value


def text_of_csv(value: str) -> str:
    """Return a text as it was before ``csv_value`` kept a spreadsheet from running it."""
    return value[1:] if value[:1] == "'" and value[1:].lstrip()[:1] in tuple("=+-@") else value
