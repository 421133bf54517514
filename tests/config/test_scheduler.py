"""When trials may be stopped, and what a study's file says of it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from agad.config import Asha, Median, NoStopping, Scheduler, SuccessiveHalving, scheduler_from_json
from agad.config.scheduler import scheduler_as_json
from agad.errors import ConfigError


@pytest.mark.parametrize(
    "scheduler",
    [
        Asha(max_epochs=81),
        NoStopping(max_epochs=5),
        Median(max_epochs=9, min_trials=2),
        SuccessiveHalving(max_epochs=9, reduction_factor=2),
    ],
    ids=repr,
)
def test_a_scheduler_is_read_back_from_a_studys_file(scheduler: Scheduler) -> None:
    values = json.loads(json.dumps(scheduler_as_json(scheduler)))
    assert scheduler_from_json(values) == scheduler


def test_a_file_that_names_no_rule_is_ashas() -> None:
    values = {"max_epochs": 18, "grace_period": 2, "reduction_factor": 3}
    assert scheduler_from_json(values) == Asha(max_epochs=18, grace_period=2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"rule": "luck"},
            "scheduler.rule is 'luck', but must be one of: ASHA, none, median, successive halving",
        ),
        ({"rule": "none", "eta": 3}, "scheduler has eta, which none does not know; upgrade agad."),
    ],
)
def test_a_file_of_another_version_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        scheduler_from_json(values)


def test_milestones_of_the_median_rule_are_its_decisions() -> None:
    assert Median(max_epochs=10, grace_period=3, interval=2).milestones == (3, 5, 7, 9)
    assert Median(max_epochs=3, grace_period=3).milestones == ()


def test_no_stopping_has_no_milestone() -> None:
    assert NoStopping(max_epochs=12).milestones == ()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_epochs": 0}, "scheduler.max_epochs is 0"),
        ({"grace_period": 30}, "scheduler.grace_period is 30, but must be at most"),
        ({"min_trials": 0}, "scheduler.min_trials is 0"),
        ({"interval": 0}, "scheduler.interval is 0"),
    ],
)
def test_median_refuses_a_value_out_of_its_range(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        Median(**values)


@pytest.mark.parametrize(
    "scheduler", [Asha(), NoStopping(), Median(), SuccessiveHalving()], ids=repr
)
def test_reduced_trains_so_few_epochs_and_keeps_the_rule(scheduler: Scheduler) -> None:
    reduced = scheduler.reduced(3)
    assert reduced.max_epochs == 3
    assert type(reduced) is type(scheduler)


def test_successive_halving_has_the_rungs_of_asha() -> None:
    options = {"max_epochs": 100, "grace_period": 2, "reduction_factor": 4}
    halving, asha = SuccessiveHalving(**options), Asha(**options)
    assert halving.milestones == asha.milestones == (2, 8, 32)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"reduction_factor": 1}, "scheduler.reduction_factor is 1"),
        ({"grace_period": 30}, "scheduler.grace_period is 30, but must be at most"),
    ],
)
def test_successive_halving_refuses_a_value_out_of_its_range(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        SuccessiveHalving(**values)
