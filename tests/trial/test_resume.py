"""A trial that was stopped and goes on: bit for bit the one that never was."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from agad.errors import CheckpointError
from agad.trial import EpochResult, Runtime, TrialSpec, train_trial
from agad.trial.checkpoint import read_checkpoint, write_checkpoint
from agad.trial.training import prepare

if TYPE_CHECKING:
    from tests.trial.conftest import Undisturbed

MakeSpec: TypeAlias = Callable[..., TrialSpec]

_NUM = 3
_KINDS: list[dict[str, Any]] = [
    {"backbone": "naive"},
    {"backbone": "naive", "reset_threshold": 10.0},
    {"backbone": "unet++", "base_width": 2, "advprop": True, "reset_threshold": 10.0},
]
"""With resets, every epoch draws from the generator of the weights."""

_EACH_KIND = [
    pytest.param(_KINDS[0], id="plain"),
    pytest.param(_KINDS[1], id="resets"),
    pytest.param(_KINDS[2], id="unet++-advprop-resets", marks=pytest.mark.nightly),
]


def _train(
    spec: TrialSpec, runtime: Runtime, checkpoint: Path | None, num_epochs: int
) -> list[EpochResult]:
    """Train some epochs of a trial, and stop."""
    epochs = train_trial(spec, runtime, checkpoint)
    results = list(itertools.islice(epochs, num_epochs))
    epochs.close()  # type: ignore[attr-defined]
    return results


def _without_time(results: list[EpochResult]) -> list[EpochResult]:
    return [replace(result, train_s=0.0) for result in results]


@pytest.mark.parametrize("options", _EACH_KIND)
def test_a_trial_stopped_after_any_epoch_goes_on_bit_for_bit(
    options: dict[str, Any],
    make_spec: MakeSpec,
    runtime: Runtime,
    undisturbed: Undisturbed,
    tmp_path: Path,
) -> None:
    spec = make_spec(phase="confirm", max_epochs=_NUM, **options)
    whole = undisturbed(spec)
    assert whole[-1].test is not None
    for num_epochs in range(_NUM + 1):
        checkpoint = tmp_path / f"after-{num_epochs}"
        _train(spec, runtime, checkpoint, num_epochs)
        resumed = list(train_trial(spec, runtime, checkpoint))
        assert _without_time(resumed) == _without_time(whole)


@pytest.mark.parametrize("options", _EACH_KIND)
def test_a_trial_stopped_after_every_epoch_goes_on_bit_for_bit(
    options: dict[str, Any],
    make_spec: MakeSpec,
    runtime: Runtime,
    undisturbed: Undisturbed,
    tmp_path: Path,
) -> None:
    spec = make_spec(phase="confirm", max_epochs=_NUM, **options)
    for num_epochs in range(1, _NUM):
        _train(spec, runtime, tmp_path / "trial.ckpt", num_epochs)
    resumed = list(train_trial(spec, runtime, tmp_path / "trial.ckpt"))
    assert _without_time(resumed) == _without_time(undisturbed(spec))


def test_every_epoch_of_these_trials_resets(make_spec: MakeSpec, runtime: Runtime) -> None:
    results = train_trial(make_spec(max_epochs=2, **_KINDS[2]), runtime)
    assert [result.losses["resets"] for result in results] == [1.0, 1.0]


@pytest.mark.parametrize("num_epochs", [1, 2, 3])
def test_the_epochs_before_are_yielded_again_with_the_time_that_they_took(
    num_epochs: int, make_spec: MakeSpec, runtime: Runtime, tmp_path: Path
) -> None:
    spec, checkpoint = make_spec(max_epochs=3), tmp_path / "trial.ckpt"
    before = _train(spec, runtime, checkpoint, num_epochs)
    assert list(train_trial(spec, runtime, checkpoint))[:num_epochs] == before


def test_a_checkpoint_of_the_version_before_objectives_is_gone_on_from(
    make_spec: MakeSpec, runtime: Runtime, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    spec, checkpoint = make_spec(max_epochs=3), tmp_path / "trial.ckpt"
    _train(spec, runtime, checkpoint, 2)
    state = read_checkpoint(checkpoint)
    for epoch in state["history"]:
        del epoch["objective"]
    write_checkpoint(checkpoint, state)
    resumed = list(train_trial(spec, runtime, checkpoint))
    assert [one.is_restored for one in resumed] == [True, True, False]
    assert _without_time(resumed) == _without_time(undisturbed(spec))


def test_a_finished_trial_trains_no_epoch_again(
    make_spec: MakeSpec, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, checkpoint = make_spec(phase="confirm"), tmp_path / "trial.ckpt"
    before = list(train_trial(spec, runtime, checkpoint))
    monkeypatch.setattr("agad.trial.training.train_epoch", lambda *_: pytest.fail("trained again"))
    assert list(train_trial(spec, runtime, checkpoint)) == before


def test_a_checkpoint_is_written_before_its_epoch_is_yielded(
    make_spec: MakeSpec, runtime: Runtime, tmp_path: Path
) -> None:
    spec, checkpoint = make_spec(max_epochs=3), tmp_path / "trial.ckpt"
    for result in train_trial(spec, runtime, checkpoint):
        training = prepare(spec, runtime)
        training.restore(checkpoint)
        assert training.num_epochs == result.epoch + 1
    assert list(tmp_path.iterdir()) == [checkpoint]


def test_a_trial_with_checkpoints_gives_the_epochs_of_one_without(
    make_spec: MakeSpec, runtime: Runtime, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    spec = make_spec(phase="confirm")
    kept = list(train_trial(spec, runtime, tmp_path / "trial.ckpt"))
    assert _without_time(kept) == _without_time(undisturbed(spec))


def test_a_trial_stopped_within_an_epoch_goes_on_after_the_one_before(
    make_spec: MakeSpec,
    runtime: Runtime,
    undisturbed: Undisturbed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec, checkpoint = make_spec(max_epochs=3), tmp_path / "trial.ckpt"
    epochs = train_trial(spec, runtime, checkpoint)
    next(epochs)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("agad.trial.training.score", interrupted)
        with pytest.raises(KeyboardInterrupt):
            next(epochs)
    resumed = list(train_trial(spec, runtime, checkpoint))
    assert _without_time(resumed) == _without_time(undisturbed(spec))


@pytest.mark.parametrize(
    "changes", [{"seed": 1}, {"max_epochs": 3}, {"phase": "confirm"}, {"lr": 1e-3}], ids=str
)
def test_the_checkpoint_of_another_trial_is_refused(
    changes: dict[str, Any], make_spec: MakeSpec, runtime: Runtime, tmp_path: Path
) -> None:
    one, other = make_spec(), make_spec(**changes)
    checkpoint = tmp_path / "trial.ckpt"
    _train(one, runtime, checkpoint, 1)
    message = f"{checkpoint} is of trial {one.key}, but must be of {other.key}"
    with pytest.raises(CheckpointError, match=message):
        next(train_trial(other, runtime, checkpoint))


def test_a_damaged_checkpoint_is_refused_and_left_as_it_is(
    make_spec: MakeSpec, runtime: Runtime, tmp_path: Path
) -> None:
    spec, checkpoint = make_spec(), tmp_path / "trial.ckpt"
    _train(spec, runtime, checkpoint, 1)
    damaged = checkpoint.read_bytes()[:-7]
    checkpoint.write_bytes(damaged)
    with pytest.raises(CheckpointError, match=f"{checkpoint} is truncated or damaged"):
        next(train_trial(spec, runtime, checkpoint))
    assert checkpoint.read_bytes() == damaged
