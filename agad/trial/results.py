"""The results of a trial: its epochs, and how its model did on the test split.

Axes: N images of the test part.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from agad.data import Subset


@dataclass(frozen=True, slots=True, kw_only=True)
class TestPart:
    """The whole test split of a trial."""

    __test__ = False  # Not a test class, whatever pytest reads into its name.

    images: Subset
    """All images of the test split, in their order, on the device."""

    labels: NDArray[np.int64]
    """Class of each image, shape ``(N,)``."""

    is_anomaly: NDArray[np.bool_]
    """Whether the image's class is anomalous, shape ``(N,)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """How a confirmed model did on the test split, at its last epoch."""

    __test__ = False  # Not a test class, whatever pytest reads into its name.

    auroc: float
    average_precision: float

    scores: NDArray[np.float32] = field(
        default_factory=lambda: np.empty(0, np.float32), compare=False, repr=False
    )
    """Score of each image, from which both figures are computed, shape ``(N,)``; empty if not
    kept."""

    labels: NDArray[np.int32] = field(
        default_factory=lambda: np.empty(0, np.int32), compare=False, repr=False
    )
    """Class of each image, shape as ``scores``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochResult:
    """The result of one epoch of one trial."""

    epoch: int
    """Number of the epoch, from 0."""

    objective: float
    """The figure that the study maximises, after the epoch: higher is better, and never a NaN."""

    val_auroc: float | None
    """Validation AUROC after the epoch, in [0, 1]; None without validation anomalies."""

    train_s: float
    """Seconds of the epoch, training and validation."""

    losses: dict[str, float] = field(default_factory=dict)
    """Mean losses and other figures of the epoch, by name."""

    pretrain_s: float = 0.0
    """Seconds of the stages before the first epoch, in the first epoch; 0 in all others."""

    pretrain_before_s: float = field(default=0.0, compare=False)
    """Seconds of ``pretrain_s`` that an earlier attempt spent."""

    test: TestResult | None = None
    """Set at the last epoch of a trial that sees the test split; None otherwise."""

    is_restored: bool = field(default=False, compare=False)
    """Whether an earlier attempt trained the epoch, or a test trial's confirm trial did."""
