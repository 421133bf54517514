"""What Optuna is told of a trial that ended."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from agad.config import Choice, IntUniform, LogUniform, Search
from agad.errors import ConfigError, StoreError
from agad.records import State
from agad.search import EndedSearch, EndedTrial, dashboard_app, importances, optuna_studies

SEARCH = Search(
    space={
        "lr": LogUniform(1e-4, 1e-2),
        "base_width": IntUniform(2, 8),
        "advprop": Choice([True, False]),
    },
    trials_per_cell=4,
)


def ended(state: State, objectives: dict[int, float], **params: Any) -> EndedTrial:  # noqa: ANN401
    given = {"lr": 1e-3, "base_width": 4, "advprop": True} | params
    return EndedTrial(params=given, state=state, objectives=objectives)


@pytest.mark.parametrize(
    ("state", "objectives", "told", "value"),
    [
        pytest.param("finished", {0: 0.4, 1: 0.6}, TrialState.COMPLETE, 0.6, id="finished"),
        pytest.param("pruned", {0: 0.4}, TrialState.PRUNED, None, id="pruned"),
        pytest.param("diverged", {0: 0.4}, TrialState.FAIL, None, id="diverged"),
        pytest.param("failed", {}, TrialState.FAIL, None, id="failed"),
        pytest.param("finished", {}, TrialState.FAIL, None, id="finished-without-objective"),
    ],
)
def test_a_trial_keeps_its_state_its_curve_and_its_distributions(
    state: State, objectives: dict[int, float], told: TrialState, value: float | None
) -> None:
    trial = ended(state, objectives).frozen(SEARCH)
    assert (trial.state, trial.value) == (told, value)
    assert trial.intermediate_values == objectives
    assert trial.params == {"lr": 1e-3, "base_width": 4, "advprop": True}
    assert trial.distributions == {
        "lr": FloatDistribution(1e-4, 1e-2, log=True),
        "base_width": IntDistribution(2, 8),
        "advprop": CategoricalDistribution((True, False)),
    }


def test_a_trial_keeps_its_times_as_optuna_has_them() -> None:
    moment = datetime(2026, 1, 1, 12, tzinfo=UTC)
    one = EndedTrial(
        params={"lr": 1e-3, "base_width": 4, "advprop": True},
        state="pruned",
        objectives={},
        started_at=moment,
    )
    start = one.frozen(SEARCH).datetime_start
    assert start is not None
    assert start.tzinfo is None
    assert start.astimezone(UTC) == moment


def test_searches_share_one_storage_and_keep_their_attributes() -> None:
    storage = optuna.storages.InMemoryStorage()
    searches = [
        EndedSearch(
            name=name, search=SEARCH, trials=[ended("pruned", {0: 0.5})], attributes={"a": 1}
        )
        for name in ("one", "two")
    ]
    studies = optuna_studies(searches, storage)
    assert sorted(optuna.get_all_study_names(storage)) == ["one", "two"]
    assert studies["two"].user_attrs == {"a": 1}
    assert studies["two"].direction is optuna.study.StudyDirection.MAXIMIZE


@pytest.mark.parametrize("params", [{"lr": 5.0}, {"advprop": "maybe"}])
def test_parameters_that_are_not_of_the_space_are_one_clear_error(params: dict[str, Any]) -> None:
    search = EndedSearch(name="a/b", search=SEARCH, trials=[ended("finished", {0: 1.0}, **params)])
    with pytest.raises(StoreError, match="a trial of a/b has parameters that are not of its"):
        optuna_studies([search])


def test_importances_are_shares_and_none_where_nothing_differs() -> None:
    trials = [
        ended(
            "finished", {0: number / 40}, lr=1e-4 * 100 ** (number / 40), base_width=2 + number % 7
        )
        for number in range(40)
    ]
    shares = importances(SEARCH, trials)
    assert sum(shares.values()) == pytest.approx(1)
    assert next(iter(shares)) == "lr"
    assert importances(SEARCH, [ended("finished", {0: 0.5})] * 20) == {}


def test_a_missing_dashboard_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    with pytest.raises(ConfigError, match="pip install optuna-dashboard"):
        dashboard_app([])
