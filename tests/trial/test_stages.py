"""Stages before a study's first epoch: no epochs of the study, and no loss if a worker goes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import torch

import agad.trial.checkpoint_store
from agad.detectors import DeepSvdd, Pca
from agad.errors import PreemptedError, TrialDivergedError
from agad.objects import open_objects
from agad.trial import CheckpointPlan, EpochResult, Instance, Runtime, TrialSpec, train_trial
from agad.trial.training import Training, prepare

MakeSpec: TypeAlias = Callable[..., TrialSpec]

PREFIX = "a-study/checkpoints"
_NUM_PRETRAINED = 3
_NUM = 2


@pytest.fixture
def spec(make_spec: MakeSpec) -> TrialSpec:
    """Return a confirm trial of two epochs after three of pretraining."""
    detector = DeepSvdd(pretrain_epochs=_NUM_PRETRAINED, batch_size=40, lr=1e-3, pretrain_lr=1e-3)
    return make_spec(detector=detector, phase="confirm", max_epochs=_NUM)


@pytest.fixture
def here(alone: Runtime) -> Runtime:
    """The first attempt of a trial, in a store of the test's own."""
    return replace(alone, checkpoints=CheckpointPlan(prefix=PREFIX, milestones=(1,)))


def _attempt(runtime: Runtime, attempt: int) -> Runtime:
    assert runtime.checkpoints is not None
    return replace(runtime, checkpoints=replace(runtime.checkpoints, attempt=attempt))


def _names(runtime: Runtime) -> list[str]:
    keys = open_objects(runtime.store).list(f"{PREFIX}/")
    return [key.rpartition("/")[2] for key in keys]


def _without_time(results: list[EpochResult]) -> list[EpochResult]:
    return [replace(one, train_s=0.0, pretrain_s=0.0) for one in results]


def _assert_equal(results: list[EpochResult], whole: list[EpochResult]) -> None:
    """Compare everything but the time, the scores of the test split bit for bit."""
    assert _without_time(results) == _without_time(whole)
    tests = [one[-1].test for one in (results, whole)]
    first, second = (test.scores for test in tests if test is not None)
    np.testing.assert_array_equal(first, second)


def _preempted_after(num: int) -> Callable[[], bool]:
    """Return a notice that comes after so many epochs, of any stage."""
    calls = itertools.count(1)
    return lambda: next(calls) >= num


