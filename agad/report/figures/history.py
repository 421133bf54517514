"""The course of every cell's search: each trial's objective in order, and the best so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from agad.records import STATES, TrialRow, objective_of
from agad.report.figures.figure import Figure
from agad.report.figures.figure_data import FigureData
from agad.report.figures.parts import (
    CONFIRMED_COLOUR,
    PANEL_PX,
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

_MAX_TRIALS = 80
"""Of one cell, about: what keeps a figure below 200 KB."""


@dataclass(frozen=True, slots=True)
class _Course:
    """One cell's search."""

    cell: CellResult
    trials: list[TrialRow]
    """All, in order of number."""

    values: list[Datum]
    """Those drawn."""


def history_figures(board: Leaderboard, figure_data: FigureData) -> list[Figure]:
    """Return the courses of some cells each; none without search trials."""
    places = figure_data.search_places
    courses = [
        _course(cell, [figure_data.trials[place] for place in places.get(cell.cell, ())])
        for cell in board.searching
    ]
    groups = cell_groups([one for one in courses if one.trials])
    return [
        Figure(
            name=part_name("search-history", place, groups),
            title=part_title("Search history", place, groups),
            caption=_caption(group, figure_data.objective),
            alt="How the search trials ended: "
            + told(f"{plain(one.cell.cell)}: {_ends_text(one.trials)}" for one in group),
            spec=_spec(group, figure_data.objective),
        )
        for place, group in enumerate(groups)
    ]


def _course(cell: CellResult, rows: Sequence[TrialRow]) -> _Course:
    trials = sorted(rows, key=lambda row: row.number)
    best: float | None = None
    bests: dict[int, float] = {}
    for row in trials:
        objective = objective_of(row) if row.state == "finished" else None
        if objective is not None and (best is None or objective > best):
            best = bests[row.number] = objective
    if best is not None:
        bests[trials[-1].number] = best
    told_anyway = [row for row in trials if row.number in bests or is_confirmed(row, cell)]
    kept = {row.number: row for row in [*spread(trials, _MAX_TRIALS), *told_anyway]}
    return _Course(
        cell=cell,
        trials=trials,
        values=[
            {
                "cell": plain(cell.cell),
                "number": number,
                "state": row.state,
                "objective": objective_of(row) if row.state in ("finished", "pruned") else None,
                "epochs": row.epochs,
                "best": bests.get(number),
                "is_confirmed": is_confirmed(row, cell),
            }
            for number, row in sorted(kept.items())
        ],
    )


def _ends_text(trials: Sequence[TrialRow]) -> str:
    ends = Counter(row.state for row in trials)
    return ", ".join(f"{ends[state]:,} {state}" for state in STATES if ends[state])


def _caption(group: Sequence[_Course], objective: str) -> str:
    num_trials = sum(len(one.trials) for one in group)
    num_drawn = sum(len(one.values) for one in group)
    some = f"{num_drawn:,} of {num_trials:,}, evenly by number, and each best one"
    return (
        f"{first_upper(objective)} of {count_text(num_trials, 'search trial')} at its last epoch, "
        f"which a pruned trial reached early"
        + (f"; drawn are {some}" if num_drawn < num_trials else "")
        + ". Line: the best so far of those that finished. Ring: the configuration that was "
        "confirmed. On the lower edge: diverged or failed trials, which have no objective. No test "
        "image had a part in this."
    )


def _spec(group: Sequence[_Course], objective: str) -> Spec:
    tips = [
        tip("number", "trial"),
        tip("state", "ended"),
        tip("epochs", "epochs", "quantitative"),
        objective_tip("objective", objective),
    ]
    x = axis("number", "trial", axis={"tickMinStep": 1, "format": "d"}, scale={"padding": 6})
    y = objective_axis("objective", objective)
    marks = {"color": STATE_COLOUR, "shape": STATE_SHAPE, "tooltip": tips}
    panel = {
        "width": PANEL_PX[0],
        "height": PANEL_PX[1],
        "encoding": {"x": x},
        "layer": [
            {
                "transform": [{"filter": "isValid(datum.best)"}],
                "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 1.5},
                "encoding": {"y": objective_axis("best", objective)},
            },
            {
                "transform": [{"filter": "isValid(datum.objective)"}],
                "mark": {"type": "point", "filled": True, "size": 45},
                "encoding": {"y": y, **marks},
            },
            {
                "transform": [{"filter": "!isValid(datum.objective)"}],
                "mark": {"type": "point", "filled": True, "size": 60},
                "encoding": {"y": {"value": PANEL_PX[1] - 6}, **marks},
            },
            {
                "transform": [{"filter": "datum.is_confirmed && isValid(datum.objective)"}],
                "mark": {
                    "type": "point",
                    "shape": "circle",
                    "size": 160,
                    "strokeWidth": 2.5,
                    "color": CONFIRMED_COLOUR,
                },
                "encoding": {"y": y},
            },
        ],
    }
    names = [plain(one.cell.cell) for one in group]
    values = [datum for one in group for datum in one.values]
    own = {"resolve": {"scale": {"y": "independent"}}}
    return chart(values, panels("cell", names, panel, **own))
