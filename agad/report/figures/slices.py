"""Each searched parameter against the objective, cell by cell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from agad.config import Choice, Draw, Fixed, LogUniform, Search, all_axes
from agad.records import TrialRow
from agad.report.figures.figure_data import FigureData
from agad.report.figures.parts import (
    STATE_LOOKS,
    Datum,
    axis,
    cell_groups,
    chart,
    confirmed_ring,
    first_upper,
    is_confirmed,
    last_objective,
    layer,
    layers,
    numbered,
    objective_axis,
    spread,
    tip,
    told,
    trial_datum,
    trial_tips,
)
from agad.report.figures.render import Figure, Spec
from agad.report.numbers.leaderboard import Leaderboard
from agad.report.numbers.results import CellResult
from agad.report.pages.rounding import count_text, params_text, plain

_NUM_CELLS = 4
_MAX_VALUES = 5_000
"""About how many numbers a figure may have, so that it stays below 200 KB."""

_PANEL_PX = (170, 130)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parameter:
    """A searched parameter and how its axis is drawn."""

    name: str
    field: str
    """The parameter's name in the data, where a study's own name could be an expression."""

    is_number: bool
    axis: Spec


def slice_figures(board: Leaderboard, figure_data: FigureData) -> list[Figure]:
    """Return the slices of some cells each; none without trials or a known space."""
    parameters = _parameters(figure_data.search) if figure_data.search else []
    if not parameters:
        return []
    rows = figure_data.search_rows
    found = [
        (cell, [row for row in rows.get(cell.cell, ()) if last_objective(row) is not None])
        for cell in board.searching
    ]
    groups = cell_groups([(cell, of_cell) for cell, of_cell in found if of_cell], _NUM_CELLS)
    return numbered(
        Figure(
            name="slices",
            title=f"Parameters against {figure_data.objective}",
            caption=_caption(group, parameters, figure_data.objective),
            alt="The confirmed configurations: "
            + told(f"{plain(cell.cell)}: {plain(params_text(cell))}" for cell, _ in group),
            spec=_spec(group, parameters, figure_data.objective),
        )
        for group in groups
    )


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
    """Return a parameter, whose axis spans the ranges of all branches."""
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
        for row in spread(rows, num_kept, partial(is_confirmed, cell=cell))
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


def _datum(row: TrialRow, place: int, cell: CellResult, parameters: Sequence[_Parameter]) -> Datum:
    params = json.loads(row.params)
    shown = {
        one.field: params[one.name] if one.is_number else plain(str(params[one.name]))
        for one in parameters
        if one.name in params
    }
    return trial_datum(row, cell, place=place, objective=last_objective(row), **shown)


def _panel(one: _Parameter, objective: str, *, is_first: bool) -> Spec:
    """Return one parameter's panel of a cell."""
    y = objective_axis("objective", objective, minExtent=34)
    panel = layers(
        _PANEL_PX,
        layer(
            {"type": "point", "filled": True, "size": 35, "opacity": 0.8},
            tooltip=trial_tips("objective", objective, tip(one.field, plain(one.name))),
            **STATE_LOOKS,
        ),
        confirmed_ring(150),
        x=one.axis,
        y=y if is_first else y | {"title": ""},
    )
    # A trial on another branch lacks the field. The field's name is ours, not the study's.
    return {"transform": [{"filter": f"isValid(datum.{one.field})"}], **panel}
