"""The trial key: what changes it, and what does not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import agad
from agad.config import Cell, with_parameters
from agad.data import Manifest, StoredPart
from agad.detectors import Agad
from agad.trial import TrialSpec

if TYPE_CHECKING:
    from tests.trial.conftest import TaskOf

_SCRIPT = """
from agad.config import Cell
from agad.data import Manifest, StoredPart, Task
from agad.detectors import Agad
from agad.trial import TrialSpec

part = StoredPart(sha256="0" * 64, num_bytes=1, class_counts=(60, 60, 60))
spec = TrialSpec(
    cell=Cell(dataset="photos", normal_class=0, anomaly_ratio=0.05, settings=(("lr", 0.001),)),
    data=Manifest(
        name="photos",
        class_names=("good", "broken", "bent"),
        channels=3,
        image_px=32,
        num_val_anomalies=30,
        fingerprint="ab" * 32,
        train=part,
        test=part,
        source="folder photos",
        resize="none",
        test_split="official",
    ),
    task=Task(
        normal_classes=(0,),
        anomalous_classes=(1, 2),
        labelled_classes=1,
        anomaly_ratio=0.05,
        pollution_ratio=0.1,
        num_val_anomalies=30,
        val_share=0.1,
    ),
    phase="confirm",
    number=2,
    params={"weight_con": 12.5, "weight_adcon": 3.25},
    seed=4,
    max_epochs=27,
    detector=Agad(lr=0.001, weight_con=12.5, weight_adcon=3.25, backbone="naive"),
)
"""


def _key(source: str) -> str:
    names: dict[str, Any] = {}
    exec(source, names)
    key: str = names["spec"].key
    return key


def test_key_is_32_hexadecimal_digits(make_spec: Callable[..., TrialSpec]) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", make_spec().key)


def test_key_of_a_trial_that_was_stored_long_ago_is_what_it_was() -> None:
    assert _key(_SCRIPT) == "7c107b89a3d5a0535e04f399bf13cb48"


def test_a_candidate_has_another_key_than_a_confirm_trial_that_is_alone(
    make_spec: Callable[..., TrialSpec],
) -> None:
    alone, candidate = make_spec(phase="confirm"), make_spec(phase="confirm", is_candidate=True)
    assert candidate.key != alone.key


def test_the_training_of_a_test_trial_is_its_candidates(
    make_spec: Callable[..., TrialSpec],
) -> None:
    test, candidate = make_spec(phase="test"), make_spec(phase="confirm", is_candidate=True)
    assert test.training_key == candidate.training_key == candidate.key != test.key


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"phase": "search"}, False),
        ({"phase": "confirm"}, True),
        ({"phase": "confirm", "is_candidate": True}, False),
        ({"phase": "test"}, True),
    ],
    ids=["search", "confirm", "candidate", "test"],
)
def test_only_the_trials_of_a_winner_see_the_test_split(
    changes: dict[str, Any], expected: bool, make_spec: Callable[..., TrialSpec]
) -> None:
    assert make_spec(**changes).sees_test is expected


def test_key_is_equal_for_specs_built_alike(make_spec: Callable[..., TrialSpec]) -> None:
    assert make_spec().key == make_spec().key


@pytest.mark.parametrize(
    "changes",
    [
        {"phase": "confirm"},
        {"seed": 1},
        {"max_epochs": 3},
        {"cell": Cell(dataset="digits", normal_class=1, anomaly_ratio=0.1)},
        {"cell": Cell(dataset="digits", anomalous_class=0, anomaly_ratio=0.1)},
        {"cell": Cell(dataset="digits", normal_class=0, anomaly_ratio=0.2)},
    ],
    ids=["phase", "seed", "max_epochs", "class", "protocol", "ratio"],
)
def test_key_changes_with_all_that_decides_the_result(
    changes: dict[str, Any], make_spec: Callable[..., TrialSpec]
) -> None:
    assert make_spec(**changes).key != make_spec().key


@pytest.mark.parametrize(
    "changes",
    [
        {"normal_classes": (1,)},
        {"anomalous_classes": (1, 2)},
        {"labelled_classes": (1, 2)},
        {"labelled_classes": 2},
        {"anomaly_ratio": 0.2},
        {"pollution_ratio": 0.1},
        {"num_val_anomalies": 31},
        {"val_share": 0.2},
    ],
    ids=lambda changes: "-".join(f"{name}={value}" for name, value in changes.items()),
)
def test_key_changes_with_each_part_of_the_task(
    changes: dict[str, Any], make_spec: Callable[..., TrialSpec]
) -> None:
    spec = make_spec()
    assert replace(spec, task=replace(spec.task, **changes)).key != spec.key


def test_key_tells_so_many_labelled_classes_from_the_class_of_that_label(
    make_spec: Callable[..., TrialSpec],
) -> None:
    spec = make_spec()
    number, which = (replace(spec.task, labelled_classes=one) for one in (2, (2,)))
    assert replace(spec, task=number).key != replace(spec, task=which).key


def test_key_changes_with_the_content_of_the_data_set(
    make_spec: Callable[..., TrialSpec], digits: Manifest
) -> None:
    other = replace(digits, fingerprint="1" * 64)
    assert make_spec(data=other).key != make_spec().key


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "my-digits"},
        {"source": "folder elsewhere"},
        {"num_val_anomalies": 7},
        {"train": StoredPart(sha256="2" * 64, num_bytes=2, class_counts=(5,) * 10)},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_key_does_not_change_with_how_a_data_set_of_equal_content_is_kept(
    changes: dict[str, Any], make_spec: Callable[..., TrialSpec], digits: Manifest
) -> None:
    assert make_spec(data=replace(digits, **changes)).key == make_spec().key


def test_key_does_not_change_with_how_the_cell_names_what_its_task_says(
    make_spec: Callable[..., TrialSpec], task_of: TaskOf
) -> None:
    by_label = Cell(dataset="digits", normal_class=3, anomaly_ratio=0.1)
    by_name = Cell(dataset="my-digits", normal_class="three", anomaly_ratio=0.1)
    task = task_of(by_label)
    assert make_spec(cell=by_name, task=task).key == make_spec(cell=by_label, task=task).key


_OTHER_VALUES: dict[str, Any] = {
    "backbone": "naive",
    "base_width": 5,
    "discriminator_width": 5,
    "weight_adv": 1.5,
    "weight_con": 50.5,
    "weight_adcon": 15.5,
    "weight_lat": 5.5,
    "lr": 1e-3,
    "beta1": 0.6,
    "batch_size": 128,
    "min_batch_anomalies": 16,
    "batch_anomaly_share": 0.5,
    "reciprocal_eps": 1e-5,
    "generator_norm": False,
    "bottleneck_px": 2,
    "tanh_output": False,
    "contextual_adversarial": False,
    "detach_second_pass": True,
    "advprop": True,
    "anomaly_term": "alg1",
    "anomaly_pass": "mixed",
    "reciprocal_of": "image",
    "max_grad_norm": 1.0,
    "reset_threshold": 1e-4,
    "score_statistics": "image",
}
_ALLOWED_WITH: dict[str, dict[str, Any]] = {"bottleneck_px": {"backbone": "naive"}}
"""What a parameter's other value needs."""


