"""The policies that choose a cell's configuration, and what each refuses."""

from __future__ import annotations

import json
import re
from typing import Any, TypeAlias

import pytest

from agad.config import (
    Asha,
    Budget,
    Choice,
    Confirm,
    Fixed,
    FixedEpoch,
    Grid,
    LabelFree,
    Labelled,
    LogUniform,
    Median,
    NoStopping,
    Random,
    Search,
    Selection,
    Study,
    Uniform,
    ranked_apart,
    selection_from_json,
)
from agad.detectors import Agad
from agad.errors import ConfigError

AnyValue: TypeAlias = Any


def _study(**changes: AnyValue) -> Study:
    values: dict[str, Any] = {"name": "a-study", "cells": Grid(dataset="digits", normal_class=0)}
    return Study(**(values | changes))


@pytest.mark.parametrize(
    ("name", "distribution"),
    [
        ("weight_adv", Uniform(0, 2)),
        ("weight_con", LogUniform(10, 90)),
        ("weight_adcon", Uniform(0, 30)),
        ("weight_lat", Uniform(0, 10)),
        ("contextual_adversarial", Choice([True, False])),
    ],
)
def test_label_free_refuses_to_search_a_loss_weight(name: str, distribution: AnyValue) -> None:
    search = Search(space={"lr": LogUniform(1e-4, 1e-2), name: distribution})
    message = (
        f"search.space holds {name}, but LabelFree searches no loss weight: "
        "its figure is a part of the loss, and the search would always weigh that part alone"
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        _study(search=search, selection=LabelFree())
    assert _study(search=search).selection == Labelled()


def test_label_free_searches_other_parameters_beside_weights_that_cells_fix() -> None:
    cells = Grid(dataset="digits", normal_class=0, settings={"weight_adcon": [0.0, 15.0]})
    search = Search(space={"lr": LogUniform(1e-4, 1e-2), "base_width": Choice([4, 8])})
    study = _study(cells=cells, search=search, selection=LabelFree(val_share=0.2))
    assert study.num_search_trials == 32
    assert study.scheduler == Asha()


@pytest.mark.parametrize("selection", [Labelled(), LabelFree()], ids=["labelled", "label-free"])
def test_a_policy_that_chooses_needs_something_to_search(selection: Selection) -> None:
    with pytest.raises(
        ConfigError, match=r"search\.space is empty, .* FixedEpoch\(epochs=\.\.\.\)"
    ):
        _study(selection=selection)


def test_fixed_epoch_needs_no_search_and_no_scheduler() -> None:
    study = _study(selection=FixedEpoch(epochs=12))
    assert study.scheduler == NoStopping(max_epochs=12)
    assert (study.search.space, study.num_search_trials) == ({}, 0)
    assert _study(selection=FixedEpoch(epochs=12), scheduler=NoStopping(max_epochs=12)) == study


@pytest.mark.parametrize(
    "scheduler", [Asha(), Median(max_epochs=12), NoStopping(max_epochs=11)], ids=repr
)
def test_fixed_epoch_refuses_a_scheduler_that_could_train_other_epochs(
    scheduler: AnyValue,
) -> None:
    message = (
        f"study.scheduler is {scheduler}, but FixedEpoch(epochs=12) trains every trial for 12 "
        "epochs; leave it out, or give NoStopping(max_epochs=12)."
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        _study(selection=FixedEpoch(epochs=12), scheduler=scheduler)


@pytest.mark.parametrize(
    ("space", "num"),
    [
        ({"lr": LogUniform(1e-4, 1e-2)}, "endless"),
        ({"lr": Choice([1e-3, 1e-4]), "base_width": Choice([4, 8])}, "4"),
    ],
    ids=["range", "choices"],
)
def test_fixed_epoch_refuses_a_space_of_more_than_one_configuration(
    space: dict[str, AnyValue], num: str
) -> None:
    message = f"search.space has {num} configurations, but FixedEpoch chooses among none"
    with pytest.raises(ConfigError, match=message):
        _study(search=Search(space=space), selection=FixedEpoch(epochs=12))


def test_fixed_epoch_takes_a_space_of_one_configuration() -> None:
    study = _study(search=Search(space={"lr": Fixed(1e-3)}), selection=FixedEpoch(epochs=2))
    assert study.num_search_trials == 0


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ({"trials_per_cell": 50}, "search.trials_per_cell is"),
        ({"sampler": Random()}, "search.sampler is"),
        ({"start": [{"lr": 1e-3}], "space": {"lr": Fixed(1e-3)}}, "search.start is"),
        ({"trials_per_cell": 50, "seeds": 2}, "search.trials_per_cell and search.seeds are"),
    ],
    ids=["trials", "sampler", "start", "several"],
)
def test_fixed_epoch_refuses_what_else_a_search_is_given(
    search: dict[str, AnyValue], names: str
) -> None:
    message = f"{names} given, but FixedEpoch searches nothing; leave out all of the search"
    with pytest.raises(ConfigError, match=re.escape(message)):
        _study(search=Search(**search), selection=FixedEpoch(epochs=2))


