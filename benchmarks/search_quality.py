"""Epochs that a search needs to reach what random search reaches with its full budget.

    python -m benchmarks.search_quality [--cells synthetic digits ladders]

Replays the real board, samplers and ladders under a virtual clock on 4 slots, on a synthetic cell
with a known optimum and on a stored table of curves of digits. A proposed configuration is
answered by the curve of the nearest one of the table, in the unit cube of the space.

- Target: the median, over 40 seeds, of the quality that random search without stopping ends at.
  Quality is what the configuration that the cell would confirm is worth after the full budget; it
  is chosen by its observed objective, as a cell chooses.
- Epochs needed: those trained, over all trials, when the choice has reached the target for good.
  A seed whose choice never does is charged with all that it spent and random's full budget.
- Ratio: random's full budget / mean epochs needed, over 10 seeds. Its 95 % interval is a bootstrap
  over both the search's seeds and the reference's.

`ladders` is the ablation: an easy and a hard cell, each with a ladder of its own, or one for both.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from agad import Asha, Grid, NoStopping, Random, Search, Study, Tpe
from agad.cli import load_study
from agad.config import Sampler, Setting
from agad.data import Library
from agad.objects import open_objects
from agad.study.cell_data import CellData, find_cell_data
from agad.trial import TrialSpec
from benchmarks.curve_table import (
    CELL,
    STUDY_FILE,
    CurveTable,
    rank_correlations,
    read_curves,
)
from benchmarks.replay import CellAnswers, Moment, Outcome, Replay
from benchmarks.synthetic import SPACE, SyntheticCell

TABLE = Path("benchmarks/curves/digits-class-8.csv")
NUM_TRIALS = 81
NUM_SEEDS = 10
NUM_REFERENCE_SEEDS = 40
NUM_RESAMPLES = 2000
SYNTHETIC_ASHA = Asha(max_epochs=27, grace_period=3, reduction_factor=3)
HARD, EASY = (0.5, 0.6), (0.85, 0.95)
"""AUROC of an untrained trial and of the best, of the two cells of the ablation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way to search."""

    name: str
    """As the table has it."""

    sampler: Sampler
    stops: bool
    """Whether ASHA stops trials."""

    num_trials: int = NUM_TRIALS


TPE_AND_ASHA = Arm(name="TPE, ASHA", sampler=Tpe(), stops=True)
REFERENCE = Arm(name="random, no stopping", sampler=Random(), stops=False)
ARMS = (
    REFERENCE,
    Arm(name="TPE, no stopping", sampler=Tpe(), stops=False),
    Arm(name="random, ASHA", sampler=Random(), stops=True),
    TPE_AND_ASHA,
    Arm(name="univariate TPE, ASHA", sampler=Tpe(multivariate=False), stops=True),
    Arm(name="random, ASHA", sampler=Random(), stops=True, num_trials=3 * NUM_TRIALS),
    replace(TPE_AND_ASHA, num_trials=3 * NUM_TRIALS),
)


def searching(study: Study, arm: Arm, seed: int) -> Study:
    """Return the study with an arm's sampler, scheduler and number of trials."""
    rule = study.scheduler
    return replace(
        study,
        search=replace(study.search, sampler=arm.sampler, trials_per_cell=arm.num_trials),
        scheduler=rule if arm.stops else NoStopping(max_epochs=rule.max_epochs),
        seed=seed,
    )


@dataclass(frozen=True, slots=True)
class SyntheticAnswers:
    """A synthetic cell's answers."""

    cell: SyntheticCell

    def observe(self, spec: TrialSpec) -> Sequence[float]:
        """Return the noisy curve of a trial."""
        return tuple(self.cell.curve(spec.params, spec.key))

    def quality(self, params: Mapping[str, Setting]) -> float:
        """Return the quality without noise."""
        return self.cell.quality(params)


