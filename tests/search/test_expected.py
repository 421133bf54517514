"""Epochs that a plan expects, against those worked out by hand and those of simulated studies."""

from __future__ import annotations

import hashlib
import itertools
from statistics import fmean
from typing import TYPE_CHECKING

import pytest

from agad.config import (
    Asha,
    Grid,
    Median,
    NoStopping,
    Random,
    Scheduler,
    Search,
    SuccessiveHalving,
    Uniform,
)
from agad.search.expected import expected_epochs
from agad.trial import TrialSpec
from tests.simulation import ListMemory

if TYPE_CHECKING:
    from tests.simulation import MakeSimulation, MakeStudy


@pytest.mark.parametrize(
    ("scheduler", "epochs"),
    [
        (NoStopping(max_epochs=12), 12.0),
        (Median(max_epochs=27, grace_period=3), 3 + 24 / 2),
        (Asha(max_epochs=5, grace_period=5), 5.0),
    ],
    ids=["none", "median", "no rung"],
)
def test_where_nothing_is_played_the_epochs_are_those_worked_out_by_hand(
    scheduler: Scheduler, epochs: float
) -> None:
    assert expected_epochs(scheduler, 12) == epochs


def test_the_first_trial_alone_trains_to_the_end() -> None:
    assert expected_epochs(Asha(max_epochs=27, grace_period=3), 1) == 27


def test_of_few_trials_the_share_that_goes_on_is_that_of_all_their_orders() -> None:
    """With eta 2, a trial goes on when it beats the median of those before it; the first always."""
    went_on = [
        1
        + sum(order[k] > sorted(order[:k])[k // 2] for k in (1, 3))
        + (order[2] > (order[0] + order[1]) / 2)
        for order in itertools.permutations(range(4))
    ]
    by_hand = 1 + fmean(went_on) / 4
    asha = Asha(max_epochs=2, grace_period=1, reduction_factor=2)
    assert expected_epochs(asha, 4) == pytest.approx(by_hand, rel=0.03)


def test_with_many_trials_the_share_that_goes_on_comes_near_one_of_eta() -> None:
    asha = Asha(max_epochs=27, grace_period=3, reduction_factor=3)
    in_the_limit = 3 + 6 / 3 + 18 / 9
    many, more = expected_epochs(asha, 81), expected_epochs(asha, 100_000)
    assert in_the_limit < more < many < 1.25 * in_the_limit


@pytest.mark.parametrize("kind", [Asha, SuccessiveHalving])
@pytest.mark.parametrize("num_trials", [12, 40])
def test_a_search_that_learns_nothing_trains_what_is_expected(
    kind: type[Asha] | type[SuccessiveHalving],
    num_trials: int,
    make_study: MakeStudy,
    make_simulation: MakeSimulation,
) -> None:
    def in_random_order(spec: TrialSpec, _num_epochs: int) -> float:
        return int(hashlib.sha256(spec.key.encode()).hexdigest()[:8], 16) / 16**8

    scheduler = kind(max_epochs=18, grace_period=2, reduction_factor=3)
    epochs = []
    for seed in range(240 // num_trials):
        study = make_study(
            cells=Grid(dataset="digits", normal_class=[0, 8]),
            search=Search(
                space={"weight_con": Uniform(0, 100)}, trials_per_cell=num_trials, sampler=Random()
            ),
            scheduler=scheduler,
            seed=seed,
        )
        memory = ListMemory()
        make_simulation(study, curve=in_random_order, kept_in=memory).run_and_close()
        epochs += [row.epochs for row in memory.rows_of("search")]
    assert fmean(epochs) == pytest.approx(expected_epochs(scheduler, num_trials), rel=0.12)
