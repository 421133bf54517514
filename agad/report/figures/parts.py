"""Parts of Vega-Lite charts that several figures share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from agad.config import Labelled
from agad.records import STATES, TrialRow
from agad.report.numbers.results import CellResult, RatioResult
from agad.report.pages.rounding import objective_text, score_text

_One = TypeVar("_One")

Spec = dict[str, Any]
Datum = dict[str, Any]
"""A row of a chart's data: numbers, texts and None, by fixed names that no study gives."""

_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
_NUM_COLUMNS = 3
_NUM_TOLD = 12
_NUM_PANELS = 12
"""Cells in one figure: what still fits a page."""

PANEL_PX = (230, 150)
"""Width and height of one cell's panel."""

_STATE_COLOURS = ("#3a8fd0", "#8a8a8a", "#D55E00", "#CC79A7")
"""In order of ``STATES``; stopped trials are many, so they are grey."""

_STATE_SHAPES = ("circle", "triangle-down", "cross", "square")

CONFIRMED_COLOUR = "#009E73"
"""Of the configuration that was confirmed."""

STATE_COLOUR: Spec = {
    "field": "state",
    "type": "nominal",
    "title": "trial",
    "scale": {"domain": [*STATES], "range": [*_STATE_COLOURS]},
}
STATE_SHAPE: Spec = STATE_COLOUR | {
    "scale": {"domain": [*STATES], "range": [*_STATE_SHAPES]},
}


def chart(values: Sequence[Mapping[str, Any]], spec: Spec) -> Spec:
    """Return a whole chart of some data."""
    return {"$schema": _SCHEMA, "data": {"values": [*values]}, **spec}


def panels(field: str, names: Sequence[str], spec: Spec, **more: Any) -> Spec:  # noqa: ANN401
    """Return one panel a name, in their order, three in a row.

    Args:
        field: Of the data, whose value says in which panel a datum stands.
        names: Its values.
        spec: The panel.
        more: What stands beside ``facet``, such as ``resolve``.
    """
    return {
        "facet": {"field": field, "type": "nominal", "title": None, "sort": [*names]},
        "columns": min(_NUM_COLUMNS, len(names)),
        "spec": spec,
        **more,
    }


def axis(field: str, title: str, kind: str = "quantitative", **more: Any) -> Spec:  # noqa: ANN401
    """Return how a field is drawn, under a title."""
    return {"field": field, "type": kind, "title": title, **more}


def score_axis(field: str, title: str, **more: Any) -> Spec:  # noqa: ANN401
    """Return an axis of scores in [0, 1], as far as the data go, and more of its looks."""
    scale = {"zero": False, "nice": True, "padding": 6}
    return axis(field, title, scale=scale, axis={"format": ".3~f", **more})


def objective_axis(field: str, objective: str, **more: Any) -> Spec:  # noqa: ANN401
    """Return an axis of what a study maximises, as ``score_axis`` where that is an AUROC."""
    if objective == Labelled.objective:
        return score_axis(field, objective, **more)
    scale = {"zero": False, "nice": True, "padding": 6}
    return axis(field, objective, scale=scale, axis={"format": ".3~g", **more})


def objective_tip(field: str, objective: str) -> Spec:
    """Return a line of what the pointer shows of what a study maximises."""
    digits = ".3f" if objective == Labelled.objective else ".4~g"
    return tip(field, objective, "quantitative", digits)


def objective_shown(value: float | None, objective: str) -> str:
    """Return what a study maximises as text."""
    return score_text(value) if objective == Labelled.objective else objective_text(value)


def tip(field: str, title: str, kind: str = "nominal", digits: str = "") -> Spec:
    """Return a line of what the pointer shows."""
    shown = {"field": field, "type": kind, "title": title}
    return shown | ({"format": digits} if digits else {})


def cell_groups(of_cells: Sequence[_One], num: int = _NUM_PANELS) -> list[Sequence[_One]]:
    """Return what belongs to cells, so many in a group as one figure shows."""
    return [of_cells[start : start + num] for start in range(0, len(of_cells), num)]


def part_name(name: str, place: int, parts: Sequence[object]) -> str:
    """Return the name of one of several figures of a kind; of a single one as it is."""
    return name if len(parts) == 1 else f"{name}-{place + 1}"


def part_title(title: str, place: int, parts: Sequence[object]) -> str:
    """Return the title of one of several figures of a kind; of a single one as it is."""
    return title if len(parts) == 1 else f"{title}, part {place + 1} of {len(parts)}"


def is_confirmed(row: TrialRow, cell: CellResult) -> bool:
    """Whether a trial has the configuration that its cell confirmed."""
    return cell.best_params is not None and json.loads(row.params) == cell.best_params


def spread(all_of_them: Sequence[_One], num: int) -> list[_One]:
    """Return so many, evenly from the first to the last, or all where they are no more."""
    if num >= len(all_of_them):
        return [*all_of_them]
    step = (len(all_of_them) - 1) / max(num - 1, 1)
    return [all_of_them[round(place * step)] for place in range(num)]


def series(one: CellResult | RatioResult) -> str:
    """Return the name of a line: who answers which question."""
    return f"{one.detector or 'no trial yet'} {one.variant}".strip()


def first_upper(text: str) -> str:
    """Return a text as the beginning of a sentence."""
    return text[:1].upper() + text[1:]


def told(texts: Iterable[str]) -> str:
    """Return the first texts as a sentence, and how many more there are."""
    found = [*texts]
    more = f"; and {len(found) - _NUM_TOLD:,} more" if len(found) > _NUM_TOLD else ""
    return "; ".join(found[:_NUM_TOLD]) + more + "."
