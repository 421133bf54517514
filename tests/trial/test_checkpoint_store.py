"""Checkpoints in the store: a trial whose worker died goes on as if it never had."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pytest

import agad.trial.checkpoint_store
from agad.errors import PreemptedError, StoreError
from agad.objects import LocalObjects, open_objects
from agad.trial import CheckpointPlan, EpochResult, Runtime, TrialSpec, train_trial
from agad.trial.checkpoint import from_bytes, to_bytes

if TYPE_CHECKING:
    from tests.trial.conftest import Undisturbed

MakeSpec: TypeAlias = Callable[..., TrialSpec]

PREFIX = "a-study/checkpoints"
_NUM = 4


@pytest.fixture
def here(alone: Runtime) -> Runtime:
    """The first attempt of a trial with rungs at 1 and 3, in a store of the test's own."""
    return replace(alone, checkpoints=CheckpointPlan(prefix=PREFIX, milestones=(1, 3)))


@pytest.fixture
def spec(make_spec: MakeSpec) -> TrialSpec:
    return make_spec(max_epochs=_NUM)


def _attempt(runtime: Runtime, attempt: int) -> Runtime:
    assert runtime.checkpoints is not None
    return replace(runtime, checkpoints=replace(runtime.checkpoints, attempt=attempt))


def _killed(spec: TrialSpec, runtime: Runtime, num_epochs: int) -> list[EpochResult]:
    """Train a trial until its worker dies in the epoch after so many."""
    epochs = train_trial(spec, runtime)
    results = list(itertools.islice(epochs, num_epochs))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agad.trial.training.train_epoch", die)
        with pytest.raises(KeyboardInterrupt):
            next(epochs)
    return results


def _stopped(spec: TrialSpec, runtime: Runtime, num_epochs: int) -> None:
    """Train a trial until its driver stops it after so many epochs."""
    epochs = train_trial(spec, runtime)
    list(itertools.islice(epochs, num_epochs))
    epochs.close()  # type: ignore[attr-defined]


def _names(runtime: Runtime, spec: TrialSpec) -> list[str]:
    keys = open_objects(runtime.store).list(f"{PREFIX}/")
    assert all(key.startswith(f"{PREFIX}/{spec.key}/") for key in keys)
    return [key.rpartition("/")[2] for key in keys]


def _put(runtime: Runtime, spec: TrialSpec, name: str, data: bytes) -> None:
    assert open_objects(runtime.store).put_if_absent(f"{PREFIX}/{spec.key}/{name}", data)


def _get(runtime: Runtime, spec: TrialSpec, name: str) -> bytes:
    return open_objects(runtime.store).get(f"{PREFIX}/{spec.key}/{name}")


def _without_time(results: list[EpochResult]) -> list[EpochResult]:
    return [replace(result, train_s=0.0) for result in results]


@pytest.mark.parametrize(
    "options", [{"phase": "search"}, {"phase": "confirm", "reset_threshold": 10.0}], ids=str
)
def test_a_trial_killed_twice_gives_the_epochs_of_an_undisturbed_one(
    options: dict[str, Any], make_spec: MakeSpec, here: Runtime, undisturbed: Undisturbed
) -> None:
    spec = make_spec(max_epochs=_NUM, **options)
    whole = undisturbed(spec)
    _killed(spec, here, 2)
    _killed(spec, _attempt(here, 1), 3)
    resumed = list(train_trial(spec, _attempt(here, 2)))
    assert _without_time(resumed) == _without_time(whole)
    assert [result.is_restored for result in resumed] == [True, True, True, False]
    tests = [result.test for result in (resumed[-1], whole[-1]) if result.test is not None]
    assert len(tests) == (2 if spec.phase == "confirm" else 0)
    for test in tests:
        np.testing.assert_array_equal(test.scores, tests[0].scores)


def test_the_epochs_before_are_yielded_again_with_the_time_that_they_took(
    spec: TrialSpec, here: Runtime
) -> None:
    before = _killed(spec, here, 3)
    assert list(train_trial(spec, _attempt(here, 1)))[:3] == before


def test_a_checkpoint_is_put_at_each_rung_in_the_place_of_the_one_before(
    spec: TrialSpec, here: Runtime
) -> None:
    seen = [_names(here, spec) for _ in train_trial(spec, here)]
    # Each is seen after the next epoch: a trial that is stopped at its rung puts none.
    assert seen == [[], ["1-0.ckpt"], ["1-0.ckpt"], ["3-0.ckpt"]]


def test_a_later_attempt_removes_the_checkpoints_of_the_ones_before(
    spec: TrialSpec, here: Runtime
) -> None:
    _killed(spec, here, 2)
    _killed(spec, _attempt(here, 1), 3)
    assert _names(here, spec) == ["3-1.ckpt"]


