"""Test AUROC and average precision against the anomaly ratio, with intervals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from agad.report.figures.figure import Figure
from agad.report.figures.figure_data import FigureData
from agad.report.figures.parts import (
    Datum,
    Spec,
    axis,
    chart,
    first_upper,
    panels,
    score_axis,
    series,
    tip,
    told,
)
from agad.report.numbers.chosen import confirmed_rows
from agad.report.numbers.leaderboard import Leaderboard
from agad.report.numbers.results import CellResult, RatioResult
from agad.report.numbers.statistics import Interval, mean_interval
from agad.report.pages.page import text_table
from agad.report.pages.rounding import (
    classes_text,
    count_text,
    interval_text,
    left_out_text,
    plain,
    ratio_text,
    score_text,
)


@dataclass(frozen=True, slots=True)
class _Point:
    """A mean over classes at one ratio."""

    of: RatioResult
    method: str
    """Named with the development classes that the mean leaves out, if it does."""

    score: float
    interval: Interval | None
    classes: tuple[tuple[str, float], ...]
    """Each class and its mean over seeds."""


def ratio_figures(board: Leaderboard, figure_data: FigureData) -> list[Figure]:
    """Return AUROC, then average precision, against the ratio; none before a confirmed result."""
    cells: dict[tuple[str, str, float], list[CellResult]] = defaultdict(list)
    for cell in board.cells:
        cells[cell.dataset, series(cell), cell.anomaly_ratio].append(cell)
    precisions = _average_precisions(board, figure_data)
    aurocs, average_precisions = [], []
    for one in board.ratios:
        name = series(one)
        group = [
            cell
            for cell in cells[one.dataset, name, one.anomaly_ratio]
            if not (one.left_out and cell.is_development)
        ]
        if one.left_out:
            name += f" without {left_out_text(one)}"
        if one.test_auroc is not None:
            means = [(str(c.given_class), c.test_auroc) for c in group if c.test_auroc is not None]
            aurocs.append(_Point(one, name, one.test_auroc, one.interval, tuple(means)))
        if one.test_average_precision is not None:
            means = [
                (str(c.given_class), c.test_average_precision)
                for c in group
                if c.test_average_precision is not None
            ]
            strata = [precisions[c.cell] for c in group if precisions.get(c.cell)]
            average_precisions.append(
                _Point(one, name, one.test_average_precision, mean_interval(strata), tuple(means))
            )
    return [
        *_figure("auroc-by-ratio", "test AUROC", aurocs),
        *_figure("average-precision-by-ratio", "test average precision", average_precisions),
    ]


def _average_precisions(board: Leaderboard, figure_data: FigureData) -> dict[str, list[float]]:
    """Return the average precision of each confirm seed, by the cell's label."""
    rows = figure_data.by_cell
    return {
        cell.cell: [
            row.test_average_precision
            for row in confirmed_rows(rows.get(cell.cell, ()), figure_data.winners.get(cell.cell))
            if row.state == "finished" and row.test_average_precision is not None
        ]
        for cell in board.cells
        if cell.num_confirmed
    }


def _figure(name: str, measure: str, points: Sequence[_Point]) -> list[Figure]:
    if not points:
        return []
    # A mean that leaves classes out has no seed that the one of all classes has not.
    whole = [point.of for point in points if not point.of.left_out]
    num_seeds = sum(one.num_confirmed for one in whole)
    num_missing = sum(one.num_missing for one in whole)
    missing = (
        f" {count_text(num_missing, 'cell has', 'cells have')} no confirmed seed and "
        f"{'is' if num_missing == 1 else 'are'} in no mean."
        if num_missing
        else ""
    )
    return [
        Figure(
            name=name,
            title=f"{first_upper(measure)} against anomaly ratio",
            caption=(
                f"Large marks: means over classes of n = {num_seeds} confirm seeds in all; bars: "
                "their 95 % intervals over seeds, none where a class has one seed; small marks: "
                "each class. The intervals say nothing of other classes or other test images."
                + missing
            ),
            alt=f"{first_upper(measure)} at each anomaly ratio: "
            + told(
                f"{plain(point.of.dataset)}, {plain(point.method)}, ratio "
                f"{ratio_text(point.of.anomaly_ratio)}: {score_text(point.score)} "
                f"({interval_text(point.interval)})"
                for point in points
            ),
            spec=_spec(measure, points),
            table=text_table(
                [
                    ("data set", lambda point: point.of.dataset),
                    ("method", lambda point: point.method),
                    ("ratio", lambda point: ratio_text(point.of.anomaly_ratio)),
                    (measure, lambda point: score_text(point.score)),
                    ("95 % interval", lambda point: interval_text(point.interval)),
                    ("classes", lambda point: classes_text(point.of)),
                    ("n", lambda point: str(point.of.num_confirmed)),
                ],
                points,
            ),
        )
    ]


def _spec(measure: str, points: Sequence[_Point]) -> Spec:
    values: list[Datum] = []
    for point in points:
        place = {
            "dataset": plain(point.of.dataset),
            "method": plain(point.method),
            "ratio": point.of.anomaly_ratio,
        }
        values.append(
            place
            | {
                "mean": point.score,
                "low": point.interval.low if point.interval else None,
                "high": point.interval.high if point.interval else None,
                "n": point.of.num_confirmed,
            }
        )
        values += [place | {"class": plain(name), "score": score} for name, score in point.classes]
    ratios = sorted({point.of.anomaly_ratio for point in points})
    x = axis(
        "ratio",
        "anomaly ratio",
        axis={"values": ratios, "format": ".6~g", "labelOverlap": True},
        scale={"nice": False, "padding": 15},
    )
    methods = sorted({datum["method"] for datum in values})
    colour = axis("method", "method", "nominal", legend=None if len(methods) == 1 else {})
    layers = [
        {
            "mark": {"type": "point", "size": 16, "opacity": 0.45, "filled": True},
            "transform": [{"filter": "isValid(datum.score)"}],
            "encoding": {
                "y": score_axis("score", measure),
                "tooltip": [
                    tip("method", "method"),
                    tip("class", "class"),
                    tip("ratio", "ratio", "quantitative"),
                    tip("score", measure, "quantitative", ".3f"),
                ],
            },
        },
        {
            "mark": {"type": "rule", "strokeWidth": 2},
            "transform": [{"filter": "isValid(datum.low)"}],
            "encoding": {"y": score_axis("low", measure), "y2": {"field": "high"}},
        },
        {
            "mark": {"type": "line", "point": {"size": 70, "filled": True}},
            "transform": [{"filter": "isValid(datum.mean)"}],
            "encoding": {
                "y": score_axis("mean", measure),
                "tooltip": [
                    tip("method", "method"),
                    tip("ratio", "ratio", "quantitative"),
                    tip("mean", measure, "quantitative", ".3f"),
                    tip("low", "95 % from", "quantitative", ".3f"),
                    tip("high", "to", "quantitative", ".3f"),
                    tip("n", "n", "quantitative"),
                ],
            },
        },
    ]
    panel = {
        "width": 300,
        "height": 220,
        "encoding": {"x": x, "color": colour},
        "layer": layers,
    }
    datasets = sorted({datum["dataset"] for datum in values})
    return chart(values, panels("dataset", datasets, panel))
