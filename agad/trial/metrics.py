"""The figures that judge scores, with ties counted correctly.

Axes: N scored images.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from agad.errors import TrialDivergedError


def auroc(is_anomaly: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    """Probability that an anomalous image scores above a normal one, a tie counting one half.

    The Mann-Whitney statistic with mid-ranks in float64, which is the area under the ROC curve.

    Args:
        is_anomaly: Ground truth, shape ``(N,)``, with at least one image of each class.
        scores: Higher is more anomalous, shape ``(N,)``.

    Raises:
        TrialDivergedError: A score is not finite.
        ValueError: Only one of the two classes is there.
    """
    num_anomalies, num_normals = _count(is_anomaly, scores)
    ranks = rankdata(scores.astype(np.float64))
    statistic = ranks[is_anomaly].sum() - num_anomalies * (num_anomalies + 1) / 2
    return float(statistic / (num_anomalies * num_normals))


def average_precision(is_anomaly: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    """Mean precision over the recalled anomalies, tied scores entering together.

    Sum over the distinct scores, from the highest, of (recall gained) x (precision there).

    Args:
        is_anomaly: Ground truth, shape ``(N,)``, with at least one image of each class.
        scores: Higher is more anomalous, shape ``(N,)``.

    Raises:
        TrialDivergedError: A score is not finite.
        ValueError: Only one of the two classes is there.
    """
    num_anomalies, _ = _count(is_anomaly, scores)
    order = np.argsort(-scores.astype(np.float64), kind="stable")
    ordered = scores[order]
    found = np.cumsum(is_anomaly[order])
    last_of_tie = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    precision = found[last_of_tie] / (last_of_tie + 1)
    gained = np.diff(found[last_of_tie], prepend=0)
    return float(np.sum(gained * precision) / num_anomalies)


def label_free_objective(scores: NDArray[np.floating]) -> float:
    """Minus the mean score of held-out normal images: higher is better, and no label is needed.

    For a detector that scores by reconstruction, such as AGAD, the objective is minus the mean
    reconstruction error, at most 0. A generator that collapses to one or few images rebuilds
    held-out images badly and loses. A relative figure, such as the spread of the scores over their
    mean, would reward the collapse.

    A generator may rebuild anomalies as well. No figure of normal images alone can see this, and
    the weights of the loss decide about it: a search by this objective must not include them. The
    objective is also useless for a detector whose scores a constant output makes zero.

    Args:
        scores: Scores of images taken for normal; higher is more anomalous, shape ``(N,)``, N above
            0.

    Raises:
        TrialDivergedError: A score is not finite.
    """
    _check_finite(scores)
    return -float(scores.astype(np.float64).mean())


def _check_finite(scores: NDArray[np.floating]) -> None:
    if not np.isfinite(scores).all():
        num_bad = int((~np.isfinite(scores)).sum())
        raise TrialDivergedError(f"{num_bad} of {len(scores)} scores are not finite")


def _count(is_anomaly: NDArray[np.bool_], scores: NDArray[np.floating]) -> tuple[int, int]:
    _check_finite(scores)
    num_anomalies = int(is_anomaly.sum())
    num_normals = len(is_anomaly) - num_anomalies
    if num_anomalies == 0 or num_normals == 0:
        raise ValueError(
            f"{num_anomalies} anomalous and {num_normals} normal images are scored, but an area "
            "needs at least one of each"
        )
    return num_anomalies, num_normals
