"""Which searched parameters decide the objective: PED-ANOVA, cell by cell."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean

from agad.config import Search
from agad.records import objective_of
from agad.report.figures.figure_data import FigureData
from agad.report.figures.parts import Datum, axis, chart, layer, layers, number_tip, tip, told
from agad.report.figures.render import Figure, Spec
from agad.report.numbers.leaderboard import Leaderboard
from agad.report.pages.page import text_table
from agad.report.pages.rounding import count_text, plain

_ROW_PX = 30


@dataclass(frozen=True, slots=True)
class _Share:
    """The share of the importance that a parameter has in each cell with enough trials."""

    name: str
    by_cell: dict[str, float]

    @property
    def mean(self) -> float:
        return fmean(self.by_cell.values())


def importance_figures(board: Leaderboard, figure_data: FigureData) -> list[Figure]:
    """Return the shares of all cells; none without a known space or enough trials a cell."""
    if figure_data.search is None or figure_data.curves is None:
        return []
    shares = _shares(board, figure_data, figure_data.search)
    if not shares:
        return []
    # Importing Optuna takes half a second, and no other figure needs it.
    from agad.search import MIN_IMPORTANCE_TRIALS

    cells = {cell for one in shares for cell in one.by_cell}
    rungs = figure_data.scheduler.milestones
    when = f"the first rung, {count_text(rungs[0], 'epoch')}" if rungs else "the last epoch"
    return [
        Figure(
            name="importance",
            title="Importance of the searched parameters",
            caption=(
                f"Share of each parameter in what sets the best quarter of a cell's trials apart, "
                f"by {figure_data.objective} at {when}, which all of them trained to (PED-ANOVA). "
                f"Tick: a cell, {len(cells):,} of {len(board.searching):,}, those with "
                f"{MIN_IMPORTANCE_TRIALS} trials or more; circle: their mean. No interval: under "
                "some 50 trials a cell it is a hint. It is about this space: a wider one gives "
                "others."
            ),
            alt="Mean share of each parameter: "
            + told(f"{plain(one.name)} {one.mean:.2f}" for one in shares),
            spec=_spec(shares),
            table=text_table(
                [
                    ("parameter", lambda one: one.name),
                    ("mean share", lambda one: f"{one.mean:.2f}"),
                    ("least", lambda one: f"{min(one.by_cell.values()):.2f}"),
                    ("most", lambda one: f"{max(one.by_cell.values()):.2f}"),
                    ("cells", lambda one: str(len(one.by_cell))),
                ],
                shares,
            ),
        )
    ]


def _shares(board: Leaderboard, figure_data: FigureData, search: Search) -> list[_Share]:
    """Return the parameters, the one with the highest mean first."""
    from agad.search import MIN_IMPORTANCE_TRIALS, EndedTrial, importances

    objectives = _equal_objectives(figure_data)
    places = figure_data.search_places
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for cell in board.searching:
        trials = [
            EndedTrial(
                params=json.loads(figure_data.trials[place].params),
                state="finished",
                objectives={0: objectives[place]},
            )
            for place in places.get(cell.cell, ())
            if place in objectives
        ]
        if len(trials) >= MIN_IMPORTANCE_TRIALS:
            for name, share in importances(search, trials).items():
                found[name][cell.cell] = share
    shares = [_Share(name, by_cell) for name, by_cell in found.items()]
    return sorted(shares, key=lambda one: (-one.mean, one.name))


def _equal_objectives(figure_data: FigureData) -> dict[int, float]:
    """Return each trial's objective at the first rung, or at its end if there is no rung."""
    import numpy as np

    curves, rungs = figure_data.curves, figure_data.scheduler.milestones
    assert curves is not None
    if not rungs:
        return {
            place: objective
            for place, row in enumerate(figure_data.trials)
            if row.state == "finished" and (objective := objective_of(row)) is not None
        }
    at_rung = (curves.num_epochs == rungs[0]) & np.isfinite(curves.objective)
    return dict(
        zip(curves.trial[at_rung].tolist(), curves.objective[at_rung].tolist(), strict=True)
    )


def _spec(shares: list[_Share]) -> Spec:
    values: list[Datum] = []
    for one in shares:
        name = plain(one.name)
        values.append({"parameter": name, "mean": one.mean, "n": len(one.by_cell)})
        values += [
            {"parameter": name, "share": share, "cell": plain(cell)}
            for cell, share in one.by_cell.items()
        ]
    share = axis("share", "share of the importance", scale={"domain": [0, 1]})
    panel = layers(
        (380, {"step": _ROW_PX}),
        layer(
            {"type": "tick", "thickness": 2, "size": 16, "opacity": 0.6},
            where="isValid(datum.share)",
            x=share,
            tooltip=[tip("cell"), number_tip("share", "share", ".2f")],
        ),
        layer(
            {"type": "point", "filled": True, "size": 110},
            where="isValid(datum.mean)",
            x=share | {"field": "mean"},
            tooltip=[
                tip("parameter"),
                number_tip("mean", "mean share", ".2f"),
                number_tip("n", "cells"),
            ],
        ),
        y=axis("parameter", "", "nominal", sort=[plain(one.name) for one in shares]),
    )
    return chart(values, panel)
