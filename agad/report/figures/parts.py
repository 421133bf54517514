"""What several figures share: axes, layers and panels of Vega-Lite, groups of cells, words."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from agad.config import Labelled
from agad.records import STATES, TrialRow, objective_of
from agad.report.figures.render import Figure, Spec
from agad.report.numbers.results import CellResult, RatioResult, without_words
from agad.report.pages.rounding import objective_text, score_text

_One = TypeVar("_One")

Datum = dict[str, Any]
"""A row of a chart's data: numbers, texts and None, by fixed names that no study gives."""

_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
_NUM_COLUMNS = 3
_NUM_TOLD = 12
_NUM_PANELS = 12
"""Cells in one figure: what still fits a page."""

PANEL_PX = (230, 150)
"""Width and height of one cell's panel."""

CONFIRMED_COLOUR = "#009E73"
"""The colour of the confirmed configuration."""

_STATE_COLOURS = ("#3a8fd0", "#8a8a8a", "#D55E00", "#CC79A7")
"""In order of ``STATES``; stopped trials are many, so they are grey."""

_STATE_SHAPES = ("circle", "triangle-down", "cross", "square")
_STATE: Spec = {"field": "state", "type": "nominal", "title": "trial"}
STATE_COLOUR = _STATE | {"scale": {"domain": [*STATES], "range": [*_STATE_COLOURS]}}
STATE_LOOKS = {
    "color": STATE_COLOUR,
    "shape": _STATE | {"scale": {"domain": [*STATES], "range": [*_STATE_SHAPES]}},
}
"""Encodings of a mark that stands for a trial."""

_TIGHT = {"zero": False, "nice": True, "padding": 6}
"""A scale that goes as far as the data."""


def chart(values: Iterable[Mapping[str, Any]], spec: Spec) -> Spec:
    """Return a whole chart of some data."""
    return {"$schema": _SCHEMA, "data": {"values": [*values]}, **spec}


def panels(field: str, names: Iterable[str], spec: Spec, *, own_scales: Sequence[str] = ()) -> Spec:
    """Return one panel a name, in the order of the names, three in a row.

    Args:
        field: A field of the data, whose value says in which panel a datum stands.
        names: The values of the field. A name that comes again counts once.
        spec: The panel.
        own_scales: The channels, such as ``y``, whose scale differs from panel to panel.
    """
    order = [*dict.fromkeys(names)]
    own = {"resolve": {"scale": dict.fromkeys(own_scales, "independent")}} if own_scales else {}
    return {
        "facet": {"field": field, "type": "nominal", "title": None, "sort": order},
        "columns": min(_NUM_COLUMNS, len(order)),
        "spec": spec,
        **own,
    }


def layers(size_px: tuple[float | Spec, float | Spec], *of_panel: Spec, **encoding: Any) -> Spec:  # noqa: ANN401
    """Return a panel of some width and height, whose layers share some encodings."""
    width, height = size_px
    return {"width": width, "height": height, "encoding": encoding, "layer": [*of_panel]}


def layer(mark: Spec, *, where: str | Spec = "", **encoding: Any) -> Spec:  # noqa: ANN401
    """Return a layer of a panel: a mark for each datum for which the filter ``where`` holds."""
    kept = {"transform": [{"filter": where}]} if where else {}
    return {**kept, "mark": mark, "encoding": encoding}


def confirmed_ring(size: int, *, where: str = "datum.is_confirmed", **encoding: Any) -> Spec:  # noqa: ANN401
    """Return the layer that rings the configuration that was confirmed."""
    ring = {"type": "point", "shape": "circle", "size": size, "strokeWidth": 2.5}
    return layer(ring | {"color": CONFIRMED_COLOUR}, where=where, **encoding)


def axis(field: str, title: str, kind: str = "quantitative", **more: Any) -> Spec:  # noqa: ANN401
    """Return how a field is drawn, under a title."""
    return {"field": field, "type": kind, "title": title, **more}


def keyed(field: str, title: str, names: Collection[str], **more: Any) -> Spec:  # noqa: ANN401
    """Return how a field of names is drawn; a single name needs no legend."""
    return axis(field, title, "nominal", legend=None if len(names) == 1 else {}, **more)


def score_axis(field: str, title: str, **looks: Any) -> Spec:  # noqa: ANN401
    """Return an axis of scores in [0, 1], as far as the data go."""
    return axis(field, title, scale=_TIGHT, axis={"format": ".3~f", **looks})


def objective_axis(field: str, objective: str, **looks: Any) -> Spec:  # noqa: ANN401
    """Return an axis of the objective: an axis of scores if the objective is an AUROC."""
    digits = ".3~f" if objective == Labelled.objective else ".3~g"
    return axis(field, objective, scale=_TIGHT, axis={"format": digits, **looks})


