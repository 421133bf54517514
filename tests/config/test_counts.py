"""Whole numbers have a stated maximum, checked when a value is built, and counts have nouns."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agad.config import (
    Asha,
    Budget,
    Candidate,
    Choice,
    CmaEs,
    Confirm,
    Fixed,
    FixedEpoch,
    GaussianProcess,
    Grid,
    GridSearch,
    InputSpec,
    IntUniform,
    Labelled,
    LogUniform,
    Median,
    NoStopping,
    Nsga2,
    Search,
    Study,
    SuccessiveHalving,
    Tpe,
    Uniform,
    count_text,
)
from agad.data import NodeCache
from agad.data.partition import TestChoice
from agad.detectors import Agad, DeepSvdd
from agad.errors import ConfigError
from agad.executor.tune import ClusterOptions

_HUGE = 2**64
_ENDLESS = 10**5000
"""Python refuses to print so long a number, and no double holds it."""

_GRID = Grid(dataset="digits", normal_class=0)


def _study(**fields: object) -> Study:
    return Study(
        name="study",
        cells=_GRID,
        search=Search(space={"lr": LogUniform(1e-4, 1e-2)}),
        **fields,  # type: ignore[arg-type]
    )


_COUNTS: dict[str, Callable[[int], object]] = {
    "study.seed": lambda one: _study(seed=one),
    "search.trials_per_cell": lambda one: Search(trials_per_cell=one),
    "search.seeds": lambda one: Search(seeds=one),
    "Candidate.trials": lambda one: Candidate(Agad(), trials=one),
    "scheduler.max_epochs": lambda one: NoStopping(max_epochs=one),
    "scheduler.grace_period": lambda one: Asha(grace_period=one),
    "scheduler.reduction_factor": lambda one: SuccessiveHalving(reduction_factor=one),
    "scheduler.min_trials": lambda one: Median(min_trials=one),
    "scheduler.interval": lambda one: Median(interval=one),
    "confirm.seeds": lambda one: Confirm(seeds=one),
    "confirm.candidates": lambda one: Confirm(candidates=one),
    "confirm.keep_every": lambda one: Confirm(keep_every=one),
    "selection.epochs": lambda one: FixedEpoch(epochs=one),
    "selection.num_anomalies": lambda one: Labelled(num_anomalies=one),
    "search.sampler.startup_trials": lambda one: Tpe(startup_trials=one),
    "search.sampler.points": lambda one: GridSearch(points=one),
    "search.sampler.points['lr']": lambda one: GridSearch(points={"lr": one}),
    "search.sampler.population": lambda one: CmaEs(population=one),
    "input.image_px": lambda one: InputSpec(image_px=one),
    "Agad.batch_size": lambda one: Agad(batch_size=one),
    "Agad.base_width": lambda one: Agad(base_width=one),
    "Agad.discriminator_width": lambda one: Agad(discriminator_width=one),
    "Agad.min_batch_anomalies": lambda one: Agad(min_batch_anomalies=one),
    "DeepSvdd.batch_size": lambda one: DeepSvdd(batch_size=one),
    "DeepSvdd.image_px": lambda one: DeepSvdd(image_px=one),
    "DeepSvdd.pretrain_epochs": lambda one: DeepSvdd(pretrain_epochs=one),
    "--test-seed": lambda one: TestChoice(seed=one),
    "--cpus-per-trial": lambda one: ClusterOptions(store="s", cpus_per_trial=one),
    "--gpus-per-trial": lambda one: ClusterOptions(store="s", gpus_per_trial=one),
    "--max-concurrent-trials": lambda one: ClusterOptions(store="s", max_concurrent_trials=one),
}


@pytest.mark.parametrize("value", [_HUGE, _ENDLESS], ids=["2**64", "10**5000"])
@pytest.mark.parametrize("name", _COUNTS)
def test_a_whole_number_above_the_maximum_is_refused_with_the_maximum(
    name: str, value: int
) -> None:
    with pytest.raises(ConfigError, match=r"^[^\n]+ at most [0-9,]+") as caught:
        _COUNTS[name](value)
    shown = f"{_HUGE}" if value == _HUGE else "a whole number of about 5,000 digits"
    assert f"{name} is {shown}, but must be" in str(caught.value)


@pytest.mark.parametrize("population", [GaussianProcess, Nsga2])
def test_further_samplers_have_a_maximum(population: type[GaussianProcess] | type[Nsga2]) -> None:
    (field,) = population.__dataclass_fields__
    with pytest.raises(ConfigError, match=f"sampler.{field} is {_HUGE}, but .* at most 1,000,000"):
        population(**{field: _HUGE})


def test_the_last_confirm_seed_fits_its_column() -> None:
    most = 2**63 - 1 - 4  # A search seed and three confirm seeds follow each other.
    assert max(_study(seed=most).confirm_seeds) < 2**63
    with pytest.raises(ConfigError, match=f"study.seed is {most + 1}, but .* at most {most:,}"):
        _study(seed=most + 1)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Choice([1, _HUGE]), f"Choice holds {_HUGE}, but a whole number must be from"),
        (lambda: Fixed(-_ENDLESS), "Fixed holds a whole number of about 5,000 digits, but"),
        (lambda: IntUniform(1, _HUGE), "must have two whole numbers as its bounds, from -9,007"),
        (lambda: IntUniform(1, 9, step=_HUGE), "step is 18446744073709551616, but .* at most 9,0"),
        (lambda: Uniform(0, _ENDLESS), "about 5,000 digits.* is empty, but low must be below"),
        (lambda: LogUniform(1, _ENDLESS), "about 5,000 digits.* is empty, but low must be below"),
        (lambda: Budget(hours=_ENDLESS), "budget.hours is a whole number of about 5,000 digits"),
        (lambda: Agad(lr=_ENDLESS), "Agad.lr is a whole number of about 5,000 digits, but must"),
        (lambda: NodeCache(max_gib=_ENDLESS), "--cache-gib is a whole number of about 5,000"),
        (
            lambda: Grid(dataset="digits", normal_class=_HUGE),
            "cells.normal_class holds 18446744073709551616, but a whole number must be from",
        ),
        (
            lambda: Grid(dataset="digits", normal_class=2_000_000),
            "cells.normal_class holds 2000000, but must be at least 0 and at most 1,000,000",
        ),
        (
            lambda: Grid(dataset="digits", normal_class=0, anomaly_ratio=_ENDLESS),
            "cells.anomaly_ratio holds a whole number of about 5,000 digits",
        ),
        (
            lambda: Grid(dataset="digits", normal_class=0, labelled_classes=2_000_000),
            r"cells.labelled_classes holds 2000000, but .*\(at most 1,000,000\)",
        ),
        (
            lambda: Grid(dataset="digits", normal_class=0, settings={"base_width": [_ENDLESS]}),
            r"cells.settings\['base_width'\] holds a whole number of about 5,000 digits",
        ),
    ],
)
def test_a_number_that_no_column_holds_is_refused(
    build: Callable[[], object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build()


def test_a_grid_of_a_huge_range_is_counted_and_not_listed() -> None:
    with pytest.raises(ConfigError, match="a grid of 9,007,199,254,740,992 configurations, but"):
        Search(space={"size": IntUniform(1, 2**53)}, sampler=GridSearch())


@pytest.mark.parametrize(
    ("count", "words", "text"),
    [
        (0, ("fault",), "0 faults"),
        (1, ("fault",), "1 fault"),
        (1200, ("trial",), "1,200 trials"),
        (1, ("copy", "copies"), "1 copy"),
        (16, ("copy", "copies"), "16 copies"),
    ],
)
def test_count_text_agrees_with_its_noun(count: int, words: tuple[str, ...], text: str) -> None:
    assert count_text(count, *words) == text
