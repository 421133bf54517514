"""A stored study of one detector that goes on with others, through the commands that show it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agad.config import Candidate, Grid, Study
from agad.data import NodeCache
from agad.detectors import Pca
from agad.objects import open_objects
from agad.reading import stored_leaderboard
from agad.report import Leaderboard
from agad.store import StudyStore
from tests.cli.trained import STUDY, read_csv, run_here

if TYPE_CHECKING:
    from tests.cli.conftest import RunAgad

pytestmark = pytest.mark.usefixtures("wide")

ALONE = replace(STUDY, cells=Grid(dataset="digits", normal_class=0, anomaly_ratio=[0, 0.05]))
SEVERAL = Study(
    name=ALONE.name,
    cells=ALONE.cells,
    detectors=[
        Candidate(ALONE.detector, space=ALONE.search.space, trials=2, scheduler=ALONE.scheduler),
        Candidate(Pca(), space={}),
        Candidate(Pca(variance=0.6), trials=2),
    ],
    confirm=ALONE.confirm,
    selection=ALONE.selection,
)
STANDING = "digits class=0 ratio=0.05 detector=pca"


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory, session_cache: NodeCache) -> tuple[str, str]:
    """The study with one detector, and a copy of its store where it went on with two more."""
    folder = tmp_path_factory.mktemp("candidates")
    alone, several = str(folder / "alone"), str(folder / "several")
    run_here(ALONE, alone, session_cache)
    shutil.copytree(alone, several)
    run_here(SEVERAL, several, session_cache)
    return alone, several


def board_of(uri: str) -> Leaderboard:
    return stored_leaderboard(open_objects(uri), "tiny")


def test_a_study_that_goes_on_with_more_detectors_trains_nothing_again(
    stores: tuple[str, str],
) -> None:
    before, after = (StudyStore(open_objects(uri), "tiny").trials() for uri in stores)
    kept = {row.trial_key: row for row in after if row.detector == "agad"}
    assert kept == {row.trial_key: row for row in before}
    assert len(after) == len(before) + 2 + 2 * (2 + 2)


def test_cells_of_the_first_detector_are_what_they_were(stores: tuple[str, str]) -> None:
    alone, several = map(board_of, stores)
    of_agad = [replace(cell, given="") for cell in several.cells if cell.detector == "agad"]
    assert of_agad == [*alone.cells]
    assert several.detectors == ("agad", "pca")
    assert [cell.cell for cell in several.cells if cell.stands_for] == [STANDING]


def test_a_report_of_the_extended_study_shows_all_of_them(
    run_agad: RunAgad, stores: tuple[str, str], tmp_path: Path
) -> None:
    names = {"md": "a.md", "csv": "a.csv", "means-csv": "m.csv", "latex": "a.tex", "html": "a.html"}
    flags = [part for flag, name in names.items() for part in (f"--{flag}", tmp_path / name)]
    ended = run_agad("report", stores[1], *flags, "--figures", tmp_path / "f", "--format", "svg")
    assert ended.code == 0, ended.err
    rows = read_csv(tmp_path / "a.csv")
    assert {row["method"] for row in rows} == {"agad", "pca", "pca variance=0.6"}
    assert [row["cell"] for row in rows if row["stands_for"]] == [STANDING]
    page = (tmp_path / "a.html").read_text()
    assert "tiny" in page
    assert "detector" in page
    assert (tmp_path / "f" / "tiny-search-history-agad.svg").exists()
    again = run_agad("report", stores[1], "--baseline", tmp_path / "a.csv", "--check")
    assert again.code == 0, again.err
    assert "0 cells fell" in again.out


def test_the_extended_study_is_compared_with_what_it_was(
    run_agad: RunAgad, stores: tuple[str, str]
) -> None:
    alone, several = stores
    ended = run_agad("report", several, alone)
    assert ended.code == 0, ended.err
    assert ended.out.count("not apart") >= 2
    assert ended.out.count("first only") == 4


def test_a_cell_that_did_not_run_exports_the_model_of_the_cell_that_did(
    run_agad: RunAgad, stores: tuple[str, str], tmp_path: Path
) -> None:
    ended = run_agad("export", stores[1], "--cell", STANDING, "--out", tmp_path / "a")
    assert ended.code == 0, ended.err
    ran = STANDING.replace("0.05", "0")
    assert f"{STANDING} did not run" in ended.out
    assert f"Cell: {ran}; normal: 0." in ended.out
    other = run_agad("export", stores[1], "--cell", ran, "--out", tmp_path / "b")
    assert other.code == 0, other.err
    assert "did not run" not in other.out
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
