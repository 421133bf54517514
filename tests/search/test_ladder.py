"""Who goes on at a rung, as Ray's scheduler has it but for ties, and who is best."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from ray.tune.schedulers import ASHAScheduler, MedianStoppingRule, TrialScheduler
from ray.tune.schedulers.async_hyperband import _Bracket

from agad.config import Asha, Median, NoStopping, SuccessiveHalving
from agad.search.ladder import Ladder

SETTINGS = [(1, 3, 27), (3, 3, 27), (1, 2, 10), (2, 4, 50), (5, 3, 100), (1, 10, 1000)]


def _ladder(grace: int = 1, eta: int = 3, max_epochs: int = 27) -> Ladder:
    return Ladder(Asha(grace_period=grace, reduction_factor=eta, max_epochs=max_epochs))


def _survives(ladder: Ladder, key: str, num_epochs: int, objective: float) -> bool:
    return ladder.decide(key, num_epochs, objective).action == "go on"


def _best(ladder: Ladder) -> list[str]:
    return next(iter(ladder.ranking()), [])


def _trial(number: int) -> Any:  # noqa: ANN401  Ray reads no more of a trial than this.
    return SimpleNamespace(trial_id=str(number))


class _Named:
    """What Ray's median rule reads of a trial, and can keep as a key."""

    def __init__(self, trial_id: str) -> None:
        self.trial_id = trial_id


