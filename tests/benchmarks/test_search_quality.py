"""What a search's epochs are counted as."""

from __future__ import annotations

import math

import pytest

from agad import Asha, Grid, LogUniform, Random, Search, Study, Tpe
from benchmarks.replay import Moment, Outcome
from benchmarks.search_quality import (
    REFERENCE,
    TPE_AND_ASHA,
    epochs_at_first,
    epochs_for_good,
    ratio,
    ratio_interval,
    searching,
)


def _outcome(*moments: tuple[int, float]) -> Outcome:
    noted = [Moment(epochs=epochs, quality=quality) for epochs, quality in moments]
    return Outcome(moments={"a": noted}, epochs=100, num_epochs={"a": [100]})


def _moments(*pairs: tuple[int, float]) -> list[Moment]:
    return _outcome(*pairs).moments["a"]


def test_epochs_for_good_starts_again_where_the_choice_falls_back() -> None:
    moments = _moments((10, 0.8), (20, 0.95), (30, 0.85), (40, 0.9), (50, 0.92))
    assert epochs_for_good(moments, 0.9) == 40
    assert epochs_at_first(moments, 0.9) == 20


def test_a_target_that_is_never_kept_takes_for_ever() -> None:
    assert epochs_for_good(_moments((10, 0.95), (20, 0.8)), 0.9) == math.inf
    assert epochs_at_first(_moments((10, 0.8)), 0.9) == math.inf


def test_ratio_charges_a_seed_that_fails_with_both_searches() -> None:
    reaches, fails = _outcome((50, 0.9)), _outcome((50, 0.8))
    assert ratio([reaches], 0.9, 200) == 4
    assert ratio([reaches, fails], 0.9, 200) == pytest.approx(200 / ((50 + 100 + 200) / 2))


def test_ratio_interval_holds_the_ratio_and_widens_with_an_unsure_target() -> None:
    outcomes = [_outcome((20 * seed, 0.85), (50 * seed, 0.95)) for seed in range(1, 6)]
    low, high = ratio_interval(outcomes, [0.8] * 40, 600)
    assert low < ratio(outcomes, 0.8, 600) < high
    lower, _ = ratio_interval(outcomes, [0.8] * 21 + [0.9] * 19, 600)
    assert lower < low


@pytest.fixture
def study() -> Study:
    return Study(
        name="a-study",
        cells=Grid(dataset="digits", normal_class=8),
        search=Search(space={"lr": LogUniform(1e-4, 1e-2)}),
        scheduler=Asha(max_epochs=27, grace_period=3),
    )


def test_searching_takes_the_arms_sampler_and_stops_only_where_asked(study: Study) -> None:
    both = searching(study, TPE_AND_ASHA, seed=3)
    neither = searching(study, REFERENCE, seed=4)
    assert both.search.sampler == Tpe()
    assert neither.search.sampler == Random()
    assert both.scheduler.milestones == (3, 9)
    assert neither.scheduler.milestones == ()
    assert both.search.trials_per_cell == neither.search.trials_per_cell == 81
    assert (both.seed, neither.seed) == (3, 4)
