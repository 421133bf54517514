"""Each searched parameter against the objective, cell by cell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from agad.config import Choice, Draw, Fixed, LogUniform, Search, all_axes
from agad.records import TrialRow, objective_of
from agad.report.figures.figure import Figure
from agad.report.figures.figure_data import FigureData
from agad.report.figures.parts import (
    CONFIRMED_COLOUR,
    STATE_COLOUR,
    STATE_SHAPE,
    Datum,
    Spec,
    axis,
    cell_groups,
    chart,
    first_upper,
    is_confirmed,
    objective_axis,
    objective_tip,
    part_name,
    part_title,
    spread,
    tip,
    told,
)
from agad.report.numbers.leaderboard import Leaderboard
from agad.report.numbers.results import CellResult
from agad.report.pages.rounding import count_text, params_text, plain

_NUM_CELLS = 4
_MAX_VALUES = 5_000
"""Numbers of one figure, about: what keeps it below 200 KB."""

_PANEL_PX = (170, 130)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parameter:
    """A searched parameter and how its axis is drawn."""

    name: str
    field: str
    """Its name in the data: a study's own could be an expression there."""

    is_number: bool
    axis: Spec


def slice_figures(board: Leaderboard, figure_data: FigureData) -> list[Figure]:
    """Return the slices of some cells each; none without trials or a known space."""
    parameters = _parameters(figure_data.search) if figure_data.search else []
    places = figure_data.search_places
    found = [
        (cell, [figure_data.trials[place] for place in places.get(cell.cell, ())])
        for cell in board.searching
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
            title=part_title(f"Parameters against {figure_data.objective}", place, groups),
            caption=_caption(group, parameters, figure_data.objective),
            alt="The confirmed configurations: "
            + told(f"{plain(cell.cell)}: {plain(params_text(cell))}" for cell, _ in group),
            spec=_spec(group, parameters, figure_data.objective),
        )
        for place, group in enumerate(groups)
    ]


def _parameters(search: Search) -> list[_Parameter]:
    draws: dict[str, list[Draw]] = {}
    for one in all_axes(search.space):
        draws.setdefault(one.name, []).append(one.draw)
    return [
        _parameter(name, f"p{number}", drawn)
        for number, (name, drawn) in enumerate(draws.items())
        if not all(isinstance(one, Fixed) for one in drawn)
    ]


def _parameter(name: str, field: str, draws: Sequence[Draw]) -> _Parameter:
    """Return a parameter; its axis spans what it is drawn from on every branch."""
    ranges = [one for one in draws if not isinstance(one, Choice | Fixed)]
    if len(ranges) < len(draws):
        place = axis(field, plain(name), "nominal")
        return _Parameter(name=name, field=field, is_number=False, axis=place)
    is_log = all(isinstance(one, LogUniform) or getattr(one, "log", False) for one in ranges)
    scale = {
        "type": "log" if is_log else "linear",
        "domain": [min(one.low for one in ranges), max(one.high for one in ranges)],
        **({} if is_log else {"zero": False}),
        "nice": False,
        "padding": 6,
    }
    place = axis(
        field,
        plain(name),
        scale=scale,
        axis={"format": ".6~g", "labelOverlap": True, "tickCount": 4, "grid": False},
    )
    return _Parameter(name=name, field=field, is_number=True, axis=place)


def _has_objective(row: TrialRow) -> bool:
    return row.state in ("finished", "pruned") and objective_of(row) is not None


def _caption(
    group: Sequence[tuple[CellResult, Sequence[TrialRow]]],
    parameters: Sequence[_Parameter],
    objective: str,
) -> str:
    num_trials = sum(len(rows) for _, rows in group)
    return (
        f"{first_upper(objective)} of {count_text(num_trials, 'search trial')} at its last epoch, "
        f"which a pruned trial reached early, against each of "
        f"{count_text(len(parameters), 'parameter')}; of many trials some, evenly by number. Ring: "
        "the configuration that was confirmed. The sampler chose where trials lie, so their "
        "density is no result; neither is a slope that another parameter may have caused."
    )


def _spec(
    group: Sequence[tuple[CellResult, Sequence[TrialRow]]],
    parameters: Sequence[_Parameter],
    objective: str,
) -> Spec:
    """Return one row of panels a cell, one column a parameter."""
    num_kept = _MAX_VALUES // (len(group) * (4 + len(parameters)))
    values = [
        _datum(row, place, cell, parameters)
        for place, (cell, rows) in enumerate(group)
        for row in _kept(rows, cell, num_kept)
    ]
    rows = [
        {
            "title": {"text": plain(cell.cell), "fontWeight": "normal", "fontSize": 11},
            "transform": [{"filter": {"field": "place", "equal": place}}],
            "hconcat": [
                _panel(one, objective, is_first=one is parameters[0]) for one in parameters
            ],
            "resolve": {"scale": {"y": "shared"}},
        }
        for place, (cell, _) in enumerate(group)
    ]
    own = {"scale": {"y": "independent", "color": "shared", "shape": "shared"}}
    return chart(values, {"vconcat": rows, "resolve": own})


def _kept(rows: Sequence[TrialRow], cell: CellResult, num: int) -> list[TrialRow]:
    kept = {row.number: row for row in spread(rows, num)}
    kept |= {row.number: row for row in rows if is_confirmed(row, cell)}
    return [*kept.values()]


def _datum(row: TrialRow, place: int, cell: CellResult, parameters: Sequence[_Parameter]) -> Datum:
    params = json.loads(row.params)
    shown = {
        one.field: params[one.name] if one.is_number else plain(str(params[one.name]))
        for one in parameters
        if one.name in params
    }
    return {
        "place": place,
        "number": row.number,
        "state": row.state,
        "objective": objective_of(row),
        "is_confirmed": is_confirmed(row, cell),
        **shown,
    }


def _panel(one: _Parameter, objective: str, *, is_first: bool) -> Spec:
    """Return one parameter's panel of a cell."""
    tips = [
        tip("number", "trial"),
        tip("state", "ended"),
        tip(one.field, plain(one.name)),
        objective_tip("objective", objective),
    ]
    y = objective_axis("objective", objective, minExtent=34)
    return {
        # A trial on another branch lacks the field, whose name is none of the study's.
        "transform": [{"filter": f"isValid(datum.{one.field})"}],
        "width": _PANEL_PX[0],
        "height": _PANEL_PX[1],
        "encoding": {
            "x": one.axis,
            "y": y if is_first else y | {"title": ""},
        },
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
    }
