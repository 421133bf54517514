"""Parts of Vega-Lite charts that several figures share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agad.report.results import CellResult, RatioResult

Spec = dict[str, Any]
Datum = dict[str, Any]
"""A row of a chart's data: numbers, texts and None, by fixed names that no study gives."""

_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
_NUM_COLUMNS = 3
_NUM_TOLD = 12


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


def score_axis(field: str, title: str) -> Spec:
    """Return an axis of scores in [0, 1], as far as the data go."""
    return axis(
        field, title, scale={"zero": False, "nice": True, "padding": 6}, axis={"format": ".3~f"}
    )


def tip(field: str, title: str, kind: str = "nominal", digits: str = "") -> Spec:
    """Return a line of what the pointer shows."""
    shown = {"field": field, "type": kind, "title": title}
    return shown | ({"format": digits} if digits else {})


def series(one: CellResult | RatioResult) -> str:
    """Return the name of a line: who answers which question."""
    return f"{one.detector or 'no trial yet'} {one.variant}".strip()


def told(texts: Iterable[str]) -> str:
    """Return the first texts as a sentence, and how many more there are."""
    found = [*texts]
    more = f"; and {len(found) - _NUM_TOLD:,} more" if len(found) > _NUM_TOLD else ""
    return "; ".join(found[:_NUM_TOLD]) + more + "."
