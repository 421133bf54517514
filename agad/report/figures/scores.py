"""How confirmed models score the test images: ROC curves, and scores of normals and anomalies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agad.config import count_text
from agad.records import TrialRow
from agad.report.figures.figure_data import FigureData, Scores
from agad.report.figures.parts import (
    Datum,
    axis,
    cell_groups,
    chart,
    layer,
    layers,
    number_tip,
    numbered,
    panels,
    score_tip,
    tip,
    told,
)
from agad.report.figures.render import Figure, Spec
from agad.report.numbers.leaderboard import Leaderboard
from agad.report.numbers.results import CellResult
from agad.report.pages.rounding import confirmed_text, plain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NUM_RATES = 41
"""False-positive rates at which a curve is drawn."""

_NUM_BINS = 30
_TOP_SHARE = 0.995
"""The share of scores below the end of the last bin, so that no outlier widens the bins."""

_SQUARE_PX = (190, 190)
_WIDE_PX = (230, 130)
_DIGITS = 5


@dataclass(frozen=True, slots=True)
class _Models:
    """The confirmed models of one cell that have scores, in order of seed."""

    cell: CellResult
    places: list[int]
    """Places of the models in ``FigureData.trials``."""


def score_figures(board: Leaderboard, figure_data: FigureData) -> list[Figure]:
    """Return the curves, then the histograms, of some cells each; none without scores."""
    scores = figure_data.scores
    if scores is None or not len(scores.trial):
        return []
    groups = cell_groups(_models(board, figure_data, scores))
    return [
        *numbered(_roc_figure(group, scores, figure_data.trials) for group in groups),
        *numbered(_histogram_figure(group, scores) for group in groups),
    ]


def _models(board: Leaderboard, figure_data: FigureData, scores: Scores) -> list[_Models]:
    """Return each cell whose models have scores of normal and of anomalous images."""
    place_of = {row.trial_key: place for place, row in enumerate(figure_data.trials)}
    confirmed = figure_data.confirmed_rows
    found = []
    for cell in board.cells:
        places = [
            place_of[row.trial_key]
            for row in sorted(confirmed.get(cell.cell, ()), key=lambda row: row.seeds)
            if row.test_auroc is not None
        ]
        both = [place for place in places if _has_both(scores, place)]
        if both:
            found.append(_Models(cell, both))
    return found


def _has_both(scores: Scores, place: int) -> bool:
    is_anomaly = scores.is_anomaly[scores.span(place)]
    return bool(is_anomaly.any() and not is_anomaly.all())


def _roc_figure(group: Sequence[_Models], scores: Scores, trials: Sequence[TrialRow]) -> Figure:
    import numpy as np

    rates = np.linspace(0, 1, _NUM_RATES)
    values: list[Datum] = []
    for one in group:
        curves = np.array([_detected(scores, model, rates) for model in one.places])
        columns = (rates, curves.mean(axis=0), curves.min(axis=0), curves.max(axis=0))
        values += [
            {"cell": plain(one.cell.cell)}
            | {
                name: round(value, _DIGITS)
                for name, value in zip(("fpr", "mean", "low", "high"), point, strict=True)
            }
            for point in np.stack(columns, axis=1).tolist()
        ]
    num_models = sum(len(one.places) for one in group)
    seeds = {seed for one in group for model in one.places for seed in trials[model].seeds}
    return Figure(
        name="roc",
        title="ROC curves on the test images",
        caption=(
            f"{count_text(num_models, 'confirmed model')} of {count_text(len(seeds), 'seed')}. "
            "Line: mean over a cell's seeds "
            "of the detection rate at each false-positive rate; band: from the lowest to the "
            "highest seed, no interval. Diagonal: chance. Each model's AUROC is that of its whole "
            "curve, of which 41 points are drawn."
        ),
        alt="ROC curves; test AUROC: "
        + told(f"{plain(one.cell.cell)}: {confirmed_text(one.cell)}" for one in group),
        spec=_roc_spec(values),
    )


def _detected(scores: Scores, place: int, rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of anomalies found at some false-positive rates, ties on the diagonal."""
    import numpy as np

    span = scores.span(place)
    is_anomaly, score = scores.is_anomaly[span], scores.score[span]
    order = np.argsort(-score, kind="stable")
    is_last_of_ties = np.append(np.diff(score[order]) != 0, True)
    found = np.append(0, np.cumsum(is_anomaly[order])[is_last_of_ties])
    false = np.append(0, np.cumsum(~is_anomaly[order])[is_last_of_ties])
    # A curve rises where several points have one rate: the highest of them counts.
    above = np.searchsorted(false / false[-1], rates, side="right") - 1
    exact = false[above] / false[-1] == rates
    between: NDArray[np.float64] = np.interp(rates, false / false[-1], found / found[-1])
    return np.where(exact, found[above] / found[-1], between)


