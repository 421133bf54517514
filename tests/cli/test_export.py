"""``agad export``: from a study that was trained here to a model in a file."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from rich.console import Console
from scipy.stats import binomtest

from agad.config import Confirm, Grid
from agad.data import NodeCache
from agad.executor.tune import ClusterOptions, run_study
from agad.objects import open_objects
from agad.records import TrialRow, Winner, model_key, models_prefix
from agad.report import export_summary, leaderboard
from agad.store import StudyStore
from agad.trial import PictureScorer, SavedModel
from tests.cli.trained import STUDY, assert_one_line, confirmed, files_below, read_csv, run_here

if TYPE_CHECKING:
    from tests.cli.conftest import RunAgad


pytestmark = pytest.mark.usefixtures("wide")


def test_export_writes_the_model_of_the_first_confirm_seed(exported: Path, trained: str) -> None:
    model = SavedModel.read(exported)
    first = next(row for row in confirmed(trained) if row.number == 0)
    assert model.card.trial_key == first.trial_key
    assert (model.card.seed,) == first.seeds
    assert model.card.test_auroc == first.test_auroc
    assert model.card.exported is not None
    assert model.card.exported.study == "tiny"
    assert model.card.exported.commit == first.commit
    assert model.card.exported.versions == first.versions
    assert model.card.exported.threshold == model.threshold(0.05)


def test_only_the_first_confirm_seed_keeps_a_model(trained: str) -> None:
    keys = [row.trial_key for row in confirmed(trained)]
    assert len(keys) == 2
    assert open_objects(trained).list("tiny/models/") == [
        model_key("tiny/models", row.trial_key) for row in confirmed(trained) if row.number == 0
    ]


def test_export_says_what_the_model_is(run_agad: RunAgad, trained: str, tmp_path: Path) -> None:
    ended = run_agad("export", trained, "--out", tmp_path / "a", "--fpr", "0.2")
    first, second = confirmed(trained)
    assert first.test_auroc is not None
    assert second.test_auroc is not None
    assert ended.code == 0
    assert "Cell: digits class=0 ratio=0; normal: 0." in ended.out
    assert "grey, brought to 16 x 16 by Pillow's bilinear" in ended.out
    assert f"{first.test_auroc:.3f} of this model, seed 1" in ended.out
    assert f"{(first.test_auroc + second.test_auroc) / 2:.3f} ± " in ended.out
    num = len(SavedModel.read(tmp_path / "a").val_normal_scores)
    assert f"{num // 5} of {num} validation normals score above it" in ended.out
    bound = binomtest(num // 5, num, alternative="less").proportion_ci(0.95, "exact").high
    assert (
        "With 95% confidence, the false-positive rate on further normals like these is below "
        f"{bound:.2g} (Clopper-Pearson)." in ended.out
    )
    assert ended.out.count("rate") == 1
    assert ended.err == ""


def test_export_bounds_the_rate_of_normals_that_share_a_score(exported: Path, trained: str) -> None:
    (cell,) = leaderboard(StudyStore(open_objects(trained), "tiny").trials(), study="tiny").cells
    scores = torch.tensor([0.1, 0.2, 0.7, 0.7, 0.7])
    model = replace(SavedModel.read(exported), val_normal_scores=scores)
    assert model.card.exported is not None
    facts = replace(model.card.exported, threshold=model.threshold(0.5), false_positive_rate=0.5)
    console = Console(width=400, record=True, file=io.StringIO())
    console.print(export_summary(model.exported(facts), cell))
    shown = console.export_text()
    assert "above 0.7 is called anomalous; 0 of 5 validation normals score above it." in shown
    bound = binomtest(2, 5, alternative="less").proportion_ci(0.95, "exact").high
    assert f"is below {bound:.2g} (Clopper-Pearson)" in shown


@pytest.mark.parametrize(
    ("aurocs", "said"),
    [
        ((0.29, 0.3), "is 0.295, worse than chance (95 % interval 0.231-0.359; chance is 0.5)"),
        ((0.4, 0.6), "is 0.500, not told apart from chance (95 % interval 0.000-1.000; chance is"),
        ((0.5, 0.5), "is 0.500, not told apart from chance (chance is 0.5): do not rely"),
    ],
)
def test_export_warns_of_a_cell_that_is_not_better_than_chance(  # noqa: PLR0913  Fixtures.
    run_agad: RunAgad,
    trained: str,
    copied: Callable[..., str],
    tmp_path: Path,
    aurocs: tuple[float, float],
    said: str,
) -> None:
    def worsened(row: TrialRow) -> TrialRow:
        return replace(row, test_auroc=aurocs[row.number]) if row.phase == "confirm" else row

    uri = copied(worsened)
    (key,) = open_objects(trained).list("tiny/models/")
    open_objects(uri).put_if_absent(key, open_objects(trained).get(key))
    ended = run_agad("export", uri, "--out", tmp_path / "a")
    assert ended.code == 0
    assert f"agad: warning: the test AUROC of the cell {said}" in ended.err


def test_export_warns_where_too_few_normals_give_the_threshold(
    run_agad: RunAgad, trained: str, tmp_path: Path
) -> None:
    ended = run_agad("export", trained, "--out", tmp_path / "a", "--fpr", "0.001")
    model = SavedModel.read(tmp_path / "a")
    assert ended.code == 0
    num = len(model.val_normal_scores)
    assert (
        "agad: warning: --fpr is 0.001, which needs 1,000 validation normals or more, but there "
        f"are {num}:" in ended.err
    )
    assert "false-positive" not in ended.err
    assert "the threshold is the highest of their scores" in ended.err
    assert model.card.exported is not None
    assert model.card.exported.threshold == model.val_normal_scores.max().item()


@pytest.mark.parametrize("value", ["0", "1", "-0.1", "nan", "5"])
def test_a_rate_outside_0_and_1_is_refused(
    run_agad: RunAgad, trained: str, tmp_path: Path, value: str
) -> None:
    ended = run_agad("export", trained, "--out", tmp_path / "a", f"--fpr={value}")
    assert_one_line(ended)
    assert f"--fpr is {float(value):g}, but must be in (0, 1)" in ended.err
    assert not (tmp_path / "a").exists()


def test_an_unknown_study_or_cell_is_refused_with_the_known_ones(
    run_agad: RunAgad, trained: str, tmp_path: Path
) -> None:
    ended = run_agad("export", trained, "--out", tmp_path / "a", "--study", "other")
    assert_one_line(ended)
    assert "--study is 'other', but" in ended.err
    assert "holds: tiny." in ended.err
    ended = run_agad("export", trained, "--out", tmp_path / "a", "--cell", "digits class=1 ratio=0")
    assert_one_line(ended)
    assert "study tiny has: 'digits class=0 ratio=0'." in ended.err


def test_of_several_studies_or_cells_one_must_be_named(
    run_agad: RunAgad, session_cache: NodeCache, tmp_path: Path
) -> None:
    uri = str(tmp_path / "several")
    run_here(replace(STUDY, cells=Grid(dataset="digits", normal_class=[0, 1])), uri, session_cache)
    ended = run_agad("export", uri, "--out", tmp_path / "a")
    assert_one_line(ended)
    cells = "'digits class=0 ratio=0', 'digits class=1 ratio=0'"
    assert f"--cell is missing, but study tiny has: {cells}; name one." in ended.err
    run_here(replace(STUDY, name="another"), uri, session_cache)
    ended = run_agad("export", uri, "--out", tmp_path / "a")
    assert_one_line(ended)
    assert "--study is missing, but" in ended.err
    assert "holds: 'another', 'tiny'; name one." in ended.err
    ended = run_agad(
        "export",
        uri,
        "--study",
        "tiny",
        "--cell",
        "digits class=1 ratio=0",
        "--out",
        tmp_path / "a",
    )
    assert ended.code == 0
    assert SavedModel.read(tmp_path / "a").card.normal_classes == (1,)


@pytest.fixture
def copied(trained: str, tmp_path: Path) -> Callable[..., str]:
    """Return what copies the study's rows, each changed by name, without its model."""

    def copy(change: Callable[[TrialRow], TrialRow] = lambda row: row) -> str:
        uri = str(tmp_path / "copied")
        store = StudyStore(open_objects(uri), "tiny")
        store.open(STUDY.as_json())
        for row in StudyStore(open_objects(trained), "tiny").trials():
            store.put(change(row), [])
        return uri

    return copy


