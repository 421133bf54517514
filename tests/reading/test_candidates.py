"""Reading a stored study of several detectors, one of which is not installed here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import agad
from agad.objects import ObjectStore, open_objects
from agad.reading import stored_figure_data, stored_leaderboard, stored_standing, stored_winners
from agad.records import EpochRow, TrialRow, Winner
from agad.report import figures as study_figures
from agad.report import has_ended
from agad.store import StudyReader, StudyStore
from tests.report.contest_rows import STUDY, rows_of_contest

GONE = "a-plug-in"
"""Stands in the store in place of ``pca``; no package here brings a detector of this name."""


@pytest.fixture
def stored(make_row: Callable[..., TrialRow], tmp_path: Path) -> ObjectStore:
    objects = open_objects(str(tmp_path / "stored"))
    store = StudyStore(objects, STUDY.name)
    config: dict[str, Any] = json.loads(json.dumps(STUDY.as_json()).replace('"pca"', f'"{GONE}"'))
    store.open(config)
    for row in rows_of_contest(make_row):
        text = {"cell": row.cell.replace("=pca", f"={GONE}"), "detector": row.detector}
        text["detector"] = text["detector"].replace("pca", GONE)
        changed = TrialRow(**{**_fields(row), **text})
        epochs = [
            EpochRow(
                study=row.study,
                cell=changed.cell,
                phase=row.phase,
                trial_key=row.trial_key,
                attempt=0,
                epoch=epoch,
                val_auroc=row.val_auroc,
                train_s=1.0,
                objective=row.objective,
            )
            for epoch in range(row.epochs)
        ]
        store.put(changed, epochs)
    return objects


def _fields(row: TrialRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in TrialRow.__dataclass_fields__}


def test_a_leaderboard_needs_no_detector_to_be_installed(stored: ObjectStore) -> None:
    board = stored_leaderboard(stored, "a-study")
    assert board.detectors == ("agad", GONE)
    assert {cell.method for cell in board.cells} == {"agad", GONE, f"{GONE} variance=0.6"}
    assert sum(bool(cell.stands_for) for cell in board.cells) == 9
    assert board.rankings[0].num_blocks == 9
    assert board.totals.num_trials_planned == board.totals.num_trials == 9 * 2 * (3 + 2)


def test_a_winner_is_kept_for_the_trials_of_its_own_detector(stored: ObjectStore) -> None:
    store = StudyStore(stored, "a-study")
    reader = StudyReader(stored, "a-study")
    extents = {
        "digits class=0 ratio=0": 3,
        f"digits class=0 ratio=0 detector={GONE}": 0,
        f"digits class=0 ratio=0 variance=0.6 detector={GONE}": 2,
        "digits class=1 ratio=0": 2,
    }
    for label, num in extents.items():
        store.put_winner(
            Winner(cell=label, num_search_trials=num, num_seeds=2, params={}, val_auroc=None)
        )
    assert [*stored_winners(reader)] == [*extents][:3]
    assert stored_standing(reader)[f"digits class=3 ratio=0.05 detector={GONE}"] == (
        f"digits class=3 ratio=0 detector={GONE}"
    )
    assert has_ended(stored_leaderboard(stored, "a-study"), stored_winners(reader))


def test_each_search_is_an_optuna_study_in_its_own_space(stored: ObjectStore) -> None:
    found = agad.to_optuna(stored.uri)
    assert len(found) == 2 * 2 * 9
    spaces = {
        name.rpartition(" ")[2]: {*study.trials[0].distributions} for name, study in found.items()
    }
    assert spaces == {
        "ratio=0": {"lr"},
        "ratio=0.05": {"lr"},
        f"detector={GONE}": {"variance"},
    }


def test_figures_of_the_searches_are_drawn_detector_by_detector(stored: ObjectStore) -> None:
    board, figure_data = stored_figure_data(stored, "a-study")
    assert [one.detector for one in figure_data.searches] == ["agad", GONE, GONE]
    assert [one.scheduler.max_epochs for one in figure_data.searches] == [4, 1, 1]
    names = [one.name for one in study_figures(board, figure_data)]
    assert len(set(names)) == len(names)
    assert any(one.startswith("slices-") and one.endswith(f"-{GONE}-2") for one in names)


def test_a_data_frame_has_what_each_detector_was_given(stored: ObjectStore) -> None:
    pytest.importorskip("pandas")
    frame = agad.leaderboard(stored.uri)
    assert {*frame["given"]} == {"labels", "nothing"}
    assert (frame["stands_for"] != "").sum() == 9
