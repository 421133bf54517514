"""Spaces where a parameter depends on another: what applies, what is counted, what is refused."""

from __future__ import annotations

import json
import re
from typing import Any, TypeAlias

import pytest

from agad.config import (
    Choice,
    Distribution,
    Fixed,
    Grid,
    GridSearch,
    IntUniform,
    LogUniform,
    Search,
    Setting,
    Study,
    Uniform,
    When,
)
from agad.errors import ConfigError

AnyValue: TypeAlias = Any
"""What a user may write where a value is asked for, of any type."""

BACKBONES: dict[str, Distribution] = {
    "backbone": Choice(["naive", "unet", "unet++"]),
    "bottleneck_px": When("backbone", {"naive": Choice([1, 2])}),
    "base_width": When("backbone", {"naive": Choice([32, 64]), "unet": Fixed(16)}),
}
"""By hand: 2 x 2 of naive, 1 of unet, 1 of unet++."""


def _all(search: Search) -> list[dict[str, Setting]]:
    listed = search.configurations
    assert listed is not None
    return list(listed)


def test_a_parameter_is_in_the_configurations_where_it_applies_and_in_no_other() -> None:
    assert _all(Search(space=BACKBONES)) == [
        {"backbone": "naive", "base_width": 32, "bottleneck_px": 1},
        {"backbone": "naive", "base_width": 32, "bottleneck_px": 2},
        {"backbone": "naive", "base_width": 64, "bottleneck_px": 1},
        {"backbone": "naive", "base_width": 64, "bottleneck_px": 2},
        {"backbone": "unet", "base_width": 16},
        {"backbone": "unet++"},
    ]


def test_configurations_are_counted_without_listing_them() -> None:
    wide: dict[str, Distribution] = {f"w{number}": IntUniform(0, 999) for number in range(9)}
    search = Search(space={**BACKBONES, **wide})
    assert search.num_configurations == 6 * 1000**9


def test_a_range_of_real_numbers_on_one_branch_makes_a_space_without_end() -> None:
    search = Search(
        space={
            "backbone": Choice(["naive", "unet"]),
            "lr": When("backbone", {"unet": Uniform(0, 1)}),
        }
    )
    assert search.num_configurations is None
    assert search.configurations is None


def test_a_condition_can_depend_on_a_parameter_that_has_one() -> None:
    space: dict[str, Distribution] = {
        "c": When("b", {True: Choice([5, 6])}),
        "b": When("a", {1: Choice([True, False])}),
        "a": Choice([1, 2]),
    }
    assert _all(Search(space=space)) == [
        {"a": 1, "b": True, "c": 5},
        {"a": 1, "b": True, "c": 6},
        {"a": 1, "b": False},
        {"a": 2},
    ]


def test_a_case_can_be_a_condition_on_a_third_parameter() -> None:
    space: dict[str, Distribution] = {
        "a": Choice([1, 2]),
        "b": Choice(["x", "y"]),
        "c": When("a", {1: When("b", {"x": Fixed(7)})}),
    }
    assert [one for one in _all(Search(space=space)) if "c" in one] == [{"a": 1, "b": "x", "c": 7}]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            {"depth": When("backbone", {"unet": Fixed(1)})},
            "search.space['depth'] depends on 'backbone', which must be in search.space too",
        ),
        (
            {"a": Choice(["x", "y"]), "b": When("a", {"z": Fixed(1)})},
            "search.space['b'] has a case for a = 'z', but 'a' must be one of: 'x', 'y'.",
        ),
        (
            {"a": Choice([1, 2]), "b": When("a", {True: Fixed(1)})},
            "search.space['b'] has a case for a = True, but 'a' must be one of: 1, 2.",
        ),
        (
            {"a": Uniform(0, 1), "b": When("a", {0.5: Fixed(1)})},
            "search.space['b'] depends on 'a', which is a Uniform, but must be a Choice or a Fixed",
        ),
        (
            {"a": When("b", {1: Fixed(1)}), "b": When("a", {1: Fixed(1)})},
            "search.space has a, b depend on each other in a circle",
        ),
    ],
    ids=["unknown", "value", "boolean", "range", "circle"],
)
def test_a_condition_that_can_never_be_met_is_refused(
    space: dict[str, Distribution], message: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        Search(space=space)


@pytest.mark.parametrize("cases", [{}, None, [1], {"x": 3}, {(1,): Fixed(1)}], ids=repr)
def test_when_refuses_what_are_no_cases(cases: AnyValue) -> None:
    with pytest.raises(ConfigError, match="When"):
        When("a", cases)


def test_a_study_checks_every_branch_against_its_detector() -> None:
    space: dict[str, Distribution] = {
        "backbone": Choice(["naive", "unet"]),
        "bottleneck_px": When("backbone", {"unet": Choice([1, 2])}),
    }
    message = "Agad.bottleneck_px is 2, but must be 1 but for naive."
    with pytest.raises(ConfigError, match=re.escape(message)):
        Study(name="s", cells=Grid(dataset="digits", normal_class=0), search=Search(space=space))


def test_a_study_allows_on_a_branch_what_the_detector_allows_there_alone() -> None:
    space: dict[str, Distribution] = {
        "backbone": Choice(["naive", "unet"]),
        "bottleneck_px": When("backbone", {"naive": Choice([1, 2])}),
        "generator_norm": When("backbone", {"unet": Choice([True, False])}),
    }
    study = Study(
        name="s", cells=Grid(dataset="digits", normal_class=0), search=Search(space=space)
    )
    assert study.as_json()["search"]["space"]["bottleneck_px"] == {
        "distribution": "When",
        "parameter": "backbone",
        "cases": [["naive", {"distribution": "Choice", "values": (1, 2)}]],
    }


def test_a_reduced_study_keeps_as_many_starts_as_it_has_trials() -> None:
    start = [{"weight_con": float(one)} for one in range(1, 7)]
    search = Search(space={"weight_con": Uniform(0, 100)}, trials_per_cell=16, start=start)
    study = Study(name="s", cells=Grid(dataset="digits", normal_class=0), search=search)
    assert study.reduced().search.start == tuple(start[:4])


def test_a_study_refuses_a_start_that_its_detector_refuses() -> None:
    # So many choices that only the first corners are checked.
    widths = list(range(8, 800))
    space: dict[str, Distribution] = {
        "base_width": Choice(widths),
        "discriminator_width": Choice(widths),
        "min_batch_anomalies": Choice([2, 8]),
        "generator_norm": Choice([True, False]),
    }
    start = [
        {
            "base_width": 500,
            "discriminator_width": 8,
            "min_batch_anomalies": 2,
            "generator_norm": False,
        }
    ]
    cells = Grid(dataset="digits", normal_class=0)
    wide = {**space, "batch_size": Choice([64, 128])}
    Study(name="s", cells=cells, search=Search(space=space, start=start))
    bad = Search(
        space={**wide, "min_batch_anomalies": Choice([2, 100])},
        start=[{**start[0], "min_batch_anomalies": 100, "batch_size": 64}],
    )
    with pytest.raises(ConfigError, match=re.escape("Agad.min_batch_anomalies is 100")):
        Study(name="s", cells=cells, search=bad)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ([{"lr": 1.0, "width": 8}], "search.start[0] has lr = 1.0, which is outside of LogUniform"),
        ([{"lr": 0.01}], "search.start[0] lacks 'width'"),
        ([{"lr": 0.01, "width": 9}], "search.start[0] has width = 9, which is outside of IntUnif"),
        ([{"lr": 0.01, "width": 8, "beta1": 0.5}], "search.start[0] sets beta1, which the space"),
        ([{"lr": 0.01, "width": 8}] * 2, "search.start[1] stands in the list before"),
        ([{"lr": True, "width": 8}], "search.start[0] has lr = True, which is outside of"),
        ({"lr": 0.01, "width": 8}, "must be a list of dictionaries"),
        ("lr", "must be a list of dictionaries"),
    ],
    ids=["range", "missing", "step", "unknown", "twice", "boolean", "no list", "text"],
)
def test_a_start_outside_the_space_is_refused(start: AnyValue, message: str) -> None:
    space: dict[str, Distribution] = {"lr": LogUniform(1e-3, 1e-1), "width": IntUniform(4, 16, 4)}
    with pytest.raises(ConfigError, match=re.escape(message)):
        Search(space=space, start=start)