@pytest.mark.parametrize("num_epochs", [1, 3])
def test_a_trial_that_is_stopped_at_a_rung_puts_no_checkpoint_there(
    num_epochs: int, spec: TrialSpec, here: Runtime
) -> None:
    _stopped(spec, here, num_epochs)
    assert f"{num_epochs}-0.ckpt" not in _names(here, spec)


def test_a_trial_that_may_be_paused_puts_its_checkpoint_before_it_tells_of_the_rung(
    spec: TrialSpec, here: Runtime
) -> None:
    assert here.checkpoints is not None
    here = replace(here, checkpoints=replace(here.checkpoints, pauses=True))
    seen = [_names(here, spec) for _ in train_trial(spec, here)]
    assert seen == [["1-0.ckpt"], ["1-0.ckpt"], ["3-0.ckpt"], ["3-0.ckpt"]]


def test_a_paused_trial_goes_on_with_the_epochs_of_one_that_never_was(
    spec: TrialSpec, here: Runtime, undisturbed: Undisturbed
) -> None:
    whole = undisturbed(spec)
    assert here.checkpoints is not None
    here = replace(here, checkpoints=replace(here.checkpoints, pauses=True))
    _stopped(spec, here, 1)
    _stopped(spec, _attempt(here, 1), 3)
    resumed = list(train_trial(spec, _attempt(here, 2)))
    assert _without_time(resumed) == _without_time(whole)
    assert [result.is_restored for result in resumed] == [True, True, True, False]


def test_a_search_trial_puts_no_checkpoint_after_its_last_epoch(
    spec: TrialSpec, here: Runtime
) -> None:
    list(train_trial(spec, here))
    assert _names(here, spec) == ["3-0.ckpt"]


