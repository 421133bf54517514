"""How a cell's best configurations are trained again."""

from __future__ import annotations

from dataclasses import dataclass

from agad.config.counts import check_count


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """Train each cell's best configurations again; only the winner's trials see the test split."""

    seeds: int = 3
    """Fresh seeds of a cell. A candidate has a trial for each seed, which trains all epochs and is
    never stopped."""

    candidates: int = 1
    """Number of a search's best configurations to confirm. If there are several, the highest mean
    objective over the fresh seeds wins."""

    keep_every: int | None = None
    """Epochs from one kept checkpoint of a winner's trial to the next; the checkpoint of the last
    epoch is kept too. ``agad diagnose`` needs these checkpoints; None keeps none. The value changes
    no result, and applies to trials that are confirmed from then on."""

    def __post_init__(self) -> None:
        check_count("confirm.seeds", self.seeds, 1)
        check_count("confirm.candidates", self.candidates, 1)
        if self.keep_every is not None:
            check_count("confirm.keep_every", self.keep_every, 1)

    @property
    def num_trials(self) -> int:
        """Confirm trials of a cell, for all its candidates."""
        return self.seeds * self.candidates
