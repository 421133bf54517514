"""The one-class protocol: who is fitted, who validates, and that nobody does both."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from agad.data.streams import Purpose, stream
from agad.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class OneClass:
    """One class is normal; every other is anomalous.

    Source: AGAD, section 4; Ruff et al., "Deep One-Class Classification", ICML 2018.
    """

    normal_class: int
    anomaly_ratio: float
    """gamma = a / (n + a), in [0, 1), of n fitted normals and a labelled anomalies."""

    num_val_anomalies: int
    """Labelled anomalies for validation, outside the ratio's budget."""

    val_share: float
    """Share of the class's training images held out, in (0, 1); at least one image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneClassSplit:
    """Disjoint indices into the training images of a data set, each ascending."""

    fit_normals: NDArray[np.intp]
    fit_anomalies: NDArray[np.intp]
    """Labelled anomalies that the detector trains on."""

    val_normals: NDArray[np.intp]
    val_anomalies: NDArray[np.intp]
    """Labelled anomalies that the validation AUROC needs."""


def num_labelled_anomalies(num_normals: int, anomaly_ratio: float) -> int:
    """Count the anomalies that give a ratio: floor(gamma n / (1 - gamma)).

    The arithmetic is exact in the decimal digits of the ratio, so .2 of 5,000 is 1,250.

    Source: AGAD, section 4: gamma = a / (n + a).
    """
    gamma = Fraction(repr(anomaly_ratio))
    return int(gamma * num_normals / (1 - gamma))


def one_class_split(labels: NDArray[np.int64], protocol: OneClass, seed: int) -> OneClassSplit:
    """Draw who is fitted and who validates from the training images of a data set.

    ``val_share`` of the class's images validate and the rest is fitted. Validation anomalies are
    drawn first, the same at every ratio, then the labelled ones from what is left: both over all
    other classes evenly, without repetition, and those of a lower ratio are among those of a
    higher one.

    Args:
        labels: Class of each training image, shape ``(num_images,)``.
        protocol: The normal class and the label budget.
        seed: The trial's; the same seed gives the same split on any machine.

    Raises:
        ConfigError: The class is not there, or too few images are.
    """
    normals = np.flatnonzero(labels == protocol.normal_class)
    anomalies = np.flatnonzero(labels != protocol.normal_class)
    num_val = max(1, round(protocol.val_share * len(normals)))
    num_fit = len(normals) - num_val
    if num_fit < 2:
        raise ConfigError(
            f"normal class {protocol.normal_class} has {len(normals)} training images, but needs "
            f"2 to fit beside {num_val} to validate; choose another class or a smaller "
            "selection.val_share."
        )
    num_labelled = num_labelled_anomalies(num_fit, protocol.anomaly_ratio)
    num_available = len(anomalies) - protocol.num_val_anomalies
    if num_available < 0:
        raise ConfigError(
            f"selection.num_anomalies is {protocol.num_val_anomalies}, but the training images "
            f"hold {len(anomalies)} anomalies; use at most so many."
        )
    if num_labelled > num_available:
        limit = math.floor(1000 * num_available / (num_available + num_fit)) / 1000
        raise ConfigError(
            f"cells.anomaly_ratio is {protocol.anomaly_ratio:g}, which needs {num_labelled} "
            f"anomalies beside the {protocol.num_val_anomalies} for validation, but the training "
            f"images hold {len(anomalies)}; use a ratio of at most {limit}, or a smaller "
            "selection.num_anomalies."
        )

    shuffled = stream(seed, Purpose.VAL_NORMALS).permutation(normals)
    order = _balanced_order(labels, anomalies, stream(seed, Purpose.VAL_ANOMALIES))
    rest = np.sort(order[protocol.num_val_anomalies :])
    rest = _balanced_order(labels, rest, stream(seed, Purpose.FIT_ANOMALIES))
    return OneClassSplit(
        fit_normals=np.sort(shuffled[num_val:]),
        fit_anomalies=np.sort(rest[:num_labelled]),
        val_normals=np.sort(shuffled[:num_val]),
        val_anomalies=np.sort(order[: protocol.num_val_anomalies]),
    )


def _balanced_order(
    labels: NDArray[np.int64], indices: NDArray[np.intp], rng: np.random.Generator
) -> NDArray[np.intp]:
    """Shuffle so that every prefix holds the classes as evenly as their sizes allow."""
    if len(indices) == 0:
        return indices
    classes = rng.permutation(np.unique(labels[indices]))
    members = [rng.permutation(indices[labels[indices] == label]) for label in classes]
    place = np.concatenate([np.arange(len(one)) for one in members])
    # A stable sort by place in the class deals one of each class in turn.
    return np.concatenate(members)[np.argsort(place, kind="stable")]
