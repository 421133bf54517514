"""What Optuna is told, and that a proposal depends on its number and on what ended before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from optuna.trial import TrialState

from agad.config import Choice, Distribution, LogUniform, Search, Setting, Uniform
from agad.records import State
from agad.search.sampler import CellSampler

SPACE: Mapping[str, Distribution] = {"x": Uniform(-1, 1), "y": LogUniform(1e-4, 1e2)}


def _sampler(
    num_trials: int = 16, stream_name: str = "0/a cell", space: Mapping[str, Distribution] = SPACE
) -> CellSampler:
    return CellSampler(Search(space=space, trials_per_cell=num_trials), stream_name)


def _end(sampler: CellSampler, number: int, state: State, objectives: Sequence[float]) -> None:
    sampler.propose(number)
    sampler.accept(str(number))
    sampler.tell(str(number), state, objectives)


def _objective(params: Mapping[str, Setting]) -> float:
    return 1 - abs(float(params["x"]) - 0.3)


def _live(sampler: CellSampler, numbers: Sequence[int]) -> list[dict[str, Setting]]:
    """Run trials one after another, every third of them stopped or diverged."""
    states: tuple[State, ...] = ("finished", "pruned", "finished", "diverged")
    proposals = []
    for number in numbers:
        params = sampler.propose(number)
        sampler.accept(str(number))
        objective = _objective(params)
        sampler.tell(str(number), states[number % 4], [objective / 2, objective])
        proposals.append(params)
    return proposals


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("finished", TrialState.COMPLETE),
        ("pruned", TrialState.PRUNED),
        ("diverged", TrialState.FAIL),
        ("failed", TrialState.FAIL),
    ],
    ids=["finished", "pruned", "diverged", "failed"],
)
@pytest.mark.parametrize("is_remembered", [False, True], ids=["told", "remembered"])
def test_sampler_tells_optuna_how_a_trial_ended(
    state: State, told: TrialState, is_remembered: bool
) -> None:
    sampler = _sampler()
    if is_remembered:
        sampler.remember({"x": 0.5, "y": 1.0}, state, [0.5, 0.7])
    else:
        _end(sampler, 0, state, [0.5, 0.7])
    assert [trial.state for trial in sampler.trials] == [told]


def test_sampler_gives_a_finished_trial_its_last_objective() -> None:
    sampler = _sampler()
    _end(sampler, 0, "finished", [0.9, 0.7])
    assert sampler.trials[0].value == 0.7


def test_sampler_gives_a_pruned_trial_its_intermediate_values() -> None:
    sampler = _sampler()
    _end(sampler, 0, "pruned", [0.5, 0.6, 0.55])
    assert sampler.trials[0].intermediate_values == {0: 0.5, 1: 0.6, 2: 0.55}


def test_sampler_gives_a_diverged_trial_no_value() -> None:
    sampler = _sampler()
    _end(sampler, 0, "diverged", [0.99])
    assert sampler.trials[0].value is None


def test_sampler_leaves_no_trial_running() -> None:
    sampler = _sampler()
    _live(sampler, range(8))
    sampler.propose(8)
    sampler.reject()
    assert all(trial.state.is_finished() for trial in sampler.trials)


def test_sampler_ends_a_reopened_trial_like_any_other() -> None:
    sampler = _sampler()
    sampler.reopen("a", {"x": 0.25, "y": 3.0})
    sampler.tell("a", "finished", [0.8])
    (trial,) = sampler.trials
    assert (trial.state, trial.params) == (TrialState.COMPLETE, {"x": 0.25, "y": 3.0})


def test_reopened_trials_keep_their_parameters_apart() -> None:
    sampler = _sampler()
    sampler.reopen("a", {"x": 0.1, "y": 1.0})
    sampler.reopen("b", {"x": 0.2, "y": 2.0})
    sampler.tell("b", "finished", [0.8])
    assert [trial.params["x"] for trial in sampler.trials] == [0.1, 0.2]
    assert [trial.state.is_finished() for trial in sampler.trials] == [False, True]


def test_a_proposal_after_a_reopened_trial_is_a_new_one() -> None:
    sampler = _sampler()
    sampler.reopen("a", {"x": 0.25, "y": 3.0})
    assert sampler.propose(1)["x"] != 0.25


def test_proposals_are_equal_for_equal_stream_number_and_history() -> None:
    assert _live(_sampler(), range(12)) == _live(_sampler(), range(12))


def test_proposals_differ_by_their_number() -> None:
    assert len({str(_sampler().propose(number)) for number in range(20)}) == 20


@pytest.mark.parametrize("other", ["1/a cell", "0/another cell"], ids=["seed", "cell"])
def test_proposals_differ_by_their_stream(other: str) -> None:
    assert _sampler().propose(0) != _sampler(stream_name=other).propose(0)


@pytest.mark.parametrize("num_ended", [1, 4, 7, 11])
def test_a_rebuilt_sampler_proposes_what_the_one_that_lived_through_it_proposes(
    num_ended: int,
) -> None:
    lived = _sampler()
    _live(lived, range(num_ended))
    states: dict[TrialState, State] = {
        TrialState.COMPLETE: "finished",
        TrialState.PRUNED: "pruned",
        TrialState.FAIL: "diverged",
    }
    rebuilt = _sampler()
    for trial in lived.trials:
        objective = _objective(trial.params)
        rebuilt.remember(trial.params, states[trial.state], [objective / 2, objective])
    assert rebuilt.propose(num_ended) == lived.propose(num_ended)


def test_a_rebuilt_sampler_with_a_reopened_trial_proposes_what_the_first_one_proposes() -> None:
    lived, rebuilt = _sampler(), _sampler()
    proposals = _live(lived, (0, 2, 4, 6, 8, 10))
    for params in proposals:
        objective = _objective(params)
        rebuilt.remember(params, "finished", [objective / 2, objective])
    running = lived.propose(12)
    lived.accept("running")
    rebuilt.reopen("running", running)
    assert [trial.state for trial in lived.trials[:6]] == [t.state for t in rebuilt.trials[:6]]
    assert rebuilt.propose(14) == lived.propose(14)


@pytest.mark.parametrize(
    ("num_trials", "num_startup"), [(1, 4), (8, 4), (16, 4), (32, 8)], ids=lambda one: str(one)
)
def test_proposals_learn_after_a_quarter_of_the_trials_and_at_least_four(
    num_trials: int, num_startup: int
) -> None:
    def proposal_after(num_ended: int, best_x: float) -> dict[str, Setting]:
        sampler = _sampler(num_trials)
        for number in range(num_ended):
            x = -1 + 2 * number / num_startup
            sampler.remember({"x": x, "y": 1.0}, "finished", [1 - abs(x - best_x)])
        return sampler.propose(100)

    assert proposal_after(num_startup - 1, -1) == proposal_after(num_startup - 1, 1)
    assert proposal_after(num_startup, -1) != proposal_after(num_startup, 1)


def test_proposals_find_the_better_end_of_a_range() -> None:
    sampler = _sampler(40)
    _live(sampler, range(0, 80, 2))
    late = [trial.params["x"] for trial in sampler.trials[20:]]
    assert sum(abs(x - 0.3) < 0.4 for x in late) > len(late) / 2


def test_proposals_stay_within_their_bounds() -> None:
    sampler = _sampler(40)
    for params in _live(sampler, range(40)):
        assert -1 <= float(params["x"]) <= 1
        assert 1e-4 <= float(params["y"]) <= 1e2


def test_a_log_uniform_proposal_is_as_often_below_the_geometric_mean_as_above() -> None:
    values = [float(_sampler().propose(number)["y"]) for number in range(200)]
    assert 70 < sum(value < 0.1 for value in values) < 130


def test_a_uniform_proposal_is_as_often_below_the_middle_as_above() -> None:
    values = [float(_sampler().propose(number)["x"]) for number in range(200)]
    assert 70 < sum(value < 0 for value in values) < 130


@pytest.mark.parametrize(
    "values", [(16, 32, 64), ("a", "b"), (True, False)], ids=["counts", "names", "booleans"]
)
def test_a_choice_proposes_each_of_its_values_as_it_was_given(values: tuple[Setting, ...]) -> None:
    sampler = _sampler(space={"choice": Choice(values)})
    proposed = {sampler.propose(number)["choice"] for number in range(40)}
    assert proposed == set(values)
    assert {type(value) for value in proposed} == {type(values[0])}
