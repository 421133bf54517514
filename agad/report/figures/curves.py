"""Learning curves of every cell's search, with the rungs and the configuration confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agad.records import objective_of
from agad.report.figures.figure import Figure
from agad.report.figures.figure_data import Curves, FigureData
from agad.report.figures.parts import (
    CONFIRMED_COLOUR,
    PANEL_PX,
    STATE_COLOUR,
    Datum,
    Spec,
    axis,
    cell_groups,
    chart,
    first_upper,
    is_confirmed,
    objective_axis,
    objective_shown,
    objective_tip,
    panels,
    part_name,
    part_title,
    spread,
    tip,
    told,
)
from agad.report.numbers.leaderboard import Leaderboard
from agad.report.numbers.results import CellResult
from agad.report.pages.rounding import count_text, plain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NUM_SHOWN_EPOCHS = 24
"""About as many epochs of a long curve are drawn, each rung among them."""

_MAX_POINTS = 260
"""Of one cell, about: what keeps a figure below 200 KB."""

_DIGITS = 6
"""Significant ones of a point, which no line shows."""


@dataclass(frozen=True, slots=True)
class _Drawn:
    """The curves that are drawn of one cell."""

    cell: CellResult
    num_trials: int
    """Search trials that have a curve."""

    trials: list[Datum]
    """One a curve: ``key`` is its place in ``FigureData.trials``."""

    points: list[Datum]
    """``e`` epochs trained, ``v`` the objective, ``t`` the trial: one letter a name, for size."""


def curve_figures(board: Leaderboard, figure_data: FigureData) -> list[Figure]:
    """Return the learning curves of some cells each; none without epochs."""
    if figure_data.curves is None or not len(figure_data.curves.trial):
        return []
    shown = _shown_points(figure_data.curves, figure_data.scheduler.milestones)
    places = figure_data.search_places
    drawn = [
        _drawn(cell, places.get(cell.cell, []), figure_data, shown) for cell in board.searching
    ]
    groups = cell_groups([one for one in drawn if one.trials])
    return [
        Figure(
            name=part_name("learning-curves", place, groups),
            title=part_title("Learning curves of the search", place, groups),
            caption=_caption(group, figure_data),
            alt=_alt(group, figure_data),
            spec=_spec(group, figure_data.scheduler.milestones, figure_data.objective),
        )
        for place, group in enumerate(groups)
    ]


def _shown_points(curves: Curves, milestones: Sequence[int]) -> NDArray[np.bool_]:
    """Return which points are drawn: of long curves the rungs, the ends and some between."""
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
    confirmed = {place for place in known if is_confirmed(figure_data.trials[place], cell)}
    num_points = sum(len(points[place]) for place in known)
    kept = {*spread(known, len(known) * _MAX_POINTS // max(num_points, _MAX_POINTS)), *confirmed}
    return _Drawn(
        cell=cell,
        num_trials=len(known),
        trials=[
            {
                "key": place,
                "cell": plain(cell.cell),
                "number": figure_data.trials[place].number,
                "state": figure_data.trials[place].state,
                "is_confirmed": place in confirmed,
            }
            for place in sorted(kept)
        ],
        points=[
            {"t": place, "e": epochs, "v": float(f"{objective:.{_DIGITS}g}")}
            for place in sorted(kept)
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
    texts = []
    for one in group:
        chosen = [datum for datum in one.trials if datum["is_confirmed"]]
        last = figure_data.trials[chosen[0]["key"]] if chosen else None
        texts.append(
            f"{plain(one.cell.cell)}: {count_text(one.num_trials, 'trial')}"
            + (
                f", the confirmed one ended at "
                f"{objective_shown(objective_of(last), figure_data.objective)} after "
                f"{count_text(last.epochs, 'epoch')}"
                if last
                else ""
            )
        )
    return f"{first_upper(figure_data.objective)} against epochs. " + told(texts)


def _spec(group: Sequence[_Drawn], milestones: Sequence[int], objective: str) -> Spec:
    longest = max(point["e"] for one in group for point in one.points)
    tips = [
        tip("number", "trial"),
        tip("state", "ended"),
        tip("e", "epochs", "quantitative"),
        objective_tip("v", objective),
    ]
    x = axis("e", "epochs trained", scale={"nice": False}, axis={"tickMinStep": 1})
    y = objective_axis("v", objective)
    lines = {"x": x, "y": y, "detail": {"field": "t"}, "tooltip": tips}
    panel = {
        "width": PANEL_PX[0],
        "height": PANEL_PX[1],
        "layer": [
            {
                "data": {"values": [{"rung": one} for one in milestones if one <= longest]},
                "mark": {"type": "rule", "strokeDash": [3, 3], "opacity": 0.5},
                "encoding": {"x": x | {"field": "rung"}},
            },
            {
                "transform": [{"filter": "!datum.is_confirmed"}],
                "mark": {"type": "line", "strokeWidth": 1, "opacity": 0.6, "point": {"size": 8}},
                "encoding": lines | {"color": STATE_COLOUR},
            },
            {
                "transform": [{"filter": "datum.is_confirmed"}],
                "mark": {
                    "type": "line",
                    "strokeWidth": 3,
                    "strokeJoin": "round",
                    "color": CONFIRMED_COLOUR,
                    "point": {"size": 25, "color": CONFIRMED_COLOUR},
                },
                "encoding": lines,
            },
        ],
    }
    lookup = {
        "lookup": "t",
        "from": {
            "data": {"values": [datum for one in group for datum in one.trials]},
            "key": "key",
            "fields": ["cell", "number", "state", "is_confirmed"],
        },
    }
    names = [plain(one.cell.cell) for one in group]
    spec = panels("cell", names, panel, resolve={"scale": {"y": "independent"}})
    points = [point for one in group for point in one.points]
    return chart(points, {"transform": [lookup], **spec})
