"""One cell's ladder: who goes on, and who is best."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agad.config import Asha, Median, Scheduler
from agad.rungs import cutoff

Action: TypeAlias = Literal["go on", "stop"]
"""What becomes of a trial after an epoch."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a ladder decides of a trial after an epoch."""

    action: Action = "go on"
    reason: str = ""
    """Rule, rung, objective and cutoff of a trial that is stopped; empty for one that goes on."""


class Ladder:
    """The objectives of a cell's trials after each epoch, and the rule that stops some.

    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020,
    algorithm 2, in the stopping form of Ray's ``ASHAScheduler``; there a tie goes on, here it
    loses, since cells that saturate would otherwise stop nobody.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._curves: dict[str, dict[int, float]] = defaultdict(dict)
        """Objectives by trial and number of epochs trained."""

    def record(self, trial_key: str, num_epochs: int, objective: float) -> None:
        """Keep a trial's objective after so many epochs; the first one stays."""
        self._curves[trial_key].setdefault(num_epochs, objective)

    def decide(self, trial_key: str, num_epochs: int, objective: float) -> Verdict:
        """Record an objective and tell what becomes of the trial.

        It is held against those that reached the rung before. A trial that comes to the same rung
        again, after a worker's death, was decided.
        """
        is_decided = num_epochs in self._curves[trial_key]
        self.record(trial_key, num_epochs, objective)
        others = [
            curve for key, curve in self._curves.items() if key != trial_key and num_epochs in curve
        ]
        bar = None if is_decided else cutoff(self._scheduler, others, num_epochs)
        if bar is None:
            return Verdict()
        return self._held_against(bar, trial_key, num_epochs, len(others))

    def _held_against(
        self, bar: float, trial_key: str, num_epochs: int, num_others: int
    ) -> Verdict:
        scheduler, curve = self._scheduler, self._curves[trial_key]
        epochs = "1 epoch" if num_epochs == 1 else f"{num_epochs} epochs"
        rung = f"rung {scheduler.milestones.index(num_epochs)} after {epochs}"
        if isinstance(scheduler, Asha) and curve[num_epochs] <= bar:
            return Verdict(
                "stop",
                f"ASHA, {rung}: validation AUROC {curve[num_epochs]:.6f} does not beat "
                f"{bar:.6f}, the 1 - 1/{scheduler.reduction_factor} quantile of {num_others} "
                "before it",
            )
        best = max(one for at, one in curve.items() if at <= num_epochs)
        if isinstance(scheduler, Median) and best < bar:
            return Verdict(
                "stop",
                f"median rule, {rung}: best validation AUROC {best:.6f} is below {bar:.6f}, the "
                f"median of the means of {num_others} others",
            )
        return Verdict()

    def forget(self, trial_key: str) -> None:
        """Take a trial that diverged or failed out of the choice of the best."""
        self._curves.pop(trial_key, None)

    def ranking(self) -> list[list[str]]:
        """Return all trials that reached a rung, the best first; those that tie stand together.

        The best have the highest objective at the highest rung that two trials reached, the full
        budget being a rung too. After those that reached it come the others at the next rung below.
        Where no rung was reached by two trials, one is enough.
        """
        levels = sorted((*self._scheduler.milestones, self._scheduler.max_epochs), reverse=True)
        ranked: list[list[str]] = []
        placed: set[str] = set()
        for least in (2, 1):
            for num_epochs in levels:
                tied: dict[float, list[str]] = defaultdict(list)
                reached = [key for key, curve in self._curves.items() if num_epochs in curve]
                for key in reached if len(reached) >= least else ():
                    if key not in placed:
                        tied[self._curves[key][num_epochs]].append(key)
                ranked += [tied[objective] for objective in sorted(tied, reverse=True)]
                placed |= {key for keys in tied.values() for key in keys}
        return ranked
