"""What quality costs: test AUROC against the time spent, and the front that nothing beats."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agad.report.figures.figure import Figure
from agad.report.figures.parts import (
    Datum,
    Spec,
    axis,
    chart,
    panels,
    score_axis,
    series,
    tip,
    told,
)
from agad.report.numbers.leaderboard import Leaderboard
from agad.report.numbers.results import CellResult
from agad.report.pages.page import text_table
from agad.report.pages.rounding import plain, ratio_text, score_text, seconds_text

_UNITS = (("hours", 3600), ("minutes", 60), ("seconds", 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spent:
    """A method at a ratio: what all its classes cost, and what they gave."""

    dataset: str
    method: str
    anomaly_ratio: float
    seconds: float
    score: float
    is_complete: bool
    """Whether every class is confirmed: others are on no front."""

    is_best: bool = False
    """Whether no complete one of the data set is better for as little, or as good for less."""


def cost_figures(board: Leaderboard) -> list[Figure]:
    """Return test AUROC against time; none before a confirmed result."""
    is_gpu = board.totals.gpu_s > 0
    found = _fronted(_spent(board, is_gpu=is_gpu))
    if not found:
        return []
    unit = "GPU time" if is_gpu else "time of the workers"
    return [
        Figure(
            name="cost",
            title=f"Test AUROC against {unit}",
            caption=(
                f"Each mark: a method at a ratio, its mean over classes and the {unit} of all "
                "their trials, search and confirm. Line: the front, that is marks which no other "
                "of the data set beats for as little. Hollow: a class is missing, so it is on no "
                "front. Labels cost too, and stand in no time; differences within the intervals "
                "of the tables are none."
            ),
            alt=f"Test AUROC and {unit}: "
            + told(
                f"{plain(one.dataset)}, {plain(one.method)}, "
                f"ratio {ratio_text(one.anomaly_ratio)}: {score_text(one.score)} for "
                f"{seconds_text(one.seconds)}" + (", on the front" if one.is_best else "")
                for one in found
            ),
            spec=_spec(found, unit),
            table=text_table(
                [
                    ("data set", lambda one: one.dataset),
                    ("method", lambda one: one.method),
                    ("ratio", lambda one: ratio_text(one.anomaly_ratio)),
                    ("test AUROC", lambda one: score_text(one.score)),
                    (unit, lambda one: seconds_text(one.seconds)),
                    ("on the front", lambda one: "yes" if one.is_best else "no"),
                ],
                found,
            ),
        )
    ]


def _spent(board: Leaderboard, *, is_gpu: bool) -> list[_Spent]:
    cells: dict[tuple[str, str, float], list[CellResult]] = defaultdict(list)
    for cell in (*board.cells, *board.searches):
        cells[cell.dataset, series(cell), cell.anomaly_ratio].append(cell)
    found = []
    # What is left out of a mean was paid for all the same: a search on it is a search for all.
    for one in (ratio for ratio in board.ratios if not ratio.left_out):
        group = cells[one.dataset, series(one), one.anomaly_ratio]
        seconds = math.fsum(cell.gpu_s if is_gpu else cell.total_s for cell in group)
        if one.test_auroc is not None and seconds > 0:
            found.append(
                _Spent(
                    dataset=one.dataset,
                    method=series(one),
                    anomaly_ratio=one.anomaly_ratio,
                    seconds=seconds,
                    score=one.test_auroc,
                    is_complete=one.num_missing == 0,
                )
            )
    return found


def _fronted(found: Sequence[_Spent]) -> list[_Spent]:
    """Return the same with those marked that no complete other of their data set beats."""
    return [
        replace(
            one,
            is_best=one.is_complete
            and not any(
                other.dataset == one.dataset
                and other.is_complete
                and other.seconds <= one.seconds
                and other.score >= one.score
                and (other.seconds, other.score) != (one.seconds, one.score)
                for other in found
            ),
        )
        for one in found
    ]


def _spec(found: Sequence[_Spent], unit: str) -> Spec:
    longest = max(one.seconds for one in found)
    name, seconds = next(
        (name, seconds) for name, seconds in _UNITS if longest >= 2 * seconds or seconds == 1
    )
    values: list[Datum] = [
        {
            "dataset": plain(one.dataset),
            "method": plain(one.method),
            "ratio": ratio_text(one.anomaly_ratio),
            "time": one.seconds / seconds,
            "score": one.score,
            "is_complete": one.is_complete,
            "is_best": one.is_best,
        }
        for one in found
    ]
    methods = sorted({datum["method"] for datum in values})
    ratios = [ratio_text(ratio) for ratio in sorted({one.anomaly_ratio for one in found})]
    legend: Spec | None = None if len(methods) == 1 else {}
    mark = {"type": "point", "size": 90, "strokeWidth": 2}
    panel = {
        "width": 320,
        "height": 240,
        "encoding": {
            "x": axis(
                "time", f"{unit}, {name}", scale={"zero": False, "nice": True, "padding": 30}
            ),
            "y": score_axis("score", "test AUROC"),
        },
        "layer": [
            {
                "transform": [{"filter": "datum.is_best"}],
                "mark": {
                    "type": "line",
                    "interpolate": "step-after",
                    "strokeDash": [4, 3],
                    "color": "#888888",
                },
            },
            {
                "mark": mark,
                "encoding": {
                    "color": axis("method", "method", "nominal", legend=legend),
                    "fill": axis(
                        "method",
                        "method",
                        "nominal",
                        condition={"test": "!datum.is_complete", "value": "transparent"},
                        legend=legend,
                    ),
                    "shape": axis(
                        "ratio",
                        "anomaly ratio",
                        "nominal",
                        scale={"domain": ratios},
                        legend=None if len(ratios) == 1 else {},
                    ),
                    "tooltip": [
                        tip("method", "method"),
                        tip("ratio", "ratio"),
                        tip("score", "test AUROC", "quantitative", ".3f"),
                        tip("time", f"{unit}, {name}", "quantitative", ".3~g"),
                    ],
                },
            },
        ],
    }
    datasets = sorted({datum["dataset"] for datum in values})
    own = {"resolve": {"scale": {"x": "independent", "y": "independent"}}}
    return chart(values, panels("dataset", datasets, panel, **own))
