"""What figures are drawn from beside the leaderboard, such as a million epochs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agad.config import Labelled, NoStopping, Scheduler, Search
from agad.records import TrialRow, Winner
from agad.report.numbers.chosen import confirmed_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """The objective of every trial after every epoch: one element an epoch of a trial.

    Ordered by trial, then by epoch. All arrays have one shape, ``(num_rows,)``.
    """

    trial: NDArray[np.int64]
    """Place of the trial in ``FigureData.trials``."""

    num_epochs: NDArray[np.int64]
    """Epochs trained, from 1 on."""

    objective: NDArray[np.float64]
    """What the study maximises; NaN if an epoch has no objective."""

    def spans(self, places: Sequence[int]) -> list[slice]:
        """Return the elements of each trial at the given places."""
        return _spans(self.trial, places)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The scores of every test image by every model that has scores: one element a score.

    Ordered by trial. All arrays have one shape, ``(num_rows,)``.
    """

    trial: NDArray[np.int64]
    """Place of the trial in ``FigureData.trials``."""

    is_anomaly: NDArray[np.bool_]
    score: NDArray[np.float64]
    """Higher is more anomalous."""

    def span(self, place: int) -> slice:
        """Return the elements of the trial at a place."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorSearch:
    """What one detector of a study searches, and what stops its trials."""

    search: Search | None = None
    """The space; None if it is not known."""

    scheduler: Scheduler = field(default_factory=lambda: NoStopping(max_epochs=1))
    objective: str = Labelled.objective
    """What the search maximises."""

    detector: str = ""
    """The registered name; of no meaning if the study has one detector."""

    cells: frozenset[str] = frozenset()
    """The labels of the detector's cells; of no meaning if the study has one detector."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FigureData:
    """The rows behind a leaderboard. All but the trials may be missing."""

    trials: Sequence[TrialRow]
    """One row a trial key: the rows that the leaderboard was made from."""

    winners: Mapping[str, Winner] = field(default_factory=dict)
    """The winners that the leaderboard was made with, by the cell's label."""

    searches: Sequence[DetectorSearch] = (DetectorSearch(),)
    """One for each detector of the study, in its order."""

    curves: Curves | None = None
    scores: Scores | None = None
    pictures: Sequence[Picture] = ()
    """Pictures of confirmed models, in the order in which a page shows them."""

    @property
    def search(self) -> Search | None:
        """The space of the only detector."""
        return self._only.search

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler of the only detector."""
        return self._only.scheduler

    @property
    def objective(self) -> str:
        """What the only detector's search maximises."""
        return self._only.objective

    @property
    def _only(self) -> DetectorSearch:
        (only,) = self.searches
        return only

    @property
    def search_places(self) -> dict[str, list[int]]:
        """The places of each cell's search trials in ``trials``, by the cell's label, in order."""
        found: dict[str, list[int]] = defaultdict(list)
        for place, row in enumerate(self.trials):
            if row.phase == "search":
                found[row.cell].append(place)
        return found

    @property
    def search_rows(self) -> dict[str, list[TrialRow]]:
        """Each cell's search trials, by the cell's label, in order."""
        return {
            cell: [self.trials[place] for place in places]
            for cell, places in self.search_places.items()
        }

    @property
    def confirmed_rows(self) -> dict[str, Sequence[TrialRow]]:
        """The trials of each cell's confirmed configuration, by the cell's label."""
        found: dict[str, list[TrialRow]] = defaultdict(list)
        for row in self.trials:
            found[row.cell].append(row)
        return {cell: confirmed_rows(rows, self.winners.get(cell)) for cell, rows in found.items()}