def test_a_stored_study_that_kept_what_fixed_epoch_ignores_is_read() -> None:
    study = _study(selection=FixedEpoch(epochs=2))
    stored = json.loads(json.dumps(study.as_json()))
    stored["search"]["trials_per_cell"] = 4
    assert Study.from_json(stored) == study


def test_fixed_epoch_refuses_several_candidates() -> None:
    with pytest.raises(ConfigError, match=r"confirm\.candidates is 2, but must be at most 1"):
        _study(selection=FixedEpoch(epochs=12), confirm=Confirm(candidates=2))


def test_fixed_epoch_refuses_a_budget_that_could_end_nothing() -> None:
    with pytest.raises(ConfigError, match=r"study\.budget is .*, but FixedEpoch searches nothing"):
        _study(selection=FixedEpoch(epochs=12), budget=Budget(hours=1))


@pytest.mark.parametrize("epochs", [0, -1, 2.0, True, None], ids=repr)
def test_fixed_epoch_refuses_epochs_that_are_no_count(epochs: AnyValue) -> None:
    message = f"selection.epochs is {epochs!r}, but must be a whole number, at least 1 and"
    with pytest.raises(ConfigError, match=re.escape(message)):
        FixedEpoch(epochs=epochs)


@pytest.mark.parametrize("val_share", [0, 1, 1.5, "half", float("nan")], ids=repr)
def test_no_policy_takes_a_share_outside_of_its_range(val_share: AnyValue) -> None:
    message = f"selection.val_share is {val_share!r}, but must be between 0 and 1."
    for build in (Labelled, LabelFree, lambda **share: FixedEpoch(epochs=1, **share)):
        with pytest.raises(ConfigError, match=re.escape(message)):
            build(val_share=val_share)


def test_reduced_trains_as_few_epochs_under_fixed_epoch() -> None:
    reduced = _study(selection=FixedEpoch(epochs=12), detector=Agad()).reduced()
    assert reduced.selection == FixedEpoch(epochs=3)
    assert reduced.scheduler == NoStopping(max_epochs=3)


@pytest.mark.parametrize(
    "selection",
    [Labelled(num_anomalies=7), Labelled(), LabelFree(val_share=0.2), FixedEpoch(epochs=9)],
    ids=repr,
)
def test_a_policy_comes_back_from_the_json_of_its_study(selection: Selection) -> None:
    space = {} if isinstance(selection, FixedEpoch) else {"lr": LogUniform(1e-4, 1e-2)}
    kept = _study(search=Search(space=space), selection=selection).as_json()
    assert selection_from_json(json.loads(json.dumps(kept))["selection"]) == selection


def test_a_selection_without_a_policy_is_the_labelled_one_of_earlier_versions() -> None:
    kept = {"num_anomalies": None, "val_share": 0.1}
    assert selection_from_json(kept) == Labelled()
    study = _study(search=Search(space={"lr": LogUniform(1e-4, 1e-2)}))
    assert study.as_json()["selection"] == kept


@pytest.mark.parametrize("values", [{"policy": "oracle"}, {"patience": 3}], ids=repr)
def test_a_selection_of_a_later_version_says_to_upgrade(values: dict[str, AnyValue]) -> None:
    with pytest.raises(ConfigError, match="upgrade agad"):
        selection_from_json(values)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ("labelled(30)", ""),
        ("", ""),
        ("label_free", "label_free"),
        ("fixed_epoch(12)", "fixed_epoch"),
        ("anything else", ""),
    ],
)
def test_ranked_apart_names_the_policies_without_labels(selection: str, expected: str) -> None:
    assert ranked_apart(selection) == expected
