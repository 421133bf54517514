"""What figures are drawn from beside the leaderboard, a million epochs among it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agad.config import Labelled, NoStopping, Scheduler, Search
from agad.records import TrialRow, Winner

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """The objective of every trial after every epoch: one element an epoch of a trial.

    In order of trial, then of epoch; all arrays have one shape, ``(num_rows,)``.
    """

    trial: NDArray[np.int64]
    """Place of the trial in ``FigureData.trials``."""

    num_epochs: NDArray[np.int64]
    """Epochs trained, from 1 on."""

    objective: NDArray[np.float64]
    """What the study maximises; NaN where there is none."""

    def spans(self, places: Sequence[int]) -> list[slice]:
        """Return where the epochs of each of some trials stand."""
        return _spans(self.trial, places)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The scores of every test image by every model that has any: one element each.

    In order of trial; all arrays have one shape, ``(num_rows,)``.
    """

    trial: NDArray[np.int64]
    """Place of the trial in ``FigureData.trials``."""

    is_anomaly: NDArray[np.bool_]
    score: NDArray[np.float64]
    """Higher is more anomalous."""

    def span(self, place: int) -> slice:
        """Return where the scores of a trial stand."""
        return _spans(self.trial, [place])[0]


def _spans(trial: NDArray[np.int64], places: Sequence[int]) -> list[slice]:
    import numpy as np

    starts = np.searchsorted(trial, places).tolist()
    ends = np.searchsorted(trial, places, side="right").tolist()
    return [slice(start, end) for start, end in zip(starts, ends, strict=True)]


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
class FigureData:
    """The rows behind a leaderboard. All but the trials may be missing."""

    trials: Sequence[TrialRow]
    """One row a trial key, as the leaderboard was made from."""

    winners: Mapping[str, Winner] = field(default_factory=dict)
    """As the leaderboard was made with."""

    search: Search | None = None
    """The study's space; None where it is not known."""

    scheduler: Scheduler = field(default_factory=lambda: NoStopping(max_epochs=1))
    objective: str = Labelled.objective
    """What the study maximises."""

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

    @property
    def search_places(self) -> dict[str, list[int]]:
        """The places of each cell's search trials in ``trials``, by its label, in their order."""
        found: dict[str, list[int]] = defaultdict(list)
        for place, row in enumerate(self.trials):
            if row.phase == "search":
                found[row.cell].append(place)
        return found
