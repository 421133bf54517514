"""Each searched parameter against the objective, cell by cell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agad.config import Choice, Fixed, LogUniform, Search, all_axes
from agad.records import TrialRow
from agad.report.figures.evidence import Evidence
from agad.report.figures.figure import Figure
from agad.report.figures.parts import (
    CONFIRMED_COLOUR,
    STATE_COLOUR,
    STATE_SHAPE,
    Datum,
    Spec,
    axis,
    cell_groups,
    chart,
    is_confirmed,
    part_name,
    part_title,
    score_axis,
    spread,
    tip,
    told,
)
from agad.report.results import CellResult, Leaderboard
from agad.report.rounding import count_text, params_text, plain

_NUM_CELLS = 4
_MAX_VALUES = 5_000
"""Numbers of one figure, about: what keeps it below 200 KB."""

_PANEL_PX = (170, 130)


@dataclass(frozen=True, slots=True)
class _Parameter:
    """A searched parameter and how its axis is drawn."""

    name: str
    field: str
    """Its name in the data: a study's own could be an expression there."""

    is_number: bool
    is_log: bool


def slice_figures(board: Leaderboard, evidence: Evidence) -> list[Figure]:
    """Return the slices of some cells each; none without trials or a known space."""
    parameters = _parameters(evidence.search) if evidence.search else []
    places = evidence.search_places
    found = [
        (cell, [evidence.trials[place] for place in places.get(cell.cell, ())])
        for cell in board.cells
    ]
    known = [
        (cell, [row for row in rows if _has_objective(row)])
        for cell, rows in found
        if any(map(_has_objective, rows))
    ]
    if not parameters or not known:
        return []
    groups = cell_groups(known, _NUM_CELLS)
    return [
        Figure(
            name=part_name("slices", place, groups),
            title=part_title("Parameters against validation AUROC", place, groups),
            caption=_caption(group, parameters),
            alt="The confirmed configurations: "
            + told(f"{plain(cell.cell)}: {plain(params_text(cell))}" for cell, _ in group),
            spec=_spec(group, parameters),
        )
        for place, group in enumerate(groups)
    ]


def _parameters(search: Search) -> list[_Parameter]:
    draws: dict[str, list[Any]] = {}
    for one in all_axes(search.space):
        draws.setdefault(one.name, []).append(one.draw)
    return [
        _Parameter(
            name=name,
            field=f"p{number}",
            is_number=not any(isinstance(one, Choice | Fixed) for one in drawn),
            is_log=all(isinstance(one, LogUniform) or getattr(one, "log", False) for one in drawn),
        )
        for number, (name, drawn) in enumerate(draws.items())
        if not all(isinstance(one, Fixed) for one in drawn)
    ]


def _has_objective(row: TrialRow) -> bool:
    return row.state in ("finished", "pruned") and row.val_auroc is not None


def _caption(
    group: Sequence[tuple[CellResult, Sequence[TrialRow]]], parameters: Sequence[_Parameter]
) -> str:
    num_trials = sum(len(rows) for _, rows in group)
    return (
        f"Validation AUROC of {count_text(num_trials, 'search trial')} at its last epoch, which a "
        f"pruned trial reached early, against each of "
        f"{count_text(len(parameters), 'parameter')}; of many trials some, evenly by number. Ring: "
        "the configuration that was confirmed. The sampler chose where trials lie, so their "
        "density is no result; neither is a slope that another parameter may have caused."
    )


def _spec(
    group: Sequence[tuple[CellResult, Sequence[TrialRow]]], parameters: Sequence[_Parameter]
) -> Spec:
    num_kept = _MAX_VALUES // (len(group) * (4 + len(parameters)))
    values = [
        _datum(row, cell, parameters) for cell, rows in group for row in _kept(rows, cell, num_kept)
    ]
    names = [plain(cell.cell) for cell, _ in group]
    columns = [_column(one, names, is_first=one is parameters[0]) for one in parameters]
    return chart(values, {"hconcat": columns, "spacing": 12})


def _kept(rows: Sequence[TrialRow], cell: CellResult, num: int) -> list[TrialRow]:
    kept = {row.number: row for row in spread(rows, num)}
    kept |= {row.number: row for row in rows if is_confirmed(row, cell)}
    return [*kept.values()]


def _datum(row: TrialRow, cell: CellResult, parameters: Sequence[_Parameter]) -> Datum:
    params = json.loads(row.params)
    shown = {
        one.field: params[one.name] if one.is_number else plain(str(params[one.name]))
        for one in parameters
        if one.name in params
    }
    return {
        "cell": plain(cell.cell),
        "number": row.number,
        "state": row.state,
        "auroc": row.val_auroc,
        "is_confirmed": is_confirmed(row, cell),
        **shown,
    }


def _column(one: _Parameter, names: Sequence[str], *, is_first: bool) -> Spec:
    """Return the panels of one parameter, a cell below the other."""
    x = (
        axis(
            one.field,
            plain(one.name),
            scale={"type": "log" if one.is_log else "linear", "zero": False, "padding": 5},
            axis={"format": "~g", "labelOverlap": True, "tickCount": 4},
        )
        if one.is_number
        else axis(one.field, plain(one.name), "nominal")
    )
    y = score_axis("auroc", "validation AUROC" if is_first else "")
    header: Spec = {"labelAnchor": "start", "labelOrient": "top"}
    if not is_first:
        header = {"labels": False}
    tips = [
        tip("cell", "cell"),
        tip("number", "trial"),
        tip("state", "ended"),
        tip(one.field, plain(one.name)),
        tip("auroc", "validation AUROC", "quantitative", ".3f"),
    ]
    return {
        # The check of a field that a trial on another branch lacks names no text of a study.
        "transform": [{"filter": f"isValid(datum.{one.field})"}],
        "facet": {
            "row": {
                "field": "cell",
                "type": "nominal",
                "title": None,
                "sort": [*names],
                "header": header,
            }
        },
        "resolve": {"scale": {"y": "independent"}},
        "spec": {
            "width": _PANEL_PX[0],
            "height": _PANEL_PX[1],
            "encoding": {"x": x, "y": y},
            "layer": [
                {
                    "mark": {"type": "point", "filled": True, "size": 35, "opacity": 0.8},
                    "encoding": {"color": STATE_COLOUR, "shape": STATE_SHAPE, "tooltip": tips},
                },
                {
                    "transform": [{"filter": "datum.is_confirmed"}],
                    "mark": {
                        "type": "point",
                        "shape": "circle",
                        "size": 150,
                        "strokeWidth": 2.5,
                        "color": CONFIRMED_COLOUR,
                    },
                },
            ],
        },
    }
