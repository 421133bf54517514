"""AUROC and average precision against definitions that share no code with them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score  # type: ignore[import-untyped]

from agad.errors import TrialDivergedError
from agad.trial import auroc, average_precision

Metric: TypeAlias = Callable[[NDArray[np.bool_], NDArray[np.floating]], float]

_METRICS: list[Metric] = [auroc, average_precision]
_SEEDS = list(range(8))


def _drawn(seed: int, *, num_levels: int = 5) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Draw 60 scores of few levels, so that most of them are tied."""
    rng = np.random.default_rng(seed)
    is_anomaly = rng.permutation(np.arange(60) < 5 + 5 * seed)
    return is_anomaly, (rng.integers(num_levels, size=60) + is_anomaly) / 7


def _pairs(is_anomaly: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    wins = [
        1.0 if anomalous > normal else 0.5 if anomalous == normal else 0.0
        for anomalous, normal in itertools.product(scores[is_anomaly], scores[~is_anomaly])
    ]
    return sum(wins) / len(wins)


def _mean_precision(is_anomaly: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Mean, over the anomalies, of the share of anomalies at their score or above."""
    precisions = [is_anomaly[scores >= score].mean() for score in scores[is_anomaly]]
    return float(sum(precisions) / len(precisions))


@pytest.mark.parametrize("seed", _SEEDS)
@pytest.mark.parametrize("num_levels", [1, 5, 10**6], ids=["all-tied", "ties", "no-ties"])
def test_auroc_counts_pairs_with_a_tie_as_one_half(seed: int, num_levels: int) -> None:
    is_anomaly, scores = _drawn(seed, num_levels=num_levels)
    assert auroc(is_anomaly, scores) == pytest.approx(_pairs(is_anomaly, scores), abs=1e-12)


@pytest.mark.parametrize("seed", _SEEDS)
def test_auroc_is_that_of_scikit_learn(seed: int) -> None:
    is_anomaly, scores = _drawn(seed)
    assert auroc(is_anomaly, scores) == pytest.approx(roc_auc_score(is_anomaly, scores), abs=1e-12)


@pytest.mark.parametrize("seed", _SEEDS)
@pytest.mark.parametrize("num_levels", [1, 5, 10**6], ids=["all-tied", "ties", "no-ties"])
def test_average_precision_is_the_mean_precision_at_the_anomalies(
    seed: int, num_levels: int
) -> None:
    is_anomaly, scores = _drawn(seed, num_levels=num_levels)
    expected = _mean_precision(is_anomaly, scores)
    assert average_precision(is_anomaly, scores) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", _SEEDS)
def test_average_precision_is_that_of_scikit_learn(seed: int) -> None:
    is_anomaly, scores = _drawn(seed)
    expected = average_precision_score(is_anomaly, scores)
    assert average_precision(is_anomaly, scores) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("is_anomaly", "scores", "expected"),
    [
        ([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.75),
        ([0, 0, 1], [1, 2, 2], 0.75),
        ([0, 1, 0, 1], [3, 3, 3, 3], 0.5),
        ([0, 0, 1, 1], [1, 2, 3, 4], 1.0),
        ([1, 1, 0, 0], [1, 2, 3, 4], 0.0),
    ],
    ids=["textbook", "one-tie", "all-tied", "perfect", "reversed"],
)
def test_auroc_of_scores_worked_out_by_hand(
    is_anomaly: list[int], scores: list[float], expected: float
) -> None:
    assert auroc(np.array(is_anomaly, np.bool_), np.array(scores, np.float64)) == expected


@pytest.mark.parametrize(
    ("is_anomaly", "scores", "expected"),
    [
        ([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], (1 + 2 / 3) / 2),
        ([0, 0, 1], [1, 2, 2], 0.5),
        ([0, 1, 0, 1, 0], [3, 3, 3, 3, 3], 0.4),
        ([0, 0, 1, 1], [1, 2, 3, 4], 1.0),
    ],
    ids=["textbook", "one-tie", "all-tied", "perfect"],
)
def test_average_precision_of_scores_worked_out_by_hand(
    is_anomaly: list[int], scores: list[float], expected: float
) -> None:
    value = average_precision(np.array(is_anomaly, np.bool_), np.array(scores, np.float64))
    assert value == pytest.approx(expected)


@pytest.mark.parametrize("metric", _METRICS)
@pytest.mark.parametrize(
    "rescale",
    [np.exp, np.arctan, lambda scores: 3 * scores - 7, lambda scores: scores**3],
    ids=["exp", "arctan", "line", "cube"],
)
def test_a_strictly_rising_function_of_the_scores_changes_nothing(
    metric: Metric, rescale: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> None:
    is_anomaly, scores = _drawn(2)
    assert metric(is_anomaly, rescale(scores)) == pytest.approx(metric(is_anomaly, scores))


@pytest.mark.parametrize("metric", _METRICS)
@pytest.mark.parametrize("seed", _SEEDS)
def test_the_order_of_the_images_changes_nothing(metric: Metric, seed: int) -> None:
    is_anomaly, scores = _drawn(seed)
    order = np.random.default_rng(100 + seed).permutation(60)
    shuffled = metric(is_anomaly[order], scores[order])
    assert shuffled == pytest.approx(metric(is_anomaly, scores), abs=1e-12)


@pytest.mark.parametrize("seed", _SEEDS)
def test_auroc_of_negated_scores_is_the_rest_to_1(seed: int) -> None:
    is_anomaly, scores = _drawn(seed)
    assert auroc(is_anomaly, -scores) == pytest.approx(1 - auroc(is_anomaly, scores), abs=1e-12)


def test_auroc_over_all_classes_is_the_weighted_mean_of_those_of_each() -> None:
    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1, 2, 3], [50, 10, 20, 40])
    scores = rng.normal(size=120) + classes / 3
    each = [
        auroc(classes[pair] != 0, scores[pair])
        for pair in (np.isin(classes, [0, one]) for one in (1, 2, 3))
    ]
    assert auroc(classes != 0, scores) == pytest.approx(np.average(each, weights=[10, 20, 40]))


@pytest.mark.parametrize("metric", _METRICS)
def test_scores_of_single_precision_are_ranked_as_they_are(metric: Metric) -> None:
    is_anomaly, scores = _drawn(3)
    single = scores.astype(np.float32)
    assert metric(is_anomaly, single) == metric(is_anomaly, single.astype(np.float64))


@pytest.mark.parametrize("metric", _METRICS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_raises(metric: Metric, value: float) -> None:
    is_anomaly, scores = _drawn(3)
    scores[[4, 9]] = value
    with pytest.raises(TrialDivergedError, match="2 of 60 scores are not finite"):
        metric(is_anomaly, scores)


@pytest.mark.parametrize("metric", _METRICS)
@pytest.mark.parametrize(
    ("is_anomaly", "counts"),
    [([True] * 3, "3 anomalous and 0 normal"), ([False] * 3, "0 anomalous and 3 normal")],
    ids=["anomalies-alone", "normals-alone"],
)
def test_scores_of_one_class_alone_raise(
    metric: Metric, is_anomaly: list[bool], counts: str
) -> None:
    with pytest.raises(ValueError, match=f"{counts} images are scored, but .* one of each"):
        metric(np.array(is_anomaly), np.arange(3.0))


@pytest.mark.parametrize("metric", _METRICS)
def test_no_scores_raise(metric: Metric) -> None:
    with pytest.raises(ValueError, match="0 anomalous and 0 normal images are scored"):
        metric(np.zeros(0, np.bool_), np.zeros(0))