def test_a_study_that_kept_no_model_says_so(
    run_agad: RunAgad, copied: Callable[..., str], tmp_path: Path
) -> None:
    ended = run_agad("export", copied(), "--out", tmp_path / "a")
    assert_one_line(ended)
    assert "study 'tiny' kept no model of cell 'digits class=0 ratio=0'" in ended.err
    assert "run it again under another name" in ended.err
    assert not (tmp_path / "a").exists()


def test_no_other_seed_stands_in_for_the_first(
    run_agad: RunAgad, copied: Callable[..., str], tmp_path: Path
) -> None:
    def diverge_first(row: TrialRow) -> TrialRow:
        if row.phase == "search" or row.number > 0:
            return row
        return replace(row, state="diverged", test_auroc=None, test_average_precision=None)

    ended = run_agad("export", copied(diverge_first), "--out", tmp_path / "a")
    assert_one_line(ended)
    assert "the trial of its first confirm seed is diverged, and no other seed" in ended.err


def test_a_cell_that_is_not_confirmed_says_so(
    run_agad: RunAgad, copied: Callable[..., str], tmp_path: Path
) -> None:
    def as_search(row: TrialRow) -> TrialRow:
        return replace(row, phase="search", test_auroc=None, test_average_precision=None)

    ended = run_agad("export", copied(as_search), "--out", tmp_path / "a")
    assert_one_line(ended)
    assert "has no confirmed result yet; run its study to the end first" in ended.err


