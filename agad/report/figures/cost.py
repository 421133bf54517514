"""What quality costs: test AUROC against the time spent, and the front that nothing beats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agad.report.figures.parts import (
    Datum,
    axis,
    by_mean,
    chart,
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
from agad.report.pages.page import text_table
from agad.report.pages.rounding import plain, ratio_text, score_text, seconds_text

_UNITS = (("hours", 3600), ("minutes", 60), ("seconds", 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spent:
    """A method at a ratio: the time and the mean score of all its classes."""

    dataset: str
    method: str
    level: float
    """The anomaly ratio or the label budget."""

    seconds: float
    score: float
    is_complete: bool
    """Whether every class is confirmed. The front has no method without."""

    is_best: bool = False
    """Whether the method is on the front of its data set."""


def cost_figures(board: Leaderboard) -> list[Figure]:
    """Return test AUROC against time; none before a confirmed result."""
    is_gpu = board.totals.gpu_s > 0
    found = _fronted(_spent(board, is_gpu=is_gpu))
    if not found:
        return []
    unit = "GPU time" if is_gpu else "time of the workers"
    name = level_name(board.ratios)
    standing = f" A result that stands at several {name}s has one mark." if _stands(board) else ""
    return [
        Figure(
            name="cost",
            title=f"Test AUROC against {unit}",
            caption=(
                f"Each mark: a method at a {name}, its mean over classes and the {unit} of all "
                "their trials, search and confirm. Line: the front, that is marks which no other "
                "of the data set beats for as little. Hollow: a class is missing, so it is on no "
                "front. Labels cost too, and stand in no time; differences within the intervals "
                f"of the tables are none.{standing}"
            ),
            alt=f"Test AUROC and {unit}: "
            + told(
                f"{plain(one.dataset)}, {plain(one.method)}, "
                f"{name} {ratio_text(one.level)}: {score_text(one.score)} for "
                f"{seconds_text(one.seconds)}" + (", on the front" if one.is_best else "")
                for one in found
            ),
            spec=_spec(found, unit, name),
            table=text_table(
                [
                    ("data set", lambda one: one.dataset),
                    ("method", lambda one: one.method),
                    (name, lambda one: ratio_text(one.level)),
                    ("test AUROC", lambda one: score_text(one.score)),
                    (unit, lambda one: seconds_text(one.seconds)),
                    ("on the front", lambda one: "yes" if one.is_best else "no"),
                ],
                found,
            ),
        )
    ]


def _stands(board: Leaderboard) -> bool:
    return any(cell.stands_for for cell in board.cells)


def _spent(board: Leaderboard, *, is_gpu: bool) -> list[_Spent]:
    cells = by_mean([*board.cells, *board.searches])
    found = []
    # The mean over all classes alone: a search on development classes is paid for all of them.
    for one in (ratio for ratio in board.ratios if not ratio.left_out):
        group = cells[mean_key(one)]
        seconds = math.fsum(cell.gpu_s if is_gpu else cell.total_s for cell in group)
        if one.test_auroc is not None and seconds > 0:
            found.append(
                _Spent(
                    dataset=one.dataset,
                    method=series(one),
                    level=level(one),
                    seconds=seconds,
                    score=one.test_auroc,
                    is_complete=one.num_missing == 0,
                )
            )
    return found


def _fronted(found: Sequence[_Spent]) -> list[_Spent]:
    """Mark the front of each data set: no complete method is better there and no dearer."""
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


def _spec(found: Sequence[_Spent], unit: str, level_of: str) -> Spec:
    longest = max(one.seconds for one in found)
    name, seconds = next(
        (name, seconds) for name, seconds in _UNITS if longest >= 2 * seconds or seconds == 1
    )
    values: list[Datum] = [
        {
            "dataset": plain(one.dataset),
            "method": plain(one.method),
            "ratio": ratio_text(one.level),
            "time": one.seconds / seconds,
            "score": one.score,
            "is_complete": one.is_complete,
            "is_best": one.is_best,
        }
        for one in found
    ]
    methods = {datum["method"] for datum in values}
    ratios = [ratio_text(ratio) for ratio in sorted({one.level for one in found})]
    title = "anomaly ratio" if level_of == "ratio" else level_of
    time = f"{unit}, {name}"
    is_hollow = {"test": "!datum.is_complete", "value": "transparent"}
    panel = layers(
        (320, 240),
        layer(
            {
                "type": "line",
                "interpolate": "step-after",
                "strokeDash": [4, 3],
                "color": "#888888",
            },
            where="datum.is_best",
        ),
        layer(
            {"type": "point", "size": 90, "strokeWidth": 2},
            color=keyed("method", "method", methods),
            fill=keyed("method", "method", methods, condition=is_hollow),
            shape=keyed("ratio", title, ratios, scale={"domain": ratios}),
            tooltip=[
                tip("method"),
                tip("ratio", level_of),
                score_tip("score", "test AUROC"),
                number_tip("time", time, ".3~g"),
            ],
        ),
        x=axis("time", time, scale={"zero": False, "nice": True, "padding": 30}),
        y=score_axis("score", "test AUROC"),
    )
    datasets = sorted(datum["dataset"] for datum in values)
    return chart(values, panels("dataset", datasets, panel, own_scales=["x", "y"]))
