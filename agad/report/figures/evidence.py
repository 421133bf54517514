"""What figures are drawn from beside the leaderboard, a million epochs among it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agad.config import NoStopping, Scheduler, Search
from agad.records import TrialRow, Winner

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """The validation AUROC of every trial after every epoch: one element an epoch of a trial.

    The epochs of a trial stand side by side, ascending.
    """

    trial: NDArray[np.int64]
    """Place of the trial in ``Evidence.trials``."""

    num_epochs: NDArray[np.int64]
    """Epochs trained, from 1 on."""

    val_auroc: NDArray[np.float64]
    """In [0, 1]; NaN where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The scores of every test image by every model that has any: one element each.

    Those of a trial stand side by side.
    """

    trial: NDArray[np.int64]
    """Place of the trial in ``Evidence.trials``."""

    is_anomaly: NDArray[np.bool_]
    score: NDArray[np.float64]
    """Higher is more anomalous."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A test image, its reconstruction and the heat map of their difference, side by side."""

    trial_key: str
    image: int
    """Place in the data set's test part, counted from 0."""

    is_anomaly: bool
    score: float
    png: bytes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """The rows behind a leaderboard. All but the trials may be missing."""

    trials: Sequence[TrialRow]
    """One row a trial key, as the leaderboard was made from."""

    winners: Mapping[str, Winner] = field(default_factory=dict)
    """As the leaderboard was made with."""

    search: Search | None = None
    """The study's space; None where it is not known."""

    scheduler: Scheduler = field(default_factory=lambda: NoStopping(max_epochs=1))
    curves: Curves | None = None
    scores: Scores | None = None
    pictures: Sequence[Picture] = ()
    """Of confirmed models, in the order in which they are shown."""

    @property
    def by_cell(self) -> dict[str, list[TrialRow]]:
        """The trials of each cell, by its label."""
        found: dict[str, list[TrialRow]] = defaultdict(list)
        for row in self.trials:
            found[row.cell].append(row)
        return found
