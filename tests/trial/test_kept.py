"""Checkpoints that stay for diagnostics: which, what they change, and what is scored of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from agad.data import Images, Manifest, Part, open_images
from agad.errors import CheckpointError, StoreError
from agad.objects import LocalObjects, open_objects
from agad.records import CheckpointName, kept_names
from agad.trial import CheckpointPlan, KeptPlan, Runtime, TrialSpec, diagnose_kept, train_trial

MakeSpec: TypeAlias = Callable[..., TrialSpec]

PREFIX = "a-study/kept"


@pytest.fixture
def keeping(alone: Runtime) -> Runtime:
    """The first attempt of a trial that keeps every second epoch, in a store of the test's own."""
    kept = KeptPlan(prefix=PREFIX, every=2)
    plan = CheckpointPlan(prefix="a-study/checkpoints", kept=kept)
    return replace(alone, checkpoints=plan)


@pytest.fixture
def spec(make_spec: MakeSpec) -> TrialSpec:
    return make_spec(phase="confirm", max_epochs=5)


def _kept(runtime: Runtime) -> list[str]:
    return open_objects(runtime.store).list("a-study/kept/")


def test_each_kth_epoch_and_the_last_stay(spec: TrialSpec, keeping: Runtime) -> None:
    list(train_trial(spec, keeping))
    assert _kept(keeping) == [f"{PREFIX}/{spec.key}/{num}-0.ckpt" for num in (2, 4, 5)]
    newest = open_objects(keeping.store).list("a-study/checkpoints/")
    assert newest == [f"a-study/checkpoints/{spec.key}/5-0.ckpt"]


def test_a_search_trial_keeps_none(make_spec: MakeSpec, keeping: Runtime) -> None:
    list(train_trial(make_spec(), keeping))
    assert _kept(keeping) == []


def test_keeping_changes_no_result_and_opens_no_test_image_more(
    spec: TrialSpec, keeping: Runtime, alone: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Part] = []

    def noted(data: Manifest, part: Part, **more: Any) -> Images:  # noqa: ANN401
        opened.append(part)
        return open_images(data, part, **more)

    monkeypatch.setattr("agad.trial.confirm.open_images", noted)
    kept, plain = (
        [replace(one, train_s=0.0) for one in train_trial(spec, runtime)]
        for runtime in (keeping, alone)
    )
    assert kept == plain
    assert opened == ["test"] * 2


def test_a_store_that_fails_costs_a_checkpoint_and_no_trial(
    spec: TrialSpec,
    keeping: Runtime,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    put = LocalObjects.put_if_absent

    def fail(self: LocalObjects, key: str, data: bytes) -> bool:
        if key.endswith("/4-0.ckpt"):
            raise StoreError("the disk is full.")
        return put(self, key, data)

    monkeypatch.setattr(LocalObjects, "put_if_absent", fail)
    with caplog.at_level(logging.WARNING):
        results = list(train_trial(spec, keeping))
    assert len(results) == 5
    assert _kept(keeping) == [f"{PREFIX}/{spec.key}/{num}-0.ckpt" for num in (2, 5)]
    assert f"Trial {spec.key} does not keep 4-0.ckpt (the disk is full.)." in caplog.text


def test_what_is_scored_is_each_kept_epoch_and_the_last_as_reported(
    spec: TrialSpec, keeping: Runtime
) -> None:
    results = list(train_trial(spec, keeping))
    found = diagnose_kept(spec, keeping, open_objects(keeping.store), PREFIX)
    assert found is not None
    assert found.epochs == (1, 3, 4)
    assert results[-1].test is not None
    assert found.test_auroc == found.test_aurocs[-1] == results[-1].test.auroc
    assert found.oracle_best_epoch_test_auroc == max(found.test_aurocs)


def test_of_a_trial_without_its_last_epoch_nothing_is_told(
    spec: TrialSpec, keeping: Runtime
) -> None:
    list(train_trial(spec, keeping))
    objects = open_objects(keeping.store)
    objects.delete(f"{PREFIX}/{spec.key}/5-0.ckpt")
    assert diagnose_kept(spec, keeping, objects, PREFIX) is None


def test_a_damaged_checkpoint_is_refused_by_name(spec: TrialSpec, keeping: Runtime) -> None:
    list(train_trial(spec, keeping))
    objects = open_objects(keeping.store)
    key = f"{PREFIX}/{spec.key}/2-0.ckpt"
    data = objects.get(key)
    objects.delete(key)
    objects.put_if_absent(key, data[:-1])
    with pytest.raises(CheckpointError, match=r"2-0\.ckpt is truncated or damaged"):
        diagnose_kept(spec, keeping, objects, PREFIX)


def test_of_each_epoch_the_latest_attempts_checkpoint_counts() -> None:
    names = ["10-0.ckpt", "2-0.ckpt", "4-0.ckpt", "4-10.ckpt", "4-2.ckpt", "notes.txt"]
    assert kept_names(PREFIX, [f"{PREFIX}/0f/{name}" for name in names]) == [
        CheckpointName(num_epochs=2, attempt=0),
        CheckpointName(num_epochs=4, attempt=10),
        CheckpointName(num_epochs=10, attempt=0),
    ]
