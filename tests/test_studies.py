"""Study files are data: they load, keep their shape, and fit their data."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from agad.cli import load_study
from agad.config import Study

STUDIES = sorted((Path(__file__).parents[1] / "studies").glob("*.py"))


def test_all_studies_are_there() -> None:
    assert [path.stem for path in STUDIES] == [
        "cifar_ratio_sweep",
        "digits_quickstart",
        "which_detector",
        "which_detector_deep",
    ]


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_study_file_loads_and_is_named_after_its_file(path: Path) -> None:
    study = load_study(path)
    assert isinstance(study, Study)
    assert study.name == path.stem.replace("_", "-")


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_study_file_is_a_question_and_a_value(path: Path) -> None:
    text = path.read_text()
    docstring, *statements = ast.parse(text).body
    assert ast.unparse(docstring).strip("\"'").endswith("?")
    assert [type(one) for one in statements] == [ast.ImportFrom, ast.Assign, ast.If]
    assert len(text.splitlines()) < 40


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_reduced_study_has_a_name_of_its_own_and_a_small_budget(path: Path) -> None:
    study = load_study(path)
    reduced = study.reduced()
    assert reduced.name == f"{study.name}-reduced"
    assert len(reduced.cells.all_cells) == 2
    alone = [entry.study for entry in reduced.entries]
    assert max(one.scheduler.max_epochs for one in alone) <= 3
    assert max(one.num_search_trials for one in alone) <= 4


def test_the_quickstart_has_two_classes_three_ratios_and_twelve_trials_a_cell() -> None:
    study = load_study(STUDIES[1])
    assert study.cells.normal_class == (0, 8)
    assert study.cells.anomaly_ratio == (0.0, 0.05, 0.1)
    assert [one.detector.name for one in study.detectors] == ["agad", "lof", "knn"]
    assert study.entries[0].study.num_search_trials >= 12
