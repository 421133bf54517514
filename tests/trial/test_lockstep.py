"""Several instances of a trial in lock-step: each is the trial that it would be alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, TypeAlias

import pytest

from agad.config import Cell
from agad.errors import CheckpointError, PreemptedError, TrialDivergedError
from agad.objects import open_objects
from agad.trial import CheckpointPlan, EpochResult, Instance, Runtime, TrialSpec, train_trial
from agad.trial.checkpoint import read_checkpoint, write_checkpoint
from agad.trial.lockstep import LockStep
from agad.trial.training import prepare

if TYPE_CHECKING:
    from tests.trial.conftest import TaskOf, Undisturbed, UseStub

MakeSpec: TypeAlias = Callable[..., TrialSpec]
MakeGroup: TypeAlias = Callable[..., TrialSpec]


@pytest.fixture(scope="module")
def make_group(make_spec: MakeSpec, task_of: TaskOf) -> MakeGroup:
    """Build a trial of classes 0 and 5, each with seeds 0 and 1."""

    def build(**changes: object) -> TrialSpec:
        first, second = (
            Cell(dataset="digits", normal_class=label, anomaly_ratio=0.1) for label in (0, 5)
        )
        others = [(first, 1), (second, 0), (second, 1)]
        further = tuple(Instance(task=task_of(cell), seed=seed) for cell, seed in others)
        return make_spec(**({"cell": first.over((0, 5)), "further": further} | changes))

    return build


def _without_time(results: list[EpochResult]) -> list[EpochResult]:
    return [replace(result, train_s=0.0) for result in results]


def test_instances_are_the_trials_of_each_class_and_seed(
    make_group: MakeGroup, make_spec: MakeSpec
) -> None:
    spec = make_group()
    cell = Cell(dataset="digits", normal_class=5, anomaly_ratio=0.1)
    assert [(one.given_label, one.seed) for one in spec.instances] == [
        (0, 0),
        (0, 1),
        (5, 0),
        (5, 1),
    ]
    assert spec.seeds == (0, 1)
    assert spec.instances[0].key == make_spec().key
    assert spec.instances[3].key == make_spec(cell=cell, seed=1).key


def test_each_epoch_is_the_mean_of_what_the_instances_give_alone(
    make_group: MakeGroup, undisturbed: Undisturbed
) -> None:
    spec = make_group()
    results = undisturbed(spec)
    alone = [undisturbed(one) for one in spec.instances]
    assert len({one[-1].val_auroc for one in alone}) == len(alone)
    for epoch, result in enumerate(results):
        each = [one[epoch] for one in alone]
        assert result.objective == fmean(one.objective for one in each)
        assert result.val_auroc == result.objective
        assert result.losses == {
            name: fmean(one.losses[name] for one in each) for name in each[0].losses
        }
        assert (result.epoch, result.test) == (epoch, None)


def test_the_checkpoint_holds_each_instance_as_it_is_alone(
    make_group: MakeGroup, runtime: Runtime, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    spec = make_group()
    list(train_trial(spec, runtime, tmp_path / "group"))
    states = read_checkpoint(tmp_path / "group")["instances"]
    for place, one in enumerate(spec.instances):
        kept = [EpochResult(**result) for result in states[place]["history"]]
        assert _without_time(kept) == _without_time(undisturbed(one))
        list(train_trial(one, runtime, tmp_path / f"{place}"))
        assert states[place]["rng"] == read_checkpoint(tmp_path / f"{place}")["rng"]


@pytest.mark.parametrize("num_epochs", [1, 2])
def test_a_stopped_group_goes_on_bit_for_bit(
    num_epochs: int,
    make_group: MakeGroup,
    runtime: Runtime,
    undisturbed: Undisturbed,
    tmp_path: Path,
) -> None:
    spec = make_group(max_epochs=3)
    epochs = train_trial(spec, runtime, tmp_path / "trial.ckpt")
    before = list(itertools.islice(epochs, num_epochs))
    epochs.close()  # type: ignore[attr-defined]
    after = list(train_trial(spec, runtime, tmp_path / "trial.ckpt"))
    assert after[:num_epochs] == before
    assert [one.is_restored for one in after] == [True] * num_epochs + [False] * (3 - num_epochs)
    assert _without_time(after) == _without_time(undisturbed(spec))


def test_a_preempted_group_goes_on_from_its_checkpoint_in_the_store(
    make_group: MakeGroup, alone: Runtime, undisturbed: Undisturbed
) -> None:
    spec, plan = make_group(), CheckpointPlan(prefix="a-study/checkpoints")
    whole = undisturbed(spec)
    keeping = replace(alone, checkpoints=plan)
    with pytest.raises(PreemptedError, match="after epoch 0"):
        list(train_trial(spec, replace(keeping, is_preempted=lambda: True)))
    assert open_objects(alone.store).list("a-study/checkpoints/") == [
        f"a-study/checkpoints/{spec.key}/1-0.ckpt"
    ]
    again = replace(keeping, checkpoints=replace(plan, attempt=1))
    results = list(train_trial(spec, again))
    assert [one.is_restored for one in results] == [True, False]
    assert _without_time(results) == _without_time(whole)


def test_the_key_depends_on_every_further_instance(make_group: MakeGroup, task_of: TaskOf) -> None:
    spec = make_group()
    *kept, last = spec.further
    other = task_of(Cell(dataset="digits", normal_class=7, anomaly_ratio=0.1))
    groups = [(*kept, replace(last, task=other)), (*kept, replace(last, seed=9)), (*kept,), ()]
    assert len({spec.key, *(replace(spec, further=one).key for one in groups)}) == 5


def test_an_instance_that_diverges_diverges_its_trial_and_is_named(
    make_group: MakeGroup, runtime: Runtime, use_stub: UseStub
) -> None:
    spec = make_group(max_epochs=3)
    use_stub(losses=[1.0] * 6 + [float("nan")])
    short = replace(spec, further=spec.further[1:2])
    with pytest.raises(TrialDivergedError, match=r"class \d, seed 0: loss_g is nan at epoch \d"):
        list(train_trial(short, runtime))


def test_a_checkpoint_of_another_group_or_of_one_instance_is_refused(
    make_group: MakeGroup, runtime: Runtime, tmp_path: Path
) -> None:
    spec, path = make_group(max_epochs=1), tmp_path / "trial.ckpt"
    list(train_trial(spec.instances[0], runtime, path))
    with pytest.raises(CheckpointError, match=f"must be of {spec.key}"):
        list(train_trial(spec, runtime, path))


@pytest.fixture(scope="module")
def of_a_group(
    make_group: MakeGroup, runtime: Runtime, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the checkpoint of a group after an epoch; tests leave it as it is."""
    path = tmp_path_factory.mktemp("group") / "trial.ckpt"
    list(train_trial(make_group(max_epochs=1), runtime, path))
    return path


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda states: states[:-1], "does not hold the 4 instances"),
        (lambda _: "none", "does not hold the 4 instances"),
        (lambda states: [*states[:-1], states[0]], "instance 3, is of trial"),
        (
            lambda states: [*states[:-1], states[-1] | {"history": []}],
            "different numbers of epochs",
        ),
    ],
    ids=["one short", "no list", "one twice", "one behind"],
)
def test_a_checkpoint_that_lacks_an_instance_is_refused(  # noqa: PLR0913  Fixtures.
    damage: Callable[[object], object],
    reason: str,
    make_group: MakeGroup,
    runtime: Runtime,
    of_a_group: Path,
    tmp_path: Path,
) -> None:
    spec, path = make_group(max_epochs=1), tmp_path / "trial.ckpt"
    state = read_checkpoint(of_a_group)
    write_checkpoint(path, state | {"instances": damage(state["instances"])})
    with pytest.raises(CheckpointError, match=reason):
        list(train_trial(spec, runtime, path))


def test_a_group_of_one_is_the_plain_trial_bit_for_bit(
    make_spec: MakeSpec, runtime: Runtime, undisturbed: Undisturbed
) -> None:
    spec = make_spec()
    group = LockStep(spec=spec, instances=(prepare(spec, runtime),))
    for _ in range(spec.max_epochs):
        group.advance()
    assert spec.instances == (spec,)
    assert _without_time(group.history) == _without_time(undisturbed(spec))