@pytest.fixture
def pretrained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the epochs of pretraining that are trained, as each begins."""
    epochs: list[int] = []
    pretrain = Training.pretrain

    def noted(self: Training) -> bool:
        before = self.num_pretrained
        has_trained = pretrain(self)
        if has_trained:
            epochs.append(before)
        return has_trained

    monkeypatch.setattr(Training, "pretrain", noted)
    return epochs


def test_stages_before_the_first_epoch_are_no_epochs_of_the_study(
    spec: TrialSpec, runtime: Runtime, pretrained: list[int]
) -> None:
    results = list(train_trial(spec, runtime))
    assert [one.epoch for one in results] == list(range(_NUM))
    assert pretrained == list(range(_NUM_PRETRAINED))
    assert all(one.losses.keys() == {"loss"} for one in results)


def test_the_seconds_of_the_pretraining_are_in_the_first_epoch_alone(
    spec: TrialSpec, runtime: Runtime
) -> None:
    first, second = train_trial(spec, runtime)
    assert first.pretrain_s > 0
    assert (first.pretrain_before_s, second.pretrain_s) == (0.0, 0.0)


def test_a_detector_of_one_stage_has_no_seconds_of_pretraining(
    make_spec: MakeSpec, runtime: Runtime
) -> None:
    assert [one.pretrain_s for one in train_trial(make_spec(), runtime)] == [0.0, 0.0]


@pytest.mark.parametrize("num", range(1, _NUM_PRETRAINED + _NUM))
def test_a_training_saved_after_any_epoch_of_any_stage_goes_on_bit_for_bit(
    num: int, spec: TrialSpec, runtime: Runtime, tmp_path: Path
) -> None:
    whole = list(train_trial(spec, runtime))
    checkpoint = tmp_path / "trial.ckpt"
    with pytest.raises(PreemptedError):
        list(train_trial(spec, replace(runtime, is_preempted=_preempted_after(num)), checkpoint))
    _assert_equal(list(train_trial(spec, runtime, checkpoint)), whole)


@pytest.mark.parametrize(
    ("num", "name"), [(1, "0.1-0.ckpt"), (2, "0.2-0.ckpt"), (3, "0.3-0.ckpt"), (4, "1-0.ckpt")]
)
def test_a_worker_taken_away_in_a_pretraining_leaves_a_checkpoint_in_the_store(
    num: int, name: str, spec: TrialSpec, here: Runtime, pretrained: list[int]
) -> None:
    with pytest.raises(PreemptedError, match=f"trial {spec.key} was taken off its worker after"):
        list(train_trial(spec, replace(here, is_preempted=_preempted_after(num))))
    assert _names(here) == [name]
    whole = list(train_trial(spec, replace(here, checkpoints=None)))
    pretrained.clear()
    resumed = list(train_trial(spec, _attempt(here, 1)))
    assert pretrained == list(range(num, _NUM_PRETRAINED))
    _assert_equal(resumed, whole)


def test_a_preemption_before_the_first_epoch_tells_how_far_the_trial_was(
    spec: TrialSpec, here: Runtime
) -> None:
    message = "taken off its worker after 2 epochs before its first, since its node is about to go"
    with pytest.raises(PreemptedError, match=message):
        list(train_trial(spec, replace(here, is_preempted=_preempted_after(2))))


def test_a_pretraining_that_is_taken_away_twice_goes_on_from_its_newest_checkpoint(
    spec: TrialSpec, here: Runtime, pretrained: list[int]
) -> None:
    whole = list(train_trial(spec, replace(here, checkpoints=None)))
    for attempt in range(2):
        runtime = replace(_attempt(here, attempt), is_preempted=_preempted_after(1))
        with pytest.raises(PreemptedError):
            list(train_trial(spec, runtime))
        assert _names(here) == [f"0.{attempt + 1}-{attempt}.ckpt"]
    pretrained.clear()
    resumed = list(train_trial(spec, _attempt(here, 2)))
    assert pretrained == [2]
    _assert_equal(resumed, whole)


def test_each_checkpoint_of_one_attempts_pretraining_takes_the_place_of_the_one_before(
    spec: TrialSpec, here: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agad.trial.checkpoint_store, "EVERY_S", 0.0)
    seen: list[list[str]] = []

    def look() -> bool:
        seen.append(_names(here))
        return False

    list(train_trial(spec, replace(here, is_preempted=look)))
    # Each is seen after the next epoch, the last of them before the trial's end.
    assert seen == [[], ["0.1-0.ckpt"], ["0.2-0.ckpt"], ["0.3-0.ckpt"]]
    assert _names(here) == [f"{_NUM}-0.ckpt"]


def test_the_seconds_of_an_earlier_attempts_pretraining_are_told_apart(
    spec: TrialSpec, here: Runtime
) -> None:
    with pytest.raises(PreemptedError):
        list(train_trial(spec, replace(here, is_preempted=_preempted_after(2))))
    first, second = train_trial(spec, _attempt(here, 1))
    assert 0 < first.pretrain_before_s < first.pretrain_s
    assert second.pretrain_before_s == 0.0


def test_a_damaged_checkpoint_of_a_pretraining_is_passed_over(
    spec: TrialSpec, here: Runtime, pretrained: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    whole = list(train_trial(spec, replace(here, checkpoints=None)))
    with pytest.raises(PreemptedError):
        list(train_trial(spec, replace(here, is_preempted=_preempted_after(1))))
    damaged = f"{PREFIX}/{spec.key}/0.2-0.ckpt"
    assert open_objects(here.store).put_if_absent(damaged, b"damaged")
    pretrained.clear()
    resumed = list(train_trial(spec, _attempt(here, 1)))
    assert pretrained == [1, 2]
    _assert_equal(resumed, whole)
    assert "0.2-0.ckpt is no checkpoint" in caplog.text


def test_instances_are_pretrained_in_lock_step_and_go_on_bit_for_bit(
    spec: TrialSpec, here: Runtime
) -> None:
    group = replace(spec, phase="search", further=(Instance(task=spec.task, seed=1),))
    whole = list(train_trial(group, replace(here, checkpoints=None)))
    with pytest.raises(PreemptedError):
        list(train_trial(group, replace(here, is_preempted=_preempted_after(2))))
    assert _names(here) == ["0.2-0.ckpt"]
    resumed = list(train_trial(group, _attempt(here, 1)))
    assert _without_time(resumed) == _without_time(whole)
    assert resumed[0].pretrain_s > 0


def test_a_loss_that_is_not_finite_in_a_pretraining_ends_the_trial_and_names_the_stage(
    spec: TrialSpec, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = prepare(spec, runtime)
    nan = {"loss_pretrain": float("nan")}
    monkeypatch.setattr(training.detector, "fit_epoch", lambda *_: nan)
    with pytest.raises(TrialDivergedError, match="loss_pretrain is nan at epoch 0 of pretrain"):
        training.pretrain()


def test_a_trial_of_a_detector_that_fits_once_has_one_epoch(
    make_spec: MakeSpec, runtime: Runtime
) -> None:
    (result,) = train_trial(make_spec(detector=Pca(), phase="confirm", max_epochs=1), runtime)
    assert result.losses.keys() == {"components"}
    assert result.test is not None
    assert result.test.auroc > 0.9


def test_a_detector_gets_images_of_the_size_that_it_takes(
    spec: TrialSpec, runtime: Runtime
) -> None:
    batch, _ = next(prepare(spec, runtime).batches.epoch(np.random.default_rng(0)))
    assert batch.shape[1:] == (1, 28, 28)
    assert torch.allclose(batch.mean(dim=(1, 2, 3)), torch.zeros(len(batch)), atol=1e-5)