@pytest.mark.parametrize("name", [one.name for one in fields(Agad)])
def test_key_changes_with_every_parameter_of_the_detector(
    name: str, make_spec: Callable[..., TrialSpec]
) -> None:
    before = Agad(**_ALLOWED_WITH.get(name, {}))
    after = with_parameters(before, {name: _OTHER_VALUES[name]})
    assert make_spec(detector=after).key != make_spec(detector=before).key


def test_key_changes_with_the_detectors_version(
    make_spec: Callable[..., TrialSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make_spec().key
    monkeypatch.setattr(Agad, "version", Agad.version + 1)
    assert make_spec().key != before


def test_key_does_not_change_with_the_place_in_the_cell(
    make_spec: Callable[..., TrialSpec],
) -> None:
    assert make_spec(number=7).key == make_spec(number=0).key


@pytest.mark.parametrize("name", [one.name for one in fields(Agad)])
def test_key_does_not_change_with_a_parameter_set_to_its_default(
    name: str, make_spec: Callable[..., TrialSpec]
) -> None:
    default: Any = {name: getattr(Agad(), name)}
    assert make_spec(detector=Agad(**default)).key == make_spec(detector=Agad()).key


@pytest.mark.parametrize(
    ("name", "value"), [("weight_con", 50), ("weight_con", 40), ("weight_lat", 0), ("lr", 1)]
)
def test_key_does_not_tell_a_whole_number_from_the_same_real_number(
    name: str, value: int, make_spec: Callable[..., TrialSpec]
) -> None:
    whole, real = (
        make_spec(detector=with_parameters(Agad(), {name: one})) for one in (value, float(value))
    )
    assert whole == real
    assert whole.key == real.key


def test_key_does_not_change_with_how_a_parameter_was_set(
    make_spec: Callable[..., TrialSpec],
) -> None:
    detector = Agad(lr=1e-3)
    searched = make_spec(detector=detector, params={"lr": 1e-3})
    cell = Cell(dataset="digits", normal_class=0, anomaly_ratio=0.1, settings=(("lr", 1e-3),))
    assert searched.key == make_spec(detector=detector, cell=cell).key


@pytest.mark.parametrize("hash_seed", ["1", "4242"])
def test_key_is_the_same_in_another_process(hash_seed: str) -> None:
    root = str(Path(agad.__file__).parents[1])
    found = subprocess.run(
        [sys.executable, "-c", f"{_SCRIPT}\nimport sys\nsys.stdout.write(spec.key)"],
        env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert found.stdout == _key(_SCRIPT)


def test_selection_names_the_label_budget(
    make_spec: Callable[..., TrialSpec], task_of: TaskOf
) -> None:
    spec = make_spec()
    assert replace(spec, task=task_of(spec.cell, num_val_anomalies=12)).selection == "labelled(12)"


def test_key_changes_with_the_number_of_normals(make_spec: Callable[..., TrialSpec]) -> None:
    spec = make_spec()
    keys = {replace(spec, task=replace(spec.task, num_normals=num)).key for num in (None, 10, 50)}
    assert len(keys) == 3
    assert spec.key in keys
