"""The course of every cell's search: each trial's objective in order, and the best so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from agad.records import STATES, TrialRow, objective_of
from agad.report.figures.figure_data import FigureData
from agad.report.figures.parts import (
    PANEL_PX,
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
    number_tip,
    numbered,
    objective_axis,
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

_MAX_TRIALS = 80
"""About how many trials of a cell are drawn, so that a figure stays below 200 KB."""


@dataclass(frozen=True, slots=True)
class _Course:
    """One cell's search."""

    cell: CellResult
    trials: list[TrialRow]
    """All trials, in order of number."""

    values: list[Datum]
    """The trials that are drawn."""


def history_figures(board: Leaderboard, figure_data: FigureData) -> list[Figure]:
    """Return the courses of some cells each; none without search trials."""
    rows = figure_data.search_rows
    courses = [_course(cell, rows[cell.cell]) for cell in board.searching if cell.cell in rows]
    return numbered(
        Figure(
            name="search-history",
            title="Search history",
            caption=_caption(group, figure_data.objective),
            alt="How the search trials ended: "
            + told(f"{plain(one.cell.cell)}: {_ends_text(one.trials)}" for one in group),
            spec=_spec(group, figure_data.objective),
        )
        for group in cell_groups(courses)
    )


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
    return _Course(
        cell=cell,
        trials=trials,
        values=[
            trial_datum(
                row,
                cell,
                cell=plain(cell.cell),
                objective=last_objective(row),
                epochs=row.epochs,
                best=bests.get(row.number),
            )
            for row in spread(
                trials, _MAX_TRIALS, lambda row: row.number in bests or is_confirmed(row, cell)
            )
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
    x = axis("number", "trial", axis={"tickMinStep": 1, "format": "d"}, scale={"padding": 6})
    y = objective_axis("objective", objective)
    tips = trial_tips("objective", objective, number_tip("epochs"))
    panel = layers(
        PANEL_PX,
        layer(
            {"type": "line", "interpolate": "step-after", "strokeWidth": 1.5},
            where="isValid(datum.best)",
            y=objective_axis("best", objective),
        ),
        layer(
            {"type": "point", "filled": True, "size": 45},
            where="isValid(datum.objective)",
            y=y,
            tooltip=tips,
            **STATE_LOOKS,
        ),
        layer(
            {"type": "point", "filled": True, "size": 60},
            where="!isValid(datum.objective)",
            y={"value": PANEL_PX[1] - 6},
            tooltip=tips,
            **STATE_LOOKS,
        ),
        confirmed_ring(160, where="datum.is_confirmed && isValid(datum.objective)", y=y),
        x=x,
    )
    values = [datum for one in group for datum in one.values]
    cells = [datum["cell"] for datum in values]
    return chart(values, panels("cell", cells, panel, own_scales=["y"]))
