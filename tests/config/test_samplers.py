"""Which sampler fits which space, and what a study's file says of it."""

from __future__ import annotations

import json
import re
from typing import Any, TypeAlias

import pytest

from agad.config import (
    Choice,
    CmaEs,
    Distribution,
    Fixed,
    GaussianProcess,
    Grid,
    GridSearch,
    IntUniform,
    LogUniform,
    NoStopping,
    Nsga2,
    QuasiRandom,
    Random,
    Sampler,
    Search,
    Study,
    Tpe,
    Uniform,
    When,
)
from agad.errors import ConfigError

AnyValue: TypeAlias = Any
"""What a user may write where a value is asked for, of any type."""

CONDITIONAL: dict[str, Distribution] = {
    "a": Choice(["x", "y"]),
    "b": When("a", {"x": Uniform(0, 1)}),
}


@pytest.mark.parametrize("sampler", [Tpe(), Random(), QuasiRandom()], ids=repr)
def test_a_sampler_that_fits_every_space_fits_a_conditional_one(sampler: Sampler) -> None:
    assert Search(space=CONDITIONAL, sampler=sampler).sampler == sampler


@pytest.mark.parametrize(
    ("sampler", "space", "message"),
    [
        (CmaEs(), {"a": Choice([1, 2])}, "CmaEs, which draws numbers alone, but search.space['a']"),
        (CmaEs(), CONDITIONAL, "use Tpe(), Random() or QuasiRandom()."),
        (CmaEs(), {"a": Fixed(1)}, "search.space holds no range; use Tpe(), Random()"),
        (GaussianProcess(), CONDITIONAL, "search.space['b'] is a When; use Tpe(), Random() or"),
        (Nsga2(), CONDITIONAL, "Nsga2, which needs every parameter in every configuration, but se"),
        (GridSearch(), {"lr": Uniform(0, 1)}, 'a number of points; use points={"lr": 5}'),
        (GridSearch(), CONDITIONAL, "search.space['b'] a range of real numbers"),
        (GridSearch(points={"c": 3}), {"lr": Uniform(0, 1)}, "names c, but must name ranges of"),
        (GridSearch(points=101), {"a": Uniform(0, 1), "b": Uniform(0, 1)}, "grid of 10,201 confi"),
    ],
    ids=["choice", "condition", "no range", "process", "genes", "points", "branch", "name", "size"],
)
def test_a_sampler_refuses_a_space_that_it_does_not_fit(
    sampler: Sampler, space: dict[str, Distribution], message: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        Search(space=space, sampler=sampler)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (Tpe, {"startup_trials": 0}, "search.sampler.startup_trials is 0"),
        (Tpe, {"multivariate": 1}, "search.sampler.multivariate is 1, but must be True or False"),
        (GaussianProcess, {"startup_trials": 2.5}, "search.sampler.startup_trials is 2.5"),
        (CmaEs, {"sigma": 0}, "search.sampler.sigma is 0, but must be in (0, 1]"),
        (CmaEs, {"sigma": "x"}, "search.sampler.sigma is 'x', but must be in (0, 1]"),
        (CmaEs, {"population": 3}, "search.sampler.population is 3"),
        (Nsga2, {"population": 1}, "search.sampler.population is 1"),
        (GridSearch, {"points": 1}, "search.sampler.points is 1"),
        (GridSearch, {"points": {"lr": 1}}, "search.sampler.points['lr'] is 1"),
    ],
)
def test_a_sampler_refuses_a_value_out_of_its_range(
    kind: type[Any], values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        kind(**values)


@pytest.mark.parametrize("sampler", ["tpe", None, Tpe], ids=repr)
def test_a_search_refuses_what_is_no_sampler(sampler: AnyValue) -> None:
    message = f"search.sampler is {sampler!r}, but must be one of: Tpe(...), Random(...)"
    with pytest.raises(ConfigError, match=re.escape(message)):
        Search(space={"lr": Uniform(0, 1)}, sampler=sampler)


def test_a_grid_has_the_points_asked_for_both_ends_among_them() -> None:
    space: dict[str, Distribution] = {
        "a": Uniform(-1, 1),
        "b": LogUniform(1e-4, 1.0),
        "c": IntUniform(1, 100),
        "d": IntUniform(8, 32, 8),
        "e": Choice(["x", "y"]),
    }
    search = Search(space=space, sampler=GridSearch(points={"a": 3, "b": 5, "c": 4}))
    listed = search.configurations
    assert listed is not None
    values = {name: {one[name] for one in listed} for name in ("a",)}
    every = list(search.configurations or ())
    assert values["a"] == {-1.0, 0.0, 1.0}
    assert sorted({one["b"] for one in every}) == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1.0])
    assert sorted({one["c"] for one in every}) == [1, 34, 67, 100]
    assert sorted({one["d"] for one in every}) == [8, 16, 24, 32]
    assert len(every) == search.num_configurations == 3 * 5 * 4 * 4 * 2


@pytest.mark.parametrize(("asked", "trials"), [(4, 4), (32, 9)])
def test_a_cell_ends_when_the_grid_does(asked: int, trials: int) -> None:
    space = {"a": Uniform(0, 1), "b": Uniform(0, 1)}
    search = Search(space=space, trials_per_cell=asked, sampler=GridSearch(points=3))
    assert search.num_cell_trials == trials


@pytest.mark.parametrize("sampler", [Tpe(startup_trials=7), GaussianProcess(startup_trials=7)])
def test_startup_trials_are_as_given(sampler: Sampler) -> None:
    assert Search(space={"a": Uniform(0, 1)}, sampler=sampler).num_startup_trials == 7


def test_the_first_generation_is_random_and_as_large_as_asked_for() -> None:
    space = {"a": Uniform(0, 1)}
    assert Search(space=space, sampler=Nsga2(population=9)).num_startup_trials == 9
    assert Search(space=space, sampler=Nsga2()).num_startup_trials == 32 // 4


def test_a_study_of_two_objectives_stops_no_trial_early() -> None:
    search = Search(space={"lr": LogUniform(1e-4, 1e-2)}, sampler=Nsga2())
    cells = Grid(dataset="digits", normal_class=0)
    message = "but must be NoStopping(...) where search.sampler is Nsga2: of a trial stopped early"
    with pytest.raises(ConfigError, match=re.escape(message)):
        Study(name="s", cells=cells, search=search)
    study = Study(name="s", cells=cells, search=search, scheduler=NoStopping(max_epochs=3))
    assert study.reduced().search.counts_work


def test_a_studys_file_names_a_sampler_and_starts_that_are_not_the_default_ones() -> None:
    search = Search(
        space={"lr": LogUniform(1e-4, 1e-2)}, sampler=CmaEs(population=6), start=[{"lr": 2e-4}]
    )
    study = Study(name="s", cells=Grid(dataset="digits", normal_class=0), search=search)
    values = json.loads(json.dumps(study.as_json(), allow_nan=False))["search"]
    assert values["sampler"] == {"name": "CmaEs", "sigma": 1 / 6, "population": 6}
    assert values["start"] == [{"lr": 2e-4}]


def test_a_studys_file_before_there_were_samplers_is_that_of_the_default_one() -> None:
    search = Search(space={"lr": LogUniform(1e-4, 1e-2)})
    assert search.as_json().keys() == {"space", "trials_per_cell"}
    assert Search(space=search.space, sampler=Random()).as_json() != search.as_json()