@dataclass(frozen=True, slots=True)
class StoredAnswers:
    """A stored table's answers."""

    table: CurveTable

    def observe(self, spec: TrialSpec) -> Sequence[float]:
        """Return the nearest configuration's curve."""
        return self.table.nearest(spec.params).val_aurocs

    def quality(self, params: Mapping[str, Setting]) -> float:
        """Return the nearest configuration's last AUROC; 0 where it diverged."""
        curve = self.table.nearest(params)
        return 0.0 if curve.diverged else curve.val_aurocs[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A study and what answers it."""

    study: Study
    cell_data: Mapping[str, CellData]
    answers: Mapping[str, CellAnswers]

    def replay(self, arm: Arm, seed: int, *, has_shared_ladder: bool = False) -> Outcome:
        """Replay one seed of one arm."""
        return Replay(
            study=searching(self.study, arm, seed),
            cell_data=self.cell_data,
            answers=self.answers,
            has_shared_ladder=has_shared_ladder,
        ).run()


def synthetic_bench(library: Library) -> Bench:
    """Return one synthetic cell, under the name of one of digits."""
    study = _synthetic_study(Grid(dataset="digits", normal_class=8))
    cell_data = find_cell_data(study, library)
    cell = SyntheticCell(max_epochs=study.scheduler.max_epochs)
    return Bench(
        study=study, cell_data=cell_data, answers={one: SyntheticAnswers(cell) for one in cell_data}
    )


def ladders_bench(library: Library) -> Bench:
    """Return an easy and a hard synthetic cell, in this order."""
    study = _synthetic_study(Grid(dataset="digits", normal_class=[0, 8]))
    cell_data = find_cell_data(study, library)
    answers = {
        label: SyntheticAnswers(
            SyntheticCell(max_epochs=study.scheduler.max_epochs, worst=worst, best=best)
        )
        for label, (worst, best) in zip(cell_data, (EASY, HARD), strict=True)
    }
    return Bench(study=study, cell_data=cell_data, answers=answers)


def _synthetic_study(cells: Grid) -> Study:
    return Study(
        name="search-quality", cells=cells, search=Search(space=SPACE), scheduler=SYNTHETIC_ASHA
    )


def digits_bench(library: Library, path: Path) -> Bench:
    """Return the stored cell of the quickstart study."""
    study = load_study(STUDY_FILE)
    answers = StoredAnswers(CurveTable.read(path, study.search.space))
    cell_data = find_cell_data(study, library)
    return Bench(study=study, cell_data={CELL: cell_data[CELL]}, answers={CELL: answers})


def epochs_for_good(moments: Sequence[Moment], target: float) -> float:
    """Return the epochs after which the choice is never below the target again; inf if none."""
    reached = math.inf
    for moment in moments:
        reached = math.inf if moment.quality < target else min(reached, moment.epochs)
    return reached


def epochs_at_first(moments: Sequence[Moment], target: float) -> float:
    """Return the epochs after which the choice reaches the target once; inf if it never does."""
    return min((one.epochs for one in moments if one.quality >= target), default=math.inf)


Count = Callable[[Sequence[Moment], float], float]


def ratio(
    outcomes: Sequence[Outcome], target: float, budget: int, count: Count = epochs_for_good
) -> float:
    """Return the budget / the mean epochs needed, a seed that fails charged with both searches."""
    needed = []
    for outcome in outcomes:
        (moments,) = outcome.moments.values()
        epochs = count(moments, target)
        needed.append(epochs if math.isfinite(epochs) else outcome.epochs + budget)
    return budget / statistics.fmean(needed)


def end_quality(outcome: Outcome) -> float:
    """Return the quality of what the one cell confirms."""
    (moments,) = outcome.moments.values()
    return moments[-1].quality


def share_past(rung: int, outcome: Outcome) -> float:
    """Return the share of trials that trained for more epochs than a rung has."""
    epochs = [one for trained in outcome.num_epochs.values() for one in trained]
    return statistics.fmean(one > rung for one in epochs)


def ratio_interval(
    outcomes: Sequence[Outcome], reference: Sequence[float], budget: int
) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the ratio, the target drawn anew as well."""
    rng = np.random.default_rng(0)
    ratios: list[float] = []
    for _ in range(NUM_RESAMPLES):
        target = float(np.median(rng.choice(reference, len(reference))))
        drawn = [outcomes[place] for place in rng.integers(len(outcomes), size=len(outcomes))]
        ratios.append(ratio(drawn, target, budget))
    low, high = np.quantile(ratios, [0.025, 0.975]).tolist()
    return low, high


def compare(bench: Bench, title: str, console: Console) -> None:
    """Print a line for every arm."""
    budget = NUM_TRIALS * bench.study.scheduler.max_epochs
    rung = bench.study.scheduler.milestones[0]
    # Seeds of their own: the reference shares no draw with the arm that is compared to it.
    seeds = range(1000, 1000 + NUM_REFERENCE_SEEDS)
    reference = [end_quality(bench.replay(REFERENCE, seed)) for seed in seeds]
    target = float(np.median(reference))
    spread = np.quantile(reference, [0.25, 0.75])
    table = Table(
        title=f"{title}: target {target:.4f} (quartiles {spread[0]:.4f}, {spread[1]:.4f}) after "
        f"{budget:,} epochs"
    )
    for name in (
        "search",
        "trials",
        "ratio",
        "95 %",
        "at first",
        "never",
        "epochs in all",
        "past rung 0",
        "median end",
    ):
        table.add_column(name)
    for arm in ARMS:
        outcomes = [bench.replay(arm, seed) for seed in range(NUM_SEEDS)]
        low, high = ratio_interval(outcomes, reference, budget)
        never = sum(
            not math.isfinite(epochs_for_good(moments, target))
            for outcome in outcomes
            for moments in outcome.moments.values()
        )
        table.add_row(
            arm.name,
            str(arm.num_trials),
            f"{ratio(outcomes, target, budget):.2f}",
            f"{low:.2f} to {high:.2f}",
            f"{ratio(outcomes, target, budget, epochs_at_first):.2f}",
            f"{never}/{NUM_SEEDS}",
            f"{statistics.fmean(outcome.epochs for outcome in outcomes):,.0f}",
            f"{statistics.fmean(share_past(rung, one) for one in outcomes):.0%}"
            if arm.stops
            else "",
            f"{statistics.median(map(end_quality, outcomes)):.4f}",
        )
    console.print(table)


def describe(path: Path) -> str:
    """Return how much the rungs of a stored table tell of its end."""
    curves = read_curves(path)
    milestones = load_study(STUDY_FILE).scheduler.milestones
    told = ", ".join(
        f"{correlation:.2f} after {rung} epochs"
        for rung, correlation in zip(milestones, rank_correlations(curves, milestones), strict=True)
    )
    return f"{len(curves)} curves; rank correlation with their end: {told}."


def compare_ladders(bench: Bench, console: Console) -> None:
    """Print a line for every cell under its own and under a shared ladder."""
    first_rung = bench.study.scheduler.milestones[0]
    table = Table(title=f"TPE + ASHA, 2 cells x {NUM_TRIALS} trials, mean of {NUM_SEEDS} seeds")
    for name in ("ladder", "cell", "past the first rung", "epochs", "end quality", "95 %"):
        table.add_column(name)
    for has_shared_ladder in (False, True):
        outcomes = [
            bench.replay(TPE_AND_ASHA, seed, has_shared_ladder=has_shared_ladder)
            for seed in range(NUM_SEEDS)
        ]
        for label, name in zip(bench.cell_data, ("easy", "hard"), strict=True):
            epochs = [np.array(outcome.num_epochs[label]) for outcome in outcomes]
            ends = np.array([outcome.moments[label][-1].quality for outcome in outcomes])
            low, high = mean_interval(ends)
            table.add_row(
                "shared" if has_shared_ladder else "own",
                name,
                f"{statistics.fmean((one > first_rung).sum() for one in epochs):.1f}",
                f"{statistics.fmean(one.sum() for one in epochs):.0f}",
                f"{ends.mean():.4f}",
                f"{low:.4f} to {high:.4f}",
            )
    console.print(table)


def mean_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a mean."""
    draws = np.random.default_rng(0).choice(values, (NUM_RESAMPLES, len(values)))
    low, high = np.quantile(draws.mean(axis=1), [0.025, 0.975]).tolist()
    return low, high


def main() -> None:
    """Replay what was asked for, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ("synthetic", "digits", "ladders")
    parser.add_argument("--cells", nargs="+", choices=names, default=names)
    parser.add_argument("--table", type=Path, default=TABLE, help=f"default: {TABLE}")
    given = parser.parse_args()
    console = Console(width=120)
    with tempfile.TemporaryDirectory(prefix="agad-quality-") as folder:
        library = Library(open_objects(folder))
        if "synthetic" in given.cells:
            compare(synthetic_bench(library), "synthetic", console)
        if "digits" in given.cells:
            compare(digits_bench(library, given.table), CELL, console)
            console.print(describe(given.table))
        if "ladders" in given.cells:
            compare_ladders(ladders_bench(library), console)


if __name__ == "__main__":
    main()