def tip(field: str, title: str = "") -> Spec:
    """Return a line of text that the pointer shows, titled as its field if not otherwise."""
    return axis(field, title or field, "nominal")


def number_tip(field: str, title: str = "", digits: str = "") -> Spec:
    """Return a line that shows a number, in the format ``digits`` if it is given."""
    return axis(field, title or field, **({"format": digits} if digits else {}))


def score_tip(field: str, title: str) -> Spec:
    """Return a line that shows a score or a rate in [0, 1]."""
    return number_tip(field, title, ".3f")


def trial_tips(objective_field: str, objective: str, *own: Spec) -> list[Spec]:
    """Return what the pointer shows of a search trial, with a figure's own lines in between."""
    digits = ".3f" if objective == Labelled.objective else ".4~g"
    last = number_tip(objective_field, objective, digits)
    return [tip("number", "trial"), tip("state", "ended"), *own, last]


def objective_shown(value: float | None, objective: str) -> str:
    """Return a value of the objective as text."""
    return score_text(value) if objective == Labelled.objective else objective_text(value)


def cell_groups(of_cells: Sequence[_One], num: int = _NUM_PANELS) -> list[Sequence[_One]]:
    """Split what belongs to cells into groups, each with as many cells as one figure shows."""
    return [of_cells[start : start + num] for start in range(0, len(of_cells), num)]


def part_name(name: str, place: int, parts: Sequence[object]) -> str:
    """Return the name of a figure of several of its kind; a single one keeps the name."""
    return name if len(parts) == 1 else f"{name}-{place + 1}"


def numbered(of_groups: Iterable[Figure]) -> list[Figure]:
    """Return the parts of one figure, numbered in name and title if there are several."""
    parts = [*of_groups]
    if len(parts) == 1:
        return parts
    return [
        replace(
            one,
            name=part_name(one.name, place, parts),
            title=f"{one.title}, part {place + 1} of {len(parts)}",
        )
        for place, one in enumerate(parts)
    ]


def trial_datum(row: TrialRow, of_cell: CellResult, /, **more: Any) -> Datum:  # noqa: ANN401
    """Return the fields of a search trial that its looks, its ring and ``trial_tips`` read."""
    confirmed = is_confirmed(row, of_cell)
    return {"number": row.number, "state": row.state, "is_confirmed": confirmed, **more}


def is_confirmed(row: TrialRow, cell: CellResult) -> bool:
    """Whether a trial has the configuration that its cell confirmed."""
    return cell.best_params is not None and json.loads(row.params) == cell.best_params


def last_objective(row: TrialRow) -> float | None:
    """Return the objective at a trial's last epoch; None if the trial diverged or failed."""
    return objective_of(row) if row.state in ("finished", "pruned") else None


def spread(all_of_them: Sequence[_One], num: int, is_kept: Callable[[_One], bool]) -> list[_One]:
    """Return ``num`` elements, evenly from the first to the last, and all that must be kept."""
    step = (len(all_of_them) - 1) / max(num - 1, 1)
    places = {round(place * step) for place in range(num)}
    return [
        one
        for place, one in enumerate(all_of_them)
        if num >= len(all_of_them) or place in places or is_kept(one)
    ]


def series(one: CellResult | RatioResult) -> str:
    """Return the name of a line: the detector and its variant, but for the label budget."""
    return f"{one.detector or 'no trial yet'} {without_words(one.variant, 'labels')}".strip()


def level(one: CellResult | RatioResult) -> float:
    """Return how much is labelled: the label budget if there is one, else the anomaly ratio."""
    return one.anomaly_ratio if one.label_budget is None else one.label_budget


def level_name(found: Iterable[CellResult | RatioResult]) -> str:
    """Return what ``level`` is of some cells: ``ratio`` or ``label budget``."""
    return "ratio" if all(one.label_budget is None for one in found) else "label budget"


def by_mean(cells: Iterable[CellResult]) -> dict[tuple[str, str, float], list[CellResult]]:
    """Return the cells behind each mean over classes, by ``mean_key``."""
    found: dict[tuple[str, str, float], list[CellResult]] = defaultdict(list)
    for cell in cells:
        found[mean_key(cell)].append(cell)
    return found


def mean_key(one: CellResult | RatioResult) -> tuple[str, str, float]:
    """Return what the cells of a mean over classes share: data set, method, ratio or budget."""
    return one.dataset, series(one), level(one)


def first_upper(text: str) -> str:
    """Return a text as the beginning of a sentence."""
    return text[:1].upper() + text[1:]


def told(texts: Iterable[str]) -> str:
    """Return the first texts as a sentence, and how many more there are."""
    found = [*texts]
    more = f"; and {len(found) - _NUM_TOLD:,} more" if len(found) > _NUM_TOLD else ""
    return "; ".join(found[:_NUM_TOLD]) + more + "."