def _roc_spec(values: Sequence[Datum]) -> Spec:
    looks: Spec = {"scale": {"domain": [0, 1]}, "axis": {"tickCount": 5}}
    x = axis("fpr", "false-positive rate", **looks)
    y = axis("mean", "detection rate", **looks)
    panel = layers(
        _SQUARE_PX,
        {"data": {"values": [{"fpr": 0, "mean": 0}, {"fpr": 1, "mean": 1}]}}
        | layer({"type": "line", "strokeDash": [4, 4], "color": "#8a8a8a"}, y=y),
        layer({"type": "area", "opacity": 0.3}, y=y | {"field": "low"}, y2={"field": "high"}),
        layer(
            {"type": "line", "strokeWidth": 1.5},
            y=y,
            tooltip=[
                score_tip("fpr", "false-positive rate"),
                score_tip("mean", "detection rate, mean"),
                score_tip("low", "lowest seed"),
                score_tip("high", "highest seed"),
            ],
        ),
        x=x,
    )
    return chart(values, panels("cell", [datum["cell"] for datum in values], panel))


def _histogram_figure(group: Sequence[_Models], scores: Scores) -> Figure:
    values = [datum for one in group for datum in _bins(one, scores)]
    counts = [scores.is_anomaly[scores.span(one.places[0])] for one in group]
    num_normals = sum(int((~one).sum()) for one in counts)
    num_anomalies = sum(int(one.sum()) for one in counts)
    return Figure(
        name="scores",
        title="Scores of normal and anomalous test images",
        caption=(
            f"One model a cell, of the first seed and not of the best: {num_normals:,} normal and "
            f"{num_anomalies:,} anomalous test images in all. Height: share of the kind, so "
            f"that few and many compare; the last bar also holds the highest "
            f"{1 - _TOP_SHARE:.1%} of the scores. Scores of two cells have no common scale."
        ),
        alt="Histograms of the scores; test AUROC over the seeds: "
        + told(f"{plain(one.cell.cell)}: {confirmed_text(one.cell)}" for one in group),
        spec=_histogram_spec(values),
    )


def _bins(one: _Models, scores: Scores) -> list[Datum]:
    import numpy as np

    span = scores.span(one.places[0])
    is_anomaly, score = scores.is_anomaly[span], scores.score[span]
    low, high = float(score.min()), float(np.quantile(score, _TOP_SHARE))
    edges = np.linspace(low, high if high > low else low + 1, _NUM_BINS + 1)
    values: list[Datum] = []
    for kind, of_kind in (("normal", score[~is_anomaly]), ("anomalous", score[is_anomaly])):
        counts, _ = np.histogram(np.minimum(of_kind, edges[-1]), edges)
        values += [
            {
                "cell": plain(one.cell.cell),
                "kind": kind,
                "from": start,
                "to": end,
                "share": count / len(of_kind),
                "count": count,
            }
            for start, end, count in zip(
                edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True
            )
            if count
        ]
    return values


def _histogram_spec(values: Sequence[Datum]) -> Spec:
    bars = layer(
        {"type": "bar", "opacity": 0.55, "binSpacing": 0},
        x=axis(
            "from",
            "score",
            bin={"binned": True},
            scale={"zero": False, "nice": False},
            axis={"format": ".2~g", "labelOverlap": True, "tickCount": 6},
        ),
        x2={"field": "to"},
        y=axis("share", "share of the kind", stack=None, axis={"format": ".0%"}),
        color=axis("kind", "test image", "nominal", scale={"domain": ["normal", "anomalous"]}),
        tooltip=[
            tip("kind", "test images"),
            number_tip("count", "number"),
            number_tip("from", "scores from", ".3~g"),
            number_tip("to", "to", ".3~g"),
        ],
    )
    panel = {"width": _WIDE_PX[0], "height": _WIDE_PX[1], **bars}
    cells = [datum["cell"] for datum in values]
    return chart(values, panels("cell", cells, panel, own_scales=["x", "y"]))
