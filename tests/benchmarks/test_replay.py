"""Replays of tiny studies whose epochs can be counted by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import pytest

from agad import Asha, Grid, Search, Study, Uniform
from agad.study.cell_data import find_cell_data
from benchmarks.replay import Outcome, Replay

if TYPE_CHECKING:
    from agad.config import Setting
    from agad.data import Library
    from agad.trial import TrialSpec

Observe: TypeAlias = "Callable[[TrialSpec], Sequence[float]]"
MAX_EPOCHS = 9
NUM_TRIALS = 12


@dataclass(frozen=True, slots=True)
class Told:
    """Answers with a function, and is worth what the weight says."""

    observe: Observe
    seen: list[str] = field(default_factory=list)

    def quality(self, params: Mapping[str, Setting]) -> float:
        return float(params["weight_con"])


@dataclass(frozen=True, slots=True)
class Replayer:
    """Replays 12 trials a cell of 9 epochs, rungs at 1 and 3."""

    library: Library

    def __call__(
        self, *observes: Observe, grace_period: int = 1, has_shared_ladder: bool = False
    ) -> Outcome:
        study = Study(
            name="a-study",
            cells=Grid(dataset="digits", normal_class=[*range(len(observes))]),
            search=Search(space={"weight_con": Uniform(0, 1)}, trials_per_cell=NUM_TRIALS),
            scheduler=Asha(max_epochs=MAX_EPOCHS, grace_period=grace_period),
        )
        cell_data = find_cell_data(study, self.library)
        answers = {label: Told(observe) for label, observe in zip(cell_data, observes, strict=True)}
        return Replay(
            study=study,
            cell_data=cell_data,
            answers=answers,
            has_shared_ladder=has_shared_ladder,
        ).run()


@pytest.fixture
def replay(digits_library: Library) -> Replayer:
    return Replayer(digits_library)


def worst_last(spec: TrialSpec) -> Sequence[float]:
    return [0.9 - spec.number / 100] * MAX_EPOCHS


def best_last(spec: TrialSpec) -> Sequence[float]:
    return [0.5 + spec.number / 100] * MAX_EPOCHS


def by_weight(spec: TrialSpec) -> Sequence[float]:
    return [float(spec.params["weight_con"])] * MAX_EPOCHS


def test_replay_counts_every_epoch_where_nothing_stops(replay: Replayer) -> None:
    outcome = replay(worst_last, grace_period=MAX_EPOCHS)
    assert outcome.epochs == NUM_TRIALS * MAX_EPOCHS
    assert list(outcome.num_epochs.values()) == [[MAX_EPOCHS] * NUM_TRIALS]


def test_replay_stops_at_the_first_rung_what_is_worse_than_all_before(replay: Replayer) -> None:
    outcome = replay(worst_last)
    assert outcome.epochs == MAX_EPOCHS + (NUM_TRIALS - 1)


def test_replay_stops_nothing_that_is_better_than_all_before(replay: Replayer) -> None:
    assert replay(best_last).epochs == NUM_TRIALS * MAX_EPOCHS


def test_replay_notes_the_quality_of_what_looks_best(replay: Replayer) -> None:
    outcome = replay(by_weight, grace_period=MAX_EPOCHS)
    qualities = [one.quality for one in outcome.moments["digits class=0 ratio=0"]]
    assert qualities == sorted(qualities)
    misled = replay(lambda spec: [1 - value for value in by_weight(spec)], grace_period=MAX_EPOCHS)
    qualities = [one.quality for one in misled.moments["digits class=0 ratio=0"]]
    assert qualities == sorted(qualities, reverse=True)


def test_replay_notes_the_epochs_of_running_trials_too(replay: Replayer) -> None:
    outcome = replay(worst_last, grace_period=MAX_EPOCHS)
    (first, *_) = outcome.moments["digits class=0 ratio=0"]
    # The first of 4 slots ends its last epoch; the 3 others have one to go.
    assert first.epochs == 4 * (MAX_EPOCHS - 1) + 1


def test_replay_charges_a_diverging_trial_and_never_chooses_it(replay: Replayer) -> None:
    def observe(spec: TrialSpec) -> Sequence[float]:
        return [1.0, 1.0] if spec.number == 0 else by_weight(spec)

    outcome = replay(observe, grace_period=MAX_EPOCHS)
    (epochs,) = outcome.num_epochs.values()
    assert sorted(epochs) == [2] + [MAX_EPOCHS] * (NUM_TRIALS - 1)
    assert outcome.epochs == 3 + (NUM_TRIALS - 1) * MAX_EPOCHS


def test_replay_gives_the_same_outcome_again(replay: Replayer) -> None:
    assert replay(by_weight).moments == replay(by_weight).moments


def test_a_shared_ladder_lets_no_trial_of_a_hard_cell_past_those_of_an_easy_one(
    replay: Replayer,
) -> None:
    def easy(spec: TrialSpec) -> Sequence[float]:
        return [0.9 + value / 20 for value in by_weight(spec)]

    def hard(spec: TrialSpec) -> Sequence[float]:
        return [0.5 + value / 20 for value in by_weight(spec)]

    own = replay(easy, hard).num_epochs["digits class=1 ratio=0"]
    shared = replay(easy, hard, has_shared_ladder=True).num_epochs["digits class=1 ratio=0"]
    assert sum(epochs > 1 for epochs in own) >= 3
    assert max(shared) == 1
