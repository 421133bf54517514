"""The trial key: what changes it, and what does not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import agad
from agad.config import Agad, Cell, with_parameters
from agad.trial import TrialSpec

_SCRIPT = """
from agad.config import Agad, Cell
from agad.trial import TrialSpec

spec = TrialSpec(
    cell=Cell(dataset="digits", normal_class=3, anomaly_ratio=0.05, settings=(("lr", 0.001),)),
    phase="confirm",
    number=2,
    params={"weight_con": 12.5, "weight_adcon": 3.25},
    seed=4,
    max_epochs=27,
    detector=Agad(lr=0.001, weight_con=12.5, weight_adcon=3.25, backbone="naive"),
    num_val_anomalies=30,
    val_share=0.1,
    data_fingerprint="ab" * 32,
)
"""


def _key(source: str) -> str:
    names: dict[str, Any] = {}
    exec(source, names)
    key: str = names["spec"].key
    return key


def test_key_is_32_hexadecimal_digits(make_spec: Callable[..., TrialSpec]) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", make_spec().key)


def test_key_is_equal_for_specs_built_alike(make_spec: Callable[..., TrialSpec]) -> None:
    assert make_spec().key == make_spec().key


@pytest.mark.parametrize(
    "changes",
    [
        {"phase": "confirm"},
        {"seed": 1},
        {"max_epochs": 3},
        {"data_fingerprint": "1" * 64},
        {"num_val_anomalies": 31},
        {"val_share": 0.2},
        {"cell": Cell(dataset="mnist", normal_class=0, anomaly_ratio=0.1)},
        {"cell": Cell(dataset="digits", normal_class=1, anomaly_ratio=0.1)},
        {"cell": Cell(dataset="digits", normal_class=0, anomaly_ratio=0.2)},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_key_changes_with_all_that_decides_the_result(
    changes: dict[str, Any], make_spec: Callable[..., TrialSpec]
) -> None:
    assert make_spec(**changes).key != make_spec().key


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
    "reciprocal_eps": 1e-5,
}


@pytest.mark.parametrize("name", [one.name for one in fields(Agad)])
def test_key_changes_with_every_parameter_of_the_detector(
    name: str, make_spec: Callable[..., TrialSpec]
) -> None:
    changed: Any = {name: _OTHER_VALUES[name]}
    assert make_spec(detector=Agad(**changed)).key != make_spec(detector=Agad()).key


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


def test_protocol_and_selection_name_the_label_budget(
    make_spec: Callable[..., TrialSpec],
) -> None:
    spec = make_spec(num_val_anomalies=12, val_share=0.2)
    assert spec.selection == "labelled(12)"
    assert (spec.protocol.normal_class, spec.protocol.anomaly_ratio) == (0, 0.1)
    assert (spec.protocol.num_val_anomalies, spec.protocol.val_share) == (12, 0.2)
