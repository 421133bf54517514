"""The ladder of one cell: which trials go on, and which trials are best."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agad.config import Asha, Labelled, Median, Scheduler, SuccessiveHalving, count_text
from agad.search.rungs import cutoff

Action: TypeAlias = Literal["go on", "stop", "pause"]
"""The next step of a trial after an epoch."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A ladder's decision on a trial after an epoch."""

    action: Action = "go on"
    reason: str = ""
    """Rule, rung, objective and cutoff if the trial is stopped; else empty."""


class Ladder:
    """The objectives of a cell's trials after each epoch, and the rule that stops some trials.

    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020,
    algorithm 2, in the stopping form of Ray's ``ASHAScheduler``. A trial that equals the cutoff
    goes on in Ray and is stopped here: otherwise a cell with saturated objectives would stop no
    trial. Under ``SuccessiveHalving`` the algorithm is the paper's own: trials pause at each rung,
    and some are promoted.
    """

    def __init__(self, scheduler: Scheduler, objective: str = Labelled.objective) -> None:
        """Start empty.

        Args:
            scheduler: The rule that stops trials.
            objective: Name of the objective, for the reasons.
        """
        self._scheduler = scheduler
        self._objective = objective
        self._curves: dict[str, dict[int, float]] = defaultdict(dict)
        """Objectives by trial and number of epochs trained."""

        self._paused: dict[str, int] = {}
        """Epochs trained by each trial that waits at a rung."""

        self._passed: dict[str, int] = {}
        """Epochs at the highest rung past which a trial was promoted."""

    def record(self, trial_key: str, num_epochs: int, objective: float) -> None:
        """Keep a trial's objective after ``num_epochs``; a second call changes nothing."""
        self._curves[trial_key].setdefault(num_epochs, objective)

    def decide(
        self, trial_key: str, num_epochs: int, objective: float, *, is_restored: bool = False
    ) -> Decision:
        """Record an objective and decide the next step of the trial.

        The objective is compared with those of the trials that reached the rung before. A trial
        that comes to the same rung again, after a worker's death, is not decided again. Under
        ``SuccessiveHalving``, a trial pauses again unless it was promoted from that rung.

        If no checkpoint holds a rung that an earlier driver decided, the rung decides again, among
        the trials that are there now. The rule is the same. A trial that ran alone meets the same
        other trials as before. If the trial meets more, its row has the rung that counted.

        Args:
            trial_key: The trial.
            num_epochs: Epochs that the trial has trained.
            objective: The value that the study maximises, after ``num_epochs``.
            is_restored: Whether a checkpoint holds these epochs. The trial went on at their rungs
                before, maybe under an earlier driver, and later trials do not change that. Under
                ``SuccessiveHalving`` this has no effect: the checkpoint comes before the pause.
        """
        is_decided = is_restored or num_epochs in self._curves[trial_key]
        self.record(trial_key, num_epochs, objective)
        if isinstance(self._scheduler, SuccessiveHalving):
            is_rung = num_epochs in self._scheduler.milestones
            if not is_rung or num_epochs <= self._passed.get(trial_key, 0):
                return Decision()
            self._paused[trial_key] = num_epochs
            return Decision("pause")
        others = [
            curve for key, curve in self._curves.items() if key != trial_key and num_epochs in curve
        ]
        bar = None if is_decided else cutoff(self._scheduler, others, num_epochs)
        if bar is None:
            return Decision()
        return self._held_against(bar, trial_key, num_epochs, len(others))

    def take_up(self, trial_key: str, objectives: Sequence[float], *, is_paused: bool) -> None:
        """Add a trial that paused under an earlier driver, and may have been promoted since.

        Args:
            trial_key: The trial.
            objectives: The value that the study maximises, after each epoch up to the rung.
            is_paused: Whether the trial still waits at the rung.
        """
        for epoch, objective in enumerate(objectives):
            self.record(trial_key, epoch + 1, objective)
        waits = self._paused if is_paused else self._passed
        waits[trial_key] = len(objectives)

    @property
    def paused(self) -> list[str]:
        """The trials that wait at a rung."""
        return list(self._paused)

    @property
    def promotable(self) -> str | None:
        """The trial to promote now; None if no trial may be promoted.

        Of the trials that may leave the highest rung, the best is promoted. If several are equal,
        the lowest key wins: a later driver does not know which trial came first.
        """
        if not self._paused:
            return None
        for num_epochs in reversed(self._scheduler.milestones):
            for trial_key in self._promoted_from(num_epochs):
                if self._paused.get(trial_key) == num_epochs:
                    return trial_key
        return None

    def promote(self, trial_key: str) -> None:
        """Let a paused trial go on to the next rung."""
        self._passed[trial_key] = self._paused.pop(trial_key)

    def give_up(self, trial_key: str) -> str:
        """Stop a paused trial for good; return the reason: rule, rung, objective and cutoff."""
        num_epochs = self._paused.pop(trial_key)
        entered = [curve for curve in self._curves.values() if num_epochs in curve]
        bar = cutoff(self._scheduler, entered, num_epochs)
        scheduler = self._scheduler
        assert isinstance(scheduler, SuccessiveHalving)
        num = scheduler.num_promoted(len(entered))
        lowest = "" if bar is None else f", the lowest of which has {bar:.6f}"
        return (
            f"{scheduler.rule}, {self._rung(num_epochs)}: {self._objective} "
            f"{self._curves[trial_key][num_epochs]:.6f} is not among the {num} of {len(entered)} "
            f"that go on{lowest}"
        )

    def _promoted_from(self, num_epochs: int) -> list[str]:
        """Return the best 1/eta of the trials that reached a rung, the best first."""
        assert isinstance(self._scheduler, SuccessiveHalving)
        entered = [key for key, curve in self._curves.items() if num_epochs in curve]
        entered.sort(key=lambda key: (-self._curves[key][num_epochs], key))
        return entered[: self._scheduler.num_promoted(len(entered))]

    def _rung(self, num_epochs: int) -> str:
        epochs = count_text(num_epochs, "epoch")
        return f"rung {self._scheduler.milestones.index(num_epochs)} after {epochs}"

    def _held_against(
        self, bar: float, trial_key: str, num_epochs: int, num_others: int
    ) -> Decision:
        scheduler, curve = self._scheduler, self._curves[trial_key]
        rung = self._rung(num_epochs)
        if isinstance(scheduler, Asha) and curve[num_epochs] <= bar:
            return Decision(
                "stop",
                f"ASHA, {rung}: {self._objective} {curve[num_epochs]:.6f} does not beat "
                f"{bar:.6f}, the 1 - 1/{scheduler.reduction_factor} quantile of {num_others} "
                "before it",
            )
        best = max(one for at, one in curve.items() if at <= num_epochs)
        if isinstance(scheduler, Median) and best < bar:
            return Decision(
                "stop",
                f"median rule, {rung}: best {self._objective} {best:.6f} is below {bar:.6f}, the "
                f"median of the means of {count_text(num_others, 'other')}",
            )
        return Decision()

    def forget(self, trial_key: str) -> None:
        """Take a trial that diverged or failed out of the choice of the best."""
        self._curves.pop(trial_key, None)
        self._paused.pop(trial_key, None)

    def last_objective(self, trial_key: str) -> float:
        """Return the objective of a ranked trial after its last epoch."""
        curve = self._curves[trial_key]
        return curve[max(curve)]

    def ranking(self) -> list[list[str]]:
        """Return all trials that reached a rung, the best first; trials that tie stand together.

        The best trials have the highest objective at the highest rung that two trials reached. The
        full budget counts as a rung. The trials that reached the next rung below follow, and so on.
        If no rung was reached by two trials, one trial is enough.
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
