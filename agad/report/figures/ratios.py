"""Test AUROC and average precision against the anomaly ratio or the label budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agad.records import TrialRow
from agad.report.figures.figure_data import FigureData
from agad.report.figures.parts import (
    Datum,
    axis,
    by_mean,
    chart,
    first_upper,
    keyed,
    layer,
    layers,
    level,
    level_name,
    mean_key,
    number_tip,
    panels,
    score_axis,
    score_tip,
    series,
    tip,
    told,
)
from agad.report.figures.render import Figure, Spec
from agad.report.numbers.leaderboard import Leaderboard
from agad.report.numbers.results import RatioResult
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
    """The detector, its variant, and the development classes that the mean leaves out."""

    score: float
    interval: Interval | None
    classes: Sequence[tuple[int | str, float | None]]
    """Each class and its mean over seeds."""

    num_seeds: int
    """Confirm seeds that ran at this ratio: a result that stands at several has its seeds once."""


def ratio_figures(board: Leaderboard, figure_data: FigureData) -> list[Figure]:
    """Return AUROC, then average precision, against the ratio; none before a confirmed result."""
    cells = by_mean(board.cells)
    confirmed = figure_data.confirmed_rows
    aurocs, average_precisions = [], []
    for one in board.ratios:
        name = series(one) + (f" without {left_out_text(one)}" if one.left_out else "")
        group = [
            cell for cell in cells[mean_key(one)] if not (one.left_out and cell.is_development)
        ]
        num_seeds = sum(cell.num_confirmed for cell in group if not cell.stands_for)
        if one.test_auroc is not None:
            means = [(cell.given_class, cell.test_auroc) for cell in group]
            aurocs.append(_Point(one, name, one.test_auroc, one.interval, means, num_seeds))
        if one.test_average_precision is not None:
            means = [(cell.given_class, cell.test_average_precision) for cell in group]
            seeds = [_precisions(confirmed.get(c.origin, ())) for c in group if c.num_confirmed]
            interval = mean_interval([of_cell for of_cell in seeds if of_cell])
            average_precisions.append(
                _Point(one, name, one.test_average_precision, interval, means, num_seeds)
            )
    return [
        *_figure("auroc-by-ratio", "test AUROC", aurocs),
        *_figure("average-precision-by-ratio", "test average precision", average_precisions),
    ]


def _precisions(rows: Sequence[TrialRow]) -> list[float]:
    """Return the average precision of each confirm seed."""
    return [
        row.test_average_precision
        for row in rows
        if row.state == "finished" and row.test_average_precision is not None
    ]


def _figure(name: str, measure: str, points: Sequence[_Point]) -> list[Figure]:
    if not points:
        return []
    # The mean over all classes already counts every seed of a mean that leaves classes out.
    whole = [point.of for point in points if not point.of.left_out]
    axis_name = _axis_name(points)
    num_seeds = sum(point.num_seeds for point in points if not point.of.left_out)
    num_missing = sum(one.num_missing for one in whole)
    missing = (
        f" {count_text(num_missing, 'cell')} without a confirmed seed: in no mean."
        if num_missing
        else ""
    )
    return [
        Figure(
            name=name,
            title=f"{first_upper(measure)} against {axis_name}",
            caption=(
                f"Large marks: means over classes of n = {num_seeds} confirm seeds in all; bars: "
                "their 95 % intervals over seeds, none where a class has one seed; small marks: "
                "each class. The intervals say nothing of other classes or other test images."
                + missing
            ),
            alt=f"{first_upper(measure)} at each {axis_name}: "
            + told(
                f"{plain(point.of.dataset)}, {plain(point.method)}, {level_name(whole)} "
                f"{ratio_text(level(point.of))}: {score_text(point.score)} "
                f"({interval_text(point.interval)})"
                for point in points
            ),
            spec=_spec(measure, points),
            table=text_table(
                [
                    ("data set", lambda point: point.of.dataset),
                    ("method", lambda point: point.method),
                    (level_name(whole), lambda point: ratio_text(level(point.of))),
                    (measure, lambda point: score_text(point.score)),
                    ("95 % interval", lambda point: interval_text(point.interval)),
                    ("classes", lambda point: classes_text(point.of)),
                    ("n", lambda point: str(point.of.num_confirmed)),
                ],
                points,
            ),
        )
    ]


def _axis_name(points: Sequence[_Point]) -> str:
    name = level_name(point.of for point in points)
    return "anomaly ratio" if name == "ratio" else name


def _spec(measure: str, points: Sequence[_Point]) -> Spec:
    values = [datum for point in points for datum in _data(point)]
    methods = {datum["method"] for datum in values}
    name = level_name(point.of for point in points)
    ratios = sorted({datum["ratio"] for datum in values})
    panel = layers(
        (300, 220),
        layer(
            {"type": "point", "size": 16, "opacity": 0.45, "filled": True},
            where="isValid(datum.score)",
            y=score_axis("score", measure),
            tooltip=[
                tip("method"),
                tip("class"),
                number_tip("ratio", name),
                score_tip("score", measure),
            ],
        ),
        layer(
            {"type": "rule", "strokeWidth": 2},
            where="isValid(datum.low)",
            y=score_axis("low", measure),
            y2={"field": "high"},
        ),
        layer(
            {"type": "line", "point": {"size": 70, "filled": True}},
            where="isValid(datum.mean)",
            y=score_axis("mean", measure),
            tooltip=[
                tip("method"),
                number_tip("ratio", name),
                score_tip("mean", measure),
                score_tip("low", "95 % from"),
                score_tip("high", "to"),
                number_tip("n"),
            ],
        ),
        x=axis(
            "ratio",
            _axis_name(points),
            axis={"values": ratios, "format": ".6~g", "labelOverlap": True},
            scale={"nice": False, "padding": 15},
        ),
        color=keyed("method", "method", methods),
    )
    return chart(values, panels("dataset", sorted(datum["dataset"] for datum in values), panel))


def _data(point: _Point) -> list[Datum]:
    """Return the mean over classes, then each class."""
    place: Datum = {
        "dataset": plain(point.of.dataset),
        "method": plain(point.method),
        "ratio": level(point.of),
    }
    mean: Datum = {
        "mean": point.score,
        "low": point.interval.low if point.interval else None,
        "high": point.interval.high if point.interval else None,
        "n": point.of.num_confirmed,
    }
    classes: list[Datum] = [
        {"class": plain(str(name)), "score": score}
        for name, score in point.classes
        if score is not None
    ]
    return [place | one for one in (mean, *classes)]