def _arrivals(seed: int, num_trials: int) -> list[tuple[int, float]]:
    """Who reports next, and what: more reports than any trial has epochs to give."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(num_trials, size=6000)
    return list(zip(numbers.tolist(), rng.random(6000).tolist(), strict=True))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("grace", "eta", "max_epochs"), SETTINGS)
def test_ladder_decides_as_asha_scheduler_does_for_distinct_objectives(
    grace: int, eta: int, max_epochs: int, seed: int
) -> None:
    ladder = _ladder(grace, eta, max_epochs)
    ray_scheduler = ASHAScheduler(
        metric="objective",
        mode="max",
        grace_period=grace,
        reduction_factor=eta,
        max_t=max_epochs,
    )
    for number in range(60):
        ray_scheduler.on_trial_add(cast(Any, None), _trial(number))
    num_epochs = dict.fromkeys(range(60), 0)
    decisions = []
    for number, objective in _arrivals(seed, 60):
        if num_epochs.get(number, max_epochs) >= max_epochs - 1:
            continue
        num_epochs[number] += 1
        result = {"training_iteration": num_epochs[number], "objective": objective}
        theirs = ray_scheduler.on_trial_result(cast(Any, None), _trial(number), result)
        ours = _survives(ladder, str(number), num_epochs[number], objective)
        decisions.append((ours, theirs == TrialScheduler.CONTINUE))
        if not ours:
            del num_epochs[number]
    assert all(ours == theirs for ours, theirs in decisions)
    assert {ours for ours, _ in decisions} == {True, False}


def test_ladder_stops_a_tie_that_ray_lets_go_on() -> None:
    bracket = _Bracket(1, 27, 3, 0)
    ladder = _ladder()
    for number in range(2):
        bracket.on_result(_trial(number), 1, 0.5)
        _survives(ladder, str(number), 1, 0.5)
    assert bracket.on_result(_trial(2), 1, 0.5) == TrialScheduler.CONTINUE
    assert not _survives(ladder, "2", 1, 0.5)


def test_ladder_lets_the_first_at_a_rung_go_on() -> None:
    assert _survives(_ladder(), "a", 3, 0.0)


def test_ladder_lets_a_trial_go_on_between_rungs() -> None:
    ladder = _ladder()
    _survives(ladder, "a", 3, 0.9)
    assert _survives(ladder, "b", 4, 0.1)


def test_ladder_lets_a_trial_at_the_full_budget_finish() -> None:
    ladder = _ladder()
    _survives(ladder, "a", 27, 0.9)
    assert _survives(ladder, "b", 27, 0.1)


def test_ladder_does_not_decide_twice_on_a_trial_that_comes_to_a_rung_again() -> None:
    ladder = _ladder()
    for number in range(6):
        _survives(ladder, str(number), 1, number / 10)
    assert _survives(ladder, "0", 1, 0.0)


def test_ladder_keeps_the_first_objective_of_a_trial_at_a_rung() -> None:
    ladder = _ladder()
    ladder.record("a", 1, 0.9)
    ladder.record("a", 1, 0.1)
    ladder.record("b", 1, 0.5)
    assert _best(ladder) == ["a"]


def test_ladder_does_not_count_a_trial_at_its_own_cutoff() -> None:
    # Of .1, .2 and .3 the two-thirds quantile is .2333; with .24 among them it would be .24.
    ladder = _ladder()
    for name, objective in (("a", 0.1), ("b", 0.2), ("c", 0.3)):
        ladder.record(name, 1, objective)
    assert _survives(ladder, "d", 1, 0.24)


def test_ladder_rebuilt_from_records_decides_as_the_one_that_lived_through_them() -> None:
    rng = np.random.default_rng(3)
    lived, rebuilt = _ladder(), _ladder()
    for number, objective in enumerate(rng.random(20)):
        _survives(lived, str(number), 1, float(objective))
        rebuilt.record(str(number), 1, float(objective))
    newcomers = [(f"new {number}", float(one)) for number, one in enumerate(rng.random(20))]
    decided = [_survives(lived, name, 1, one) for name, one in newcomers]
    assert decided == [_survives(rebuilt, name, 1, one) for name, one in newcomers]


def test_best_is_none_where_no_trial_reached_a_rung() -> None:
    ladder = _ladder(grace=3)
    ladder.record("a", 2, 0.9)
    assert _best(ladder) == []


def test_best_has_the_highest_objective_at_the_highest_rung_that_two_reached() -> None:
    ladder = _ladder()
    for name, num_epochs, objective in (
        ("low", 1, 0.99),
        ("a", 3, 0.6),
        ("b", 3, 0.7),
        ("alone", 27, 0.98),
    ):
        ladder.record(name, num_epochs, objective)
    assert _best(ladder) == ["b"]


def test_best_counts_the_full_budget_as_a_rung() -> None:
    ladder = _ladder(max_epochs=20)
    for name, objective in (("a", 0.6), ("b", 0.7)):
        ladder.record(name, 20, objective)
    ladder.record("c", 9, 0.99)
    ladder.record("d", 9, 0.98)
    assert _best(ladder) == ["b"]


def test_best_is_a_trial_alone_where_no_rung_has_two() -> None:
    ladder = _ladder()
    ladder.record("low", 1, 0.9)
    ladder.record("high", 3, 0.1)
    assert _best(ladder) == ["high"]


def test_best_is_every_one_of_equal_objectives() -> None:
    ladder = _ladder()
    for name in ("z", "a", "m"):
        ladder.record(name, 3, 0.5)
    assert sorted(_best(ladder)) == ["a", "m", "z"]


def test_best_is_never_a_forgotten_trial() -> None:
    ladder = _ladder()
    for name, objective in (("a", 0.6), ("diverged", 0.99), ("b", 0.5)):
        ladder.record(name, 9, objective)
    ladder.forget("diverged")
    assert _best(ladder) == ["a"]


def test_best_is_none_where_every_trial_was_forgotten() -> None:
    ladder = _ladder()
    ladder.record("a", 1, 0.6)
    ladder.forget("a")
    assert _best(ladder) == []


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("grace", "least"), [(1, 3), (4, 1), (2, 6)])
def test_ladder_decides_as_rays_median_rule_does(grace: int, least: int, seed: int) -> None:
    max_epochs = 30
    ladder = Ladder(Median(grace_period=grace, min_trials=least, max_epochs=max_epochs))
    ray_scheduler = MedianStoppingRule(
        time_attr="training_iteration",
        metric="objective",
        mode="max",
        grace_period=grace,
        min_samples_required=least,
    )
    controller = cast(Any, SimpleNamespace(get_live_trials=list))
    trials = [cast(Any, _Named(str(number))) for number in range(20)]
    num_epochs = dict.fromkeys(range(20), 0)
    decisions = []
    for number, objective in _arrivals(seed, 20):
        if num_epochs.get(number, max_epochs) >= max_epochs - 1:
            continue
        num_epochs[number] += 1
        result = {"training_iteration": num_epochs[number], "objective": objective * number / 20}
        theirs = ray_scheduler.on_trial_result(controller, trials[number], result)
        ours = _survives(ladder, str(number), num_epochs[number], result["objective"])
        decisions.append((ours, theirs == TrialScheduler.CONTINUE))
        if not ours:
            del num_epochs[number]
    assert all(ours == theirs for ours, theirs in decisions)
    assert {ours for ours, _ in decisions} == {True, False}


def test_median_rule_lets_a_tie_go_on() -> None:
    ladder = Ladder(Median(grace_period=1, min_trials=1))
    ladder.record("a", 1, 0.5)
    assert _survives(ladder, "b", 1, 0.5)
    assert not _survives(ladder, "c", 1, 0.4)


def test_median_rule_decides_at_its_interval_alone() -> None:
    ladder = Ladder(Median(grace_period=2, interval=3, min_trials=1))
    for num_epochs in range(1, 7):
        ladder.record("a", num_epochs, 0.9)
    decided = [_survives(ladder, "b", num_epochs, 0.1) for num_epochs in range(1, 7)]
    assert decided == [True, False, True, True, False, True]


def test_no_stopping_stops_nobody_and_has_a_best_at_the_end() -> None:
    ladder = Ladder(NoStopping(max_epochs=3))
    ends = {"a": 0.5, "b": 0.7, "c": 0.6}
    for key, objective in ends.items():
        for num_epochs in (1, 2):
            assert _survives(ladder, key, num_epochs, 1 - objective)
        assert _survives(ladder, key, 3, objective)
    assert _best(ladder) == ["b"]


def test_a_stopped_trial_is_told_rule_rung_objective_and_cutoff() -> None:
    ladder = _ladder()
    for name, objective in (("a", 0.1), ("b", 0.2), ("c", 0.3)):
        ladder.record(name, 3, objective)
    verdict = ladder.decide("d", 3, 0.15)
    assert verdict.reason == (
        "ASHA, rung 1 after 3 epochs: validation AUROC 0.150000 does not beat 0.233333, "
        "the 1 - 1/3 quantile of 3 before it"
    )
    assert ladder.decide("e", 3, 0.9).reason == ""


def test_the_median_rule_says_best_and_median() -> None:
    ladder = Ladder(Median(grace_period=1, min_trials=2))
    for key, objectives in {"a": (0.4, 0.8), "b": (0.6, 0.8)}.items():
        for num_epochs, objective in enumerate(objectives, 1):
            ladder.record(key, num_epochs, objective)
    ladder.record("c", 1, 0.5)
    assert ladder.decide("c", 2, 0.45).reason == (
        "median rule, rung 1 after 2 epochs: best validation AUROC 0.500000 is below 0.650000, "
        "the median of the means of 2 others"
    )


# Promotion.


def _halving(max_epochs: int = 27) -> Ladder:
    return Ladder(SuccessiveHalving(grace_period=1, reduction_factor=3, max_epochs=max_epochs))


def _pause_all(ladder: Ladder, num_epochs: int, objectives: dict[str, float]) -> None:
    for key, objective in objectives.items():
        assert ladder.decide(key, num_epochs, objective).action == "pause"


def _promoted(ladder: Ladder) -> list[str]:
    """Promote while one can be."""
    keys = []
    while (key := ladder.promotable) is not None:
        ladder.promote(key)
        keys.append(key)
    return keys


def test_every_trial_pauses_at_a_rung_and_trains_on_between_rungs() -> None:
    ladder = _halving()
    assert ladder.decide("a", 1, 0.9).action == "pause"
    ladder = _halving()
    assert ladder.decide("a", 2, 0.9).action == "go on"
    assert ladder.decide("a", 27, 0.9).action == "go on"


def test_nobody_is_promoted_from_a_rung_of_fewer_than_eta() -> None:
    ladder = _halving()
    _pause_all(ladder, 1, {"a": 0.9, "b": 0.8})
    assert ladder.promotable is None


def test_the_best_third_is_promoted_best_first() -> None:
    ladder = _halving()
    _pause_all(ladder, 1, {"a": 0.1, "b": 0.8, "c": 0.3, "d": 0.2, "e": 0.9, "f": 0.5, "g": 0.0})
    assert _promoted(ladder) == ["e", "b"]
    assert sorted(ladder.paused) == ["a", "c", "d", "f", "g"]


def test_one_that_was_passed_over_is_promoted_when_the_rung_has_grown() -> None:
    ladder = _halving()
    _pause_all(ladder, 1, {"a": 0.1, "b": 0.8, "c": 0.9})
    assert _promoted(ladder) == ["c"]
    _pause_all(ladder, 1, {"d": 0.0, "e": 0.2, "f": 0.3})
    assert _promoted(ladder) == ["b"]


def test_a_place_that_a_promoted_trial_has_lost_goes_to_the_better_one_beside_it() -> None:
    # As the paper's algorithm, which promotes the best 1/eta of now, whoever went before.
    ladder = _halving()
    _pause_all(ladder, 1, {"a": 0.1, "b": 0.2, "c": 0.3})
    assert _promoted(ladder) == ["c"]
    _pause_all(ladder, 1, {"d": 0.9})
    assert _promoted(ladder) == ["d"]


def test_the_highest_rung_comes_first() -> None:
    ladder = _halving()
    _pause_all(ladder, 1, {str(number): number / 10 for number in range(9)})
    assert _promoted(ladder) == ["8", "7", "6"]
    _pause_all(ladder, 3, {"8": 0.5, "7": 0.6, "6": 0.4})
    _pause_all(ladder, 1, {"x": 0.95, "y": 0.96, "z": 0.97})
    assert _promoted(ladder) == ["7", "z", "y", "x"]


def test_of_equals_the_lowest_key_is_promoted_whoever_came_first() -> None:
    ladder = _halving()
    _pause_all(ladder, 1, {"c": 0.5, "a": 0.5, "b": 0.5})
    assert ladder.promotable == "a"


def test_a_promoted_trial_is_not_paused_again_below_its_rung_and_is_at_the_next() -> None:
    ladder = _halving()
    _pause_all(ladder, 1, {"a": 0.9, "b": 0.1, "c": 0.2})
    ladder.promote("a")
    assert ladder.decide("a", 1, 0.9, is_restored=True).action == "go on"
    assert ladder.decide("a", 1, 0.9).action == "go on"
    assert ladder.decide("a", 3, 0.9, is_restored=True).action == "pause"


def test_a_trial_of_which_an_unfinished_pause_left_a_checkpoint_pauses_again() -> None:
    assert _halving().decide("a", 1, 0.9, is_restored=True).action == "pause"


def test_a_ladder_that_took_all_up_promotes_as_the_one_before() -> None:
    objectives = {str(number): number / 10 for number in range(9)}
    before, after = _halving(), _halving()
    _pause_all(before, 1, objectives)
    before.promote("8")
    for key, objective in objectives.items():
        after.take_up(key, [objective], is_paused=key != "8")
    assert sorted(after.paused) == sorted(before.paused)
    assert after.decide("8", 1, 0.8).action == "go on"
    assert _promoted(after) == _promoted(before) == ["7", "6"]


def test_a_diverged_trial_counts_no_more_at_the_rungs_that_it_reached() -> None:
    ladder = _halving()
    _pause_all(ladder, 1, {"a": 0.9, "b": 0.1, "c": 0.2})
    ladder.promote("a")
    ladder.forget("a")
    assert ladder.promotable is None
    _pause_all(ladder, 1, {"d": 0.0})
    assert ladder.promotable == "c"


def test_who_is_given_up_is_told_why() -> None:
    ladder = _halving()
    _pause_all(ladder, 1, {"a": 0.9, "b": 0.1, "c": 0.2})
    ladder.promote("a")
    assert ladder.give_up("c") == (
        "successive halving, rung 0 after 1 epoch: validation AUROC 0.200000 is not among the 1 of "
        "3 that go on, the lowest of which has 0.900000"
    )
    _pause_all(ladder, 3, {"a": 0.95})
    assert ladder.give_up("a") == (
        "successive halving, rung 1 after 3 epochs: validation AUROC 0.950000 is not among the 0 "
        "of 1 that go on"
    )
    assert ladder.paused == ["b"]