def test_a_start_sets_a_conditional_parameter_where_it_applies_alone() -> None:
    Search(space=BACKBONES, start=[{"backbone": "unet++"}, {"backbone": "unet", "base_width": 16}])
    with pytest.raises(ConfigError, match=re.escape("search.start[0] sets base_width")):
        Search(space=BACKBONES, start=[{"backbone": "unet++", "base_width": 16}])


def test_more_starts_than_trials_are_refused() -> None:
    message = "search.start holds 2 configurations, but must hold at most search.trials_per_cell"
    with pytest.raises(ConfigError, match=re.escape(message)):
        Search(space={"a": Uniform(0, 1)}, trials_per_cell=1, start=[{"a": 0.1}, {"a": 0.2}])


def test_a_grid_start_is_a_point_of_the_grid() -> None:
    sampler = GridSearch(points=3)
    Search(space={"a": Uniform(0, 1)}, sampler=sampler, start=[{"a": 0.5}])
    with pytest.raises(ConfigError, match="must be a point of the grid"):
        Search(space={"a": Uniform(0, 1)}, sampler=sampler, start=[{"a": 0.4}])


@pytest.mark.parametrize(
    ("distribution", "points", "typed"),
    [
        (LogUniform(1e-4, 1e-2), 3, 1e-3),
        (LogUniform(1, 100), 3, 10),
        (LogUniform(1e-12, 1e-9), 4, 1e-10),
        (Uniform(0, 0.3), 4, 0.1),
        (Uniform(-0.1, 0.2), 4, 0.0),
        (Uniform(0, 1), 3, 0.5),
    ],
    ids=str,
)
def test_a_grid_start_is_the_grids_own_point_whatever_its_rounding(
    distribution: Distribution, points: int, typed: float
) -> None:
    space = {"a": distribution}
    search = Search(space=space, sampler=GridSearch(points=points), start=[{"a": typed}])
    (start,) = search.start
    assert start["a"] == pytest.approx(typed, rel=1e-9, abs=1e-15)
    assert start in list(search.configurations or ())
    assert Search.from_json(json.loads(json.dumps(search.as_json()))) == search


def test_a_grid_start_next_to_a_point_is_refused() -> None:
    space = {"a": LogUniform(1e-12, 1e-3)}
    with pytest.raises(ConfigError, match="must be a point of the grid"):
        Search(space=space, sampler=GridSearch(points=4), start=[{"a": 1.001e-12}])


def test_a_grid_start_that_is_another_but_for_rounding_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"search\.start\[1\] stands in the list before"):
        Search(
            space={"a": LogUniform(1e-4, 1e-2)},
            sampler=GridSearch(points=3),
            start=[{"a": 1e-3}, {"a": 0.0010000000000000002}],
        )
