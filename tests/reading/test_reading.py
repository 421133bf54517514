"""Leaderboards, figures and Optuna studies of a store, as a notebook asks for them."""

from __future__ import annotations

import sys

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

import agad
from agad.errors import ConfigError
from agad.objects import ObjectStore
from agad.reading import stored_figure_data
from agad.store import compact
from tests.reading.conftest import STATES, STUDY

CELL = "digits class=0 ratio=0"


def test_a_leaderboard_is_a_data_frame_with_a_row_a_cell_at_full_precision(
    stored: ObjectStore,
) -> None:
    frame = agad.leaderboard(stored.uri, STUDY).set_index("cell")
    assert frame.loc[CELL, "test_auroc"] == np.mean([0.4, 0.5])
    assert frame.loc[CELL, "test_aurocs"] == (0.4, 0.5)
    assert frame.loc[CELL, "test_auroc_low"] == 0.0
    assert frame["num_confirmed"].to_dict() == {CELL: 2, "digits class=1 ratio=0": 0}
    means = agad.leaderboard(stored.uri, of="means")
    assert means["num_missing"].tolist() == [1]


def test_a_leaderboard_of_something_else_is_one_clear_error(stored: ObjectStore) -> None:
    with pytest.raises(ConfigError, match="of is 'seeds', but must be one of: cells, means"):
        agad.leaderboard(stored.uri, of="seeds")


def test_a_leaderboard_without_pandas_is_one_clear_error(
    stored: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match="pandas is not installed; run pip install pandas, or"):
        agad.leaderboard(stored.uri)


@pytest.mark.parametrize("is_compacted", [False, True], ids=["loose", "compacted"])
def test_evidence_holds_the_rows_of_the_store(stored: ObjectStore, is_compacted: bool) -> None:
    if is_compacted:
        compact(stored, STUDY)
    board, figure_data = stored_figure_data(stored, STUDY)
    assert [cell.num_confirmed for cell in board.cells] == [2, 0]
    curves, scores = figure_data.curves, figure_data.scores
    assert curves is not None
    assert scores is not None
    by_state = {figure_data.trials[place].state: place for place in figure_data.search_places[CELL]}
    (pruned,) = curves.spans([by_state["pruned"]])
    assert curves.num_epochs[pruned].tolist() == [1, 2]
    assert curves.objective[pruned].tolist() == pytest.approx([0.58, 0.6])
    (failed,) = curves.spans([by_state["failed"]])
    assert np.isnan(curves.objective[failed]).all()
    confirmed = [place for place, row in enumerate(figure_data.trials) if row.phase == "confirm"]
    assert scores.score[scores.span(confirmed[1])].tolist() == pytest.approx(
        [image + 0.1 for image in range(20)]
    )
    assert figure_data.scheduler.milestones == (2,)


def test_pictures_are_some_of_each_kind_of_the_first_seed_with_their_scores(
    stored: ObjectStore,
) -> None:
    _, figure_data = stored_figure_data(stored, STUDY)
    (key,) = {one.trial_key for one in figure_data.pictures}
    assert [row.seeds for row in figure_data.trials if row.trial_key == key] == [(1,)]
    assert [(one.image, one.is_anomaly, one.score) for one in figure_data.pictures] == [
        (image, image % 2 == 1, float(image)) for image in (0, 2, 4, 6, 1, 3, 5, 7)
    ]


def test_figures_of_a_store_are_those_of_its_studies(stored: ObjectStore) -> None:
    names = [one.name for one in agad.figures(stored.uri)]
    assert {"auroc-by-ratio", "learning-curves", "roc", "reconstructions"} <= {*names}


def test_a_store_without_the_study_is_one_clear_error(stored: ObjectStore) -> None:
    for ask in (agad.figures, agad.leaderboard, agad.to_optuna):
        with pytest.raises(ConfigError, match=r"study is 'other', but .* holds: tiny"):
            ask(stored.uri, "other")


def test_optuna_has_every_search_trial_of_a_cell_as_it_ended(stored: ObjectStore) -> None:
    studies = agad.to_optuna(stored.uri)
    assert [*studies] == [f"{STUDY}/{CELL}"]
    trials = studies[f"{STUDY}/{CELL}"].trials
    assert [one.state for one in trials] == [
        *(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.FAIL)
    ]
    assert [one.user_attrs["state"] for one in trials] == [*STATES]
    assert trials[1].intermediate_values == pytest.approx({0: 0.58, 1: 0.6})
    assert trials[3].intermediate_values == {}
    assert trials[2].params == {"lr": 3e-3}
    assert trials[0].user_attrs["trial_key"]
    assert studies[f"{STUDY}/{CELL}"].best_value == 0.5


def test_optuna_reads_its_own_frame_and_another_storage_from_what_it_is_handed(
    stored: ObjectStore,
) -> None:
    study = agad.to_optuna(stored.uri, STUDY)[f"{STUDY}/{CELL}"]
    copied = optuna.create_study(direction="maximize", storage="sqlite://")
    copied.add_trials(study.trials)
    frame = copied.trials_dataframe(attrs=("number", "state", "params", "user_attrs"))
    assert frame["params_lr"].tolist() == pytest.approx([0.001, 0.002, 0.003, 0.004])
    assert frame["state"].tolist() == ["COMPLETE", "PRUNED", "FAIL", "FAIL"]
    assert frame["user_attrs_cell"].unique().tolist() == [CELL]
