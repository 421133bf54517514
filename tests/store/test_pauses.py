"""Pauses of trials, as a store keeps them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from agad.errors import StoreError
from agad.objects import LocalObjects
from agad.records import Pause, objective_of
from agad.store import StudyStore
from agad.store.release import pause_to_json


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path / "store")


@pytest.fixture
def store(objects: LocalObjects) -> StudyStore:
    return StudyStore(objects, "study")


def test_a_pause_is_read_as_it_was_put(store: StudyStore, pause: Pause) -> None:
    store.put_pause(pause)
    assert store.pauses({"0" * 32}) == [pause]


def test_a_pause_of_the_version_before_objectives_has_its_auroc_as_objective(
    store: StudyStore, objects: LocalObjects, pause: Pause
) -> None:
    values = json.loads(pause_to_json(pause))
    for epoch in values["epochs"]:
        del epoch["objective"]
    objects.put_if_absent(f"study/claims/{'0' * 32}/0-paused.json", json.dumps(values).encode())
    [found] = store.pauses({"0" * 32})
    assert [objective_of(epoch) for epoch in found.epochs] == [
        epoch.val_auroc for epoch in pause.epochs
    ]


def test_a_pause_names_the_seconds_of_a_pretraining_if_there_was_one(
    store: StudyStore, pause: Pause
) -> None:
    assert "pretrain_s" not in json.loads(pause_to_json(pause))
    store.put_pause(replace(pause, pretrain_s=0.1))
    assert store.pauses({"0" * 32}) == [replace(pause, pretrain_s=0.1)]


def test_the_last_pause_of_a_trial_counts(store: StudyStore, pause: Pause) -> None:
    for attempt in (2, 10, 0):
        store.put_pause(replace(pause, attempt=attempt))
    assert [one.attempt for one in store.pauses({"0" * 32, "1" * 32})] == [10]


def test_pauses_of_other_trials_are_not_read(
    store: StudyStore, objects: LocalObjects, pause: Pause
) -> None:
    objects.put_if_absent(f"study/claims/{'1' * 32}/0-paused.json", b"no JSON")
    store.put_pause(pause)
    assert store.pauses({"0" * 32}) == [pause]
    assert store.pauses(set()) == []


def test_a_paused_attempt_is_released_and_no_claim(store: StudyStore, pause: Pause) -> None:
    store.release("0" * 32, 1)
    store.put_pause(pause)
    assert store.released() == {("0" * 32, 0), ("0" * 32, 1)}
    assert store.claims() == []


def test_a_pause_that_the_store_does_not_take_waits_in_the_spool(
    tmp_path: Path, objects: LocalObjects, pause: Pause
) -> None:
    store = StudyStore(objects, "study", tmp_path / "spool")
    store.disconnect()
    store.put_pause(pause)
    assert store.pauses({"0" * 32}) == []
    later = StudyStore(objects, "study", tmp_path / "spool")
    later.flush()
    assert later.pauses({"0" * 32}) == [pause]


@pytest.mark.parametrize(
    "values",
    [b"{}", b'{"epochs": [{"epoch": 0}]}', b'{"epochs": 1}'],
    ids=["empty", "row", "number"],
)
def test_what_is_no_pause_is_refused(
    store: StudyStore, objects: LocalObjects, values: bytes
) -> None:
    key = f"study/claims/{'0' * 32}/0-paused.json"
    objects.put_if_absent(key, values)
    with pytest.raises(StoreError, match=re.escape(f"{key} is no pause (")):
        store.pauses({"0" * 32})