def test_a_cell_whose_candidates_are_not_tested_yet_says_so(
    run_agad: RunAgad, copied: Callable[..., str], tmp_path: Path
) -> None:
    def untested(row: TrialRow) -> TrialRow:
        return replace(row, test_auroc=None, test_average_precision=None)

    ended = run_agad("export", copied(untested), "--out", tmp_path / "a")
    assert_one_line(ended)
    assert "has no confirmed result yet; run its study to the end first" in ended.err


def test_of_several_candidates_the_winners_tested_model_is_exported(
    run_agad: RunAgad, session_cache: NodeCache, tmp_path: Path
) -> None:
    uri = str(tmp_path / "candidates")
    run_here(replace(STUDY, confirm=Confirm(seeds=1, candidates=2)), uri, session_cache)
    ended = run_agad("export", uri, "--out", tmp_path / "a.model")
    assert ended.code == 0, ended.err
    (tested,) = (
        row for row in StudyStore(open_objects(uri), "tiny").trials() if row.phase == "test"
    )
    card = SavedModel.from_bytes((tmp_path / "a.model").read_bytes(), "a.model").card
    assert (card.trial_key, card.test_auroc) == (tested.trial_key, tested.test_auroc)
    assert card.val_auroc == tested.val_auroc


def test_a_stored_model_that_is_damaged_is_refused(
    run_agad: RunAgad, trained: str, copied: Callable[..., str], tmp_path: Path
) -> None:
    uri = copied()
    key = open_objects(trained).list("tiny/models/")[0]
    data = open_objects(trained).get(key)
    open_objects(uri).put_if_absent(key, data[:-1])
    ended = run_agad("export", uri, "--out", tmp_path / "a")
    assert_one_line(ended)
    assert f"{uri}/{key} is no model of agad" in ended.err


def test_a_stored_model_of_another_trial_is_refused(
    run_agad: RunAgad, trained: str, copied: Callable[..., str], tmp_path: Path
) -> None:
    uri = copied()
    key = open_objects(trained).list("tiny/models/")[0]
    model = SavedModel.from_bytes(open_objects(trained).get(key), "here")
    other = replace(model, card=replace(model.card, trial_key="0" * 32))
    open_objects(uri).put_if_absent(key, other.to_bytes())
    ended = run_agad("export", uri, "--out", tmp_path / "a")
    assert_one_line(ended)
    assert f"holds the model of trial {'0' * 32}, but must hold" in ended.err


def test_export_says_where_the_row_is_of_another_attempt(
    run_agad: RunAgad, trained: str, copied: Callable[..., str], tmp_path: Path
) -> None:
    uri = copied(lambda row: replace(row, test_auroc=0.25) if row.test_auroc else row)
    key = open_objects(trained).list("tiny/models/")[0]
    open_objects(uri).put_if_absent(key, open_objects(trained).get(key))
    ended = run_agad("export", uri, "--out", tmp_path / "a", "--fpr", "0.5")
    assert ended.code == 0
    assert "the model is of another attempt than the leaderboard's row, whose test" in ended.err


def test_the_configuration_is_the_one_of_the_leaderboard(
    run_agad: RunAgad, trained: str, copied: Callable[..., str], tmp_path: Path
) -> None:
    uri = copied()
    store = StudyStore(open_objects(uri), "tiny")
    first = next(row for row in confirmed(trained) if row.number == 0)
    other = json.dumps({"lr": 0.5})
    for number in range(3):  # One seed more than the others have.
        row = replace(
            first, params=other, trial_key=f"{number:032x}", number=number, seeds=(number + 1,)
        )
        store.put(row, [])
    ended = run_agad("export", uri, "--out", tmp_path / "a")
    assert_one_line(ended)
    assert f"/tiny/models/{0:032x}.safetensors does not exist" in ended.err


@pytest.mark.parametrize("num_seeds", [2, 3])
def test_the_winner_of_what_is_planned_is_exported_and_reported(
    run_agad: RunAgad,
    trained: str,
    copied: Callable[..., str],
    tmp_path: Path,
    num_seeds: int,
) -> None:
    is_current = num_seeds == STUDY.confirm.seeds
    uri = copied()
    store = StudyStore(open_objects(uri), "tiny")
    first = next(row for row in confirmed(trained) if row.number == 0)
    params = {"lr": 0.5}
    store.put(replace(first, params=json.dumps(params), trial_key=f"{0:032x}"), [])
    store.put_winner(
        Winner(
            cell=first.cell, num_search_trials=2, num_seeds=num_seeds, params=params, val_auroc=0.5
        )
    )
    ended = run_agad("export", uri, "--out", tmp_path / "a")
    assert_one_line(ended)
    assert (f"/tiny/models/{0:032x}.safetensors does not exist" in ended.err) == is_current
    assert run_agad("report", uri, "--csv", tmp_path / "b.csv").code == 0
    (cell,) = read_csv(tmp_path / "b.csv")
    assert (json.loads(cell["best_params"]) == params) == is_current