def test_a_confirm_trial_leaves_the_checkpoint_of_its_last_epoch(
    make_spec: MakeSpec, here: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(phase="confirm", max_epochs=_NUM)
    before = list(train_trial(spec, here))
    assert _names(here, spec) == ["4-0.ckpt"]
    monkeypatch.setattr("agad.trial.training.train_epoch", lambda *_: pytest.fail("trained again"))
    assert list(train_trial(spec, _attempt(here, 1))) == before


def test_a_test_trial_scores_the_model_of_its_confirm_trial(
    make_spec: MakeSpec, here: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = make_spec(phase="confirm", max_epochs=_NUM, is_candidate=True)
    assert [result.test for result in train_trial(candidate, here)] == [None] * _NUM
    *_, alone = train_trial(make_spec(phase="confirm", max_epochs=_NUM), here)
    monkeypatch.setattr("agad.trial.training.train_epoch", lambda *_: pytest.fail("trained again"))
    *_, tested = train_trial(make_spec(phase="test", max_epochs=_NUM), here)
    assert tested.is_restored
    assert tested == replace(alone, train_s=tested.train_s)


def test_a_test_trial_trains_anew_where_the_checkpoint_is_gone(
    make_spec: MakeSpec, here: Runtime
) -> None:
    *_, alone = train_trial(make_spec(phase="confirm", max_epochs=_NUM), here)
    *_, tested = train_trial(make_spec(phase="test", max_epochs=_NUM), here)
    assert not tested.is_restored
    assert tested == replace(alone, train_s=tested.train_s)


def test_a_checkpoint_is_put_at_any_epoch_when_the_last_one_is_5_minutes_old(
    spec: TrialSpec, here: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agad.trial.checkpoint_store, "EVERY_S", 0.0)
    seen = [_names(here, spec) for _ in train_trial(spec, here)]
    assert seen == [[], ["1-0.ckpt"], ["2-0.ckpt"], ["3-0.ckpt"]]


def test_a_first_attempt_asks_the_store_for_no_checkpoint(
    spec: TrialSpec, here: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    next(train_trial(spec, here))  # The images are in the cache from here on.
    monkeypatch.setattr(LocalObjects, "list", lambda *_: pytest.fail("listed"))
    monkeypatch.setattr(
        agad.trial.checkpoint_store, "open_objects", lambda *_: pytest.fail("opened")
    )
    assert next(train_trial(spec, here)).epoch == 0


def test_without_a_plan_nothing_is_put(spec: TrialSpec, here: Runtime) -> None:
    list(train_trial(spec, replace(here, checkpoints=None)))
    assert _names(here, spec) == []


# What is not whole, or not of this trial.


def test_a_damaged_checkpoint_is_passed_over_for_an_older_one(
    spec: TrialSpec, here: Runtime, undisturbed: Undisturbed, caplog: pytest.LogCaptureFixture
) -> None:
    whole = undisturbed(spec)
    _killed(spec, here, 2)
    _put(here, spec, "3-0.ckpt", _get(here, spec, "1-0.ckpt")[:-7])
    resumed = list(train_trial(spec, _attempt(here, 1)))
    assert _without_time(resumed) == _without_time(whole)
    assert [result.is_restored for result in resumed] == [True, False, False, False]
    assert "3-0.ckpt is truncated or damaged" in caplog.text


def test_the_newest_checkpoint_has_the_most_epochs_then_the_latest_attempt(
    spec: TrialSpec, here: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("9-0.ckpt", "10-0.ckpt", "10-1.ckpt", "2-12.ckpt"):
        _put(here, spec, name, b"damaged")
    next(train_trial(spec, _attempt(here, 13)))
    refused = [record.getMessage().partition(".ckpt is")[0] for record in caplog.records]
    assert [one.rpartition("/")[2] for one in refused] == ["10-1", "10-0", "9-0", "2-12"]


def test_a_trial_of_damaged_or_foreign_checkpoints_starts_anew(
    spec: TrialSpec,
    make_spec: MakeSpec,
    here: Runtime,
    undisturbed: Undisturbed,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = make_spec(max_epochs=_NUM, seed=1)
    _killed(other, here, 2)
    foreign = _get(here, other, "1-0.ckpt")
    open_objects(here.store).delete(f"{PREFIX}/{other.key}/1-0.ckpt")
    _put(here, spec, "3-0.ckpt", foreign)
    _put(here, spec, "2-0.ckpt", b"")
    _put(here, spec, "notes.txt", b"someone's")
    resumed = list(train_trial(spec, _attempt(here, 1)))
    assert _without_time(resumed) == _without_time(undisturbed(spec))
    assert not any(result.is_restored for result in resumed)
    assert f"is of trial {other.key}, but must be of {spec.key}" in caplog.text
    assert _names(here, spec) == ["3-1.ckpt", "notes.txt"]


def test_a_checkpoint_that_half_fits_leaves_nothing_of_it(
    spec: TrialSpec, here: Runtime, undisturbed: Undisturbed
) -> None:
    whole = undisturbed(spec)
    _killed(spec, here, 2)
    state = from_bytes(_get(here, spec, "1-0.ckpt"), "here")
    del state["detector"]["adam_d"]
    open_objects(here.store).delete(f"{PREFIX}/{spec.key}/1-0.ckpt")
    _put(here, spec, "1-1.ckpt", to_bytes(state))
    assert _without_time(list(train_trial(spec, _attempt(here, 2)))) == _without_time(whole)


@pytest.mark.parametrize("broken", ["put_if_absent", "delete", "list", "get"])
def test_a_store_that_fails_costs_the_checkpoint_and_not_the_trial(  # noqa: PLR0913  Fixtures.
    broken: str,
    spec: TrialSpec,
    here: Runtime,
    undisturbed: Undisturbed,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole = undisturbed(spec)
    _killed(spec, here, 2)

    def fail(*_: object) -> None:
        raise StoreError("the store answered 503.")

    monkeypatch.setattr(LocalObjects, broken, fail)
    with caplog.at_level(logging.WARNING):
        resumed = list(train_trial(spec, _attempt(here, 1)))
    assert _without_time(resumed) == _without_time(whole)
    assert "the store answered 503" in caplog.text


def test_a_worker_about_to_be_taken_away_puts_a_checkpoint_at_once_and_ends(
    spec: TrialSpec, here: Runtime, undisturbed: Undisturbed
) -> None:
    whole = undisturbed(spec)
    notices = iter([False, True])
    epochs = train_trial(spec, replace(here, is_preempted=lambda: next(notices)))
    first = [next(epochs), next(epochs)]
    with pytest.raises(PreemptedError, match=f"trial {spec.key} was taken off its worker after"):
        next(epochs)
    assert _names(here, spec) == ["2-0.ckpt"]
    second = list(train_trial(spec, _attempt(here, 1)))
    assert _without_time(first) == _without_time(whole[:2])
    assert _without_time(second) == _without_time(whole)
    assert [result.is_restored for result in second] == [True, True, False, False]


def test_a_worker_about_to_be_taken_away_finishes_a_trial_that_has_no_epoch_left(
    spec: TrialSpec, here: Runtime
) -> None:
    seen: list[int] = []

    def is_preempted() -> bool:
        return len(seen) == _NUM

    for result in train_trial(spec, replace(here, is_preempted=is_preempted)):
        seen.append(result.epoch)
    assert seen == [0, 1, 2, 3]
