"""Learning curves of every cell's search, with the rungs and the configuration confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agad.records import objective_of
from agad.report.figures.figure_data import Curves, FigureData
from agad.report.figures.parts import (
    CONFIRMED_COLOUR,
    PANEL_PX,
    STATE_COLOUR,
    Datum,
    axis,
    cell_groups,
    chart,
    first_upper,
    is_confirmed,
    layer,
    layers,
    number_tip,
    numbered,
    objective_axis,
    objective_shown,
    panels,
    spread,
    told,
    trial_datum,
    trial_tips,
)
from agad.report.figures.render import Figure, Spec
from agad.report.numbers.leaderboard import Leaderboard
from agad.report.numbers.results import CellResult
from agad.report.pages.rounding import count_text, plain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NUM_SHOWN_EPOCHS = 24
"""About how many epochs of a long curve are drawn. Each rung is among them."""

_MAX_POINTS = 260
"""About how many points a cell may have, so that a figure stays below 200 KB."""

_DIGITS = 6
"""Significant digits of a point. A line shows fewer."""


@dataclass(frozen=True, slots=True)
class _Drawn:
    """The curves that are drawn of one cell."""

    cell: CellResult
    num_trials: int
    """Search trials that have a curve."""

    trials: list[Datum]
    """One datum a curve. ``key`` is the place of the trial in ``FigureData.trials``."""

    points: list[Datum]
    """``e`` epochs trained, ``v`` the objective, ``t`` the trial. Short names save bytes."""


def curve_figures(board: Leaderboard, figure_data: FigureData) -> list[Figure]:
    """Return the learning curves of some cells each; none without epochs."""
    if figure_data.curves is None or not len(figure_data.curves.trial):
        return []
    shown = _shown_points(figure_data.curves, figure_data.scheduler.milestones)
    places = figure_data.search_places
    drawn = [
        _drawn(cell, places.get(cell.cell, []), figure_data, shown) for cell in board.searching
    ]
    return numbered(
        Figure(
            name="learning-curves",
            title="Learning curves of the search",
            caption=_caption(group, figure_data),
            alt=_alt(group, figure_data),
            spec=_spec(group, figure_data.scheduler.milestones, figure_data.objective),
        )
        for group in cell_groups([one for one in drawn if one.trials])
    )


def _shown_points(curves: Curves, milestones: Sequence[int]) -> NDArray[np.bool_]:
    """Return which points are drawn: all, but of a long curve the rungs, the end and some more."""
    import numpy as np

    last = int(curves.num_epochs.max())
    is_shown = np.ones(last + 1, bool)
    if last > _NUM_SHOWN_EPOCHS:
        is_shown[:] = False
        is_shown[np.linspace(1, last, _NUM_SHOWN_EPOCHS).round().astype(int)] = True
        is_shown[[one for one in milestones if one <= last]] = True
    is_last = np.append(curves.trial[1:] != curves.trial[:-1], True)
    shown: NDArray[np.bool_] = is_shown[curves.num_epochs] | is_last
    return shown & np.isfinite(curves.objective)


def _drawn(
    cell: CellResult, places: Sequence[int], figure_data: FigureData, shown: NDArray[np.bool_]
) -> _Drawn:
    assert figure_data.curves is not None
    points = {
        place: span.start + shown[span].nonzero()[0]
        for place, span in zip(places, figure_data.curves.spans(places), strict=True)
    }
    known = [place for place in places if len(points[place])]
    num_points = sum(len(points[place]) for place in known)
    kept = spread(
        known,
        len(known) * _MAX_POINTS // max(num_points, _MAX_POINTS),
        lambda place: is_confirmed(figure_data.trials[place], cell),
    )
    name = plain(cell.cell)
    return _Drawn(
        cell=cell,
        num_trials=len(known),
        trials=[
            trial_datum(figure_data.trials[place], cell, key=place, cell=name) for place in kept
        ],
        points=[
            {"t": place, "e": epochs, "v": float(f"{objective:.{_DIGITS}g}")}
            for place in kept
            for epochs, objective in zip(
                figure_data.curves.num_epochs[points[place]].tolist(),
                figure_data.curves.objective[points[place]].tolist(),
                strict=True,
            )
        ],
    )


def _caption(group: Sequence[_Drawn], figure_data: FigureData) -> str:
    num_curves = sum(len(one.trials) for one in group)
    num_trials = sum(one.num_trials for one in group)
    some = (
        f"{num_curves:,} of {count_text(num_trials, 'search trial')}, evenly by number"
        if num_curves < num_trials
        else f"all {count_text(num_trials, 'search trial')} that ended an epoch"
    )
    rungs = ", ".join(map(str, figure_data.scheduler.milestones))
    marked = f" Dashed: the rungs, after {rungs} epochs." if rungs else ""
    return (
        f"{first_upper(figure_data.objective)} against epochs of {some}; of long curves the rungs, "
        "the end and some epochs between. Thick and green: the configuration that was confirmed."
        f"{marked} These "
        "values chose it, so its own is higher than other seeds will find; the tables have test "
        "AUROCs."
    )


def _alt(group: Sequence[_Drawn], figure_data: FigureData) -> str:
    return f"{first_upper(figure_data.objective)} against epochs. " + told(
        f"{plain(one.cell.cell)}: {count_text(one.num_trials, 'trial')}"
        + _confirmed_text(one, figure_data)
        for one in group
    )


def _confirmed_text(one: _Drawn, figure_data: FigureData) -> str:
    """Return how the first trial with the confirmed configuration ended, if there is one."""
    for datum in one.trials:
        if datum["is_confirmed"]:
            row = figure_data.trials[datum["key"]]
            objective = objective_shown(objective_of(row), figure_data.objective)
            epochs = count_text(row.epochs, "epoch")
            return f", the confirmed one ended at {objective} after {epochs}"
    return ""


def _spec(group: Sequence[_Drawn], milestones: Sequence[int], objective: str) -> Spec:
    points = [point for one in group for point in one.points]
    trials = [datum for one in group for datum in one.trials]
    longest = max(point["e"] for point in points)
    rungs = [{"rung": one} for one in milestones if one <= longest]
    x = axis("e", "epochs trained", scale={"nice": False}, axis={"tickMinStep": 1})
    lines = {
        "x": x,
        "y": objective_axis("v", objective),
        "detail": {"field": "t"},
        "tooltip": trial_tips("v", objective, number_tip("e", "epochs")),
    }
    panel = layers(
        PANEL_PX,
        {"data": {"values": rungs}}
        | layer({"type": "rule", "strokeDash": [3, 3], "opacity": 0.5}, x=x | {"field": "rung"}),
        layer(
            {"type": "line", "strokeWidth": 1, "opacity": 0.6, "point": {"size": 8}},
            where="!datum.is_confirmed",
            color=STATE_COLOUR,
            **lines,
        ),
        layer(
            {
                "type": "line",
                "strokeWidth": 3,
                "strokeJoin": "round",
                "color": CONFIRMED_COLOUR,
                "point": {"size": 25, "color": CONFIRMED_COLOUR},
            },
            where="datum.is_confirmed",
            **lines,
        ),
    )
    trial_of_point = {
        "lookup": "t",
        "from": {
            "data": {"values": trials},
            "key": "key",
            "fields": ["cell", "number", "state", "is_confirmed"],
        },
    }
    cells = [datum["cell"] for datum in trials]
    whole = panels("cell", cells, panel, own_scales=["y"])
    return chart(points, {"transform": [trial_of_point], **whole})