@pytest.mark.parametrize("flag", ["--out", "--pt2"])
@pytest.mark.parametrize("name", ["no/such/folder/model", "."])
def test_an_export_that_cannot_be_written_leaves_nothing_behind(
    run_agad: RunAgad, trained: str, here: Path, flag: str, name: str
) -> None:
    ended = run_agad("export", trained, "--out", "model", flag, name)
    assert_one_line(ended)
    assert "cannot be written" in ended.err
    assert files_below(here) == ["full", "full/file"]


def test_two_files_of_one_name_are_refused(run_agad: RunAgad, trained: str, tmp_path: Path) -> None:
    ended = run_agad("export", trained, "--out", tmp_path / "a", "--pt2", tmp_path / "." / "a")
    assert_one_line(ended)
    assert "must be two files" in ended.err


@pytest.mark.slow
def test_the_exported_program_scores_as_the_model(
    run_agad: RunAgad, trained: str, tmp_path: Path
) -> None:
    ended = run_agad("export", trained, "--out", tmp_path / "a", "--pt2", tmp_path / "a.pt2")
    assert ended.code == 0, ended.err
    pixels = np.random.default_rng(0).integers(256, size=(9, 1, 16, 16), dtype=np.uint8)
    program = torch.export.load(tmp_path / "a.pt2").module()
    scores = PictureScorer(SavedModel.read(tmp_path / "a")).scores(pixels)
    assert program(torch.from_numpy(pixels) / 127.5 - 1).tolist() == pytest.approx(
        scores.tolist(), rel=1e-5
    )


@pytest.mark.cluster
@pytest.mark.nightly
@pytest.mark.usefixtures("shared_ray")
def test_a_study_on_ray_keeps_one_model_a_cell(tmp_path: Path) -> None:
    options = ClusterOptions(
        store=str(tmp_path / "store"), cache=NodeCache(folder=str(tmp_path / "cache"))
    )
    objects = open_objects(options.store)
    study = replace(STUDY, cells=Grid(dataset="digits", normal_class=[0, 1]))
    run_study(study, StudyStore(objects, "tiny"), options)
    rows = [row for row in confirmed(options.store) if row.number == 0]
    assert len(rows) == 2
    for row in rows:
        key = model_key(models_prefix("tiny"), row.trial_key)
        model = SavedModel.from_bytes(objects.get(key), "here")
        assert (model.card.cell, model.card.test_auroc) == (row.cell, row.test_auroc)
    assert len(objects.list("tiny/models/")) == 2


def test_a_class_that_was_not_searched_on_exports_the_winner_of_the_development_classes(
    run_agad: RunAgad, tmp_path: Path, session_cache: NodeCache
) -> None:
    uri = str(tmp_path / "store")
    search = replace(STUDY.search, development_classes=(0, 5))
    cells = Grid(dataset="digits", normal_class=[0, 3, 5])
    study = replace(STUDY, cells=cells, search=search, confirm=Confirm(seeds=1))
    run_here(study, uri, session_cache)

    reported = run_agad("report", uri, "--csv", tmp_path / "board.csv")
    assert (reported.code, reported.err) == (0, "")
    assert "Development classes: 0, 5." in reported.out
    *lines_of_cells, search_line = read_csv(tmp_path / "board.csv")
    assert (search_line["given_class"], search_line["is_search"]) == ("0, 5", "True")
    lines = {line["given_class"]: line for line in lines_of_cells}
    assert {given: line["is_development"] for given, line in lines.items()} == {
        "0": "True",
        "3": "False",
        "5": "True",
    }
    assert {line["num_confirmed"] for line in lines.values()} == {"1"}

    label = "digits class=3 ratio=0"
    ended = run_agad("export", uri, "--cell", label, "--out", tmp_path / "three.model")
    assert ended.code == 0, ended.err
    (row,) = (row for row in confirmed(uri) if row.cell == label)
    model = SavedModel.from_bytes((tmp_path / "three.model").read_bytes(), "three.model")
    assert (model.card.trial_key, model.card.normal_classes) == (row.trial_key, (3,))
    (winner,) = StudyStore(open_objects(uri), "tiny").winners()
    assert winner.cell == "digits class=(0,5) ratio=0"
    assert json.loads(row.params) == winner.params
