"""The rungs of early stopping: the cutoff at each rung, and the table of a cell's rungs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agad.config import Asha, NoStopping, Scheduler, SuccessiveHalving
from agad.records import EpochRow, TrialRow, objective_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A rung of one cell: how many trials reached it, and how many trained on."""

    index: int
    """Counts from 0."""

    num_epochs: int
    """Epochs trained when the rung is reached."""

    num_entered: int
    """Search trials that reached the rung and did not diverge or fail."""

    num_promoted: int
    """Trials that entered the rung and trained on."""

    cutoff: float | None
    """The cutoff for the next trial that comes; None if that trial could not be stopped yet. Under
    ``SuccessiveHalving``, the lowest objective of the promoted trials.

    A trial met the cutoff of the trials before it, which ``stop_reason`` in its row holds.
    """


def rung_table(
    scheduler: Scheduler, trials: Iterable[TrialRow], epochs: Iterable[EpochRow]
) -> list[Rung]:
    """Rebuild the rungs of one cell from its rows; empty if the scheduler stops no trial.

    Args:
        scheduler: The study's scheduler.
        trials: All trial rows of the cell.
        epochs: All epoch rows of the cell.
    """
    climbed = {
        (row.trial_key, row.attempt)
        for row in trials
        if row.phase == "search" and row.state in ("finished", "pruned")
    }
    curves: dict[str, dict[int, float]] = defaultdict(dict)
    for row in epochs:
        objective = objective_of(row)
        if (row.trial_key, row.attempt) in climbed and objective is not None:
            curves[row.trial_key][row.epoch + 1] = objective
    table = []
    for index, num_epochs in enumerate(scheduler.milestones):
        entered = [curve for curve in curves.values() if num_epochs in curve]
        table.append(
            Rung(
                index=index,
                num_epochs=num_epochs,
                num_entered=len(entered),
                num_promoted=sum(max(curve) > num_epochs for curve in entered),
                cutoff=cutoff(scheduler, entered, num_epochs),
            )
        )
    return table


def cutoff(
    scheduler: Scheduler, curves: Sequence[Mapping[int, float]], num_epochs: int
) -> float | None:
    """Return the objective with which a trial is compared at a rung.

    None means that the trial goes on anyway or, under ``SuccessiveHalving``, that no trial is
    promoted yet.

    Args:
        scheduler: The scheduler whose rule decides.
        curves: Objectives of the other trials that reached the rung, by number of epochs trained.
            Under ``SuccessiveHalving``, objectives of all trials that reached the rung.
        num_epochs: Epochs trained at the rung.
    """
    if num_epochs not in scheduler.milestones or isinstance(scheduler, NoStopping):
        return None
    if isinstance(scheduler, Asha):
        objectives = [curve[num_epochs] for curve in curves]
        share = 1 - 1 / scheduler.reduction_factor
        return float(np.quantile(objectives, share)) if objectives else None
    if isinstance(scheduler, SuccessiveHalving):
        highest = sorted((curve[num_epochs] for curve in curves), reverse=True)
        num_promoted = scheduler.num_promoted(len(highest))
        return highest[num_promoted - 1] if num_promoted else None
    span = range(scheduler.grace_period, num_epochs + 1)
    means = [float(np.mean([one for at, one in curve.items() if at in span])) for curve in curves]
    return float(np.median(means)) if len(means) >= scheduler.min_trials else None
