"""One cell's ASHA ladder: who goes on, and who is best."""

from __future__ import annotations

import numpy as np

from agad.config import Asha


class Ladder:
    """The objectives of a cell's trials at each rung.

    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020,
    algorithm 2, in the stopping form of Ray's ``ASHAScheduler``; there a tie goes on, here it
    loses, since cells that saturate would otherwise stop nobody.
    """

    def __init__(self, asha: Asha) -> None:
        self._eta = asha.reduction_factor
        self._max_epochs = asha.max_epochs
        levels = (*asha.milestones, asha.max_epochs)
        self._rungs: dict[int, dict[str, float]] = {epochs: {} for epochs in levels}

    def record(self, trial_key: str, num_epochs: int, objective: float) -> None:
        """Keep a trial's objective where ``num_epochs`` is a rung or the full budget."""
        if num_epochs in self._rungs:
            self._rungs[num_epochs].setdefault(trial_key, objective)

    def survives(self, trial_key: str, num_epochs: int, objective: float) -> bool:
        """Record an objective and tell whether the trial goes on.

        At a rung it goes on when it beats the (1 - 1/eta) quantile of those that were there
        before. A trial that comes to the same rung again, after a worker's death, was decided.
        """
        before = self._rungs.get(num_epochs, {})
        if num_epochs >= self._max_epochs or trial_key in before or not before:
            self.record(trial_key, num_epochs, objective)
            return True
        cutoff = float(np.quantile(list(before.values()), 1 - 1 / self._eta))
        self.record(trial_key, num_epochs, objective)
        return objective > cutoff

    def forget(self, trial_key: str) -> None:
        """Take a trial that diverged or failed out of the choice of the best."""
        for objectives in self._rungs.values():
            objectives.pop(trial_key, None)

    def best(self) -> list[str]:
        """Return the trials with the highest objective at the highest rung that two reached.

        Where no rung was reached by two trials, one is enough. Several where they tie, none where
        no trial reached any rung.
        """
        for least in (2, 1):
            for num_epochs in sorted(self._rungs, reverse=True):
                objectives = self._rungs[num_epochs]
                if len(objectives) >= least:
                    highest = max(objectives.values())
                    return [key for key, value in objectives.items() if value == highest]
        return []
