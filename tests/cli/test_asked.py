"""``--dataset`` and ``--normal-class``: a file's question about another data set."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from agad.cli.asked import add_question_flags, asked_name, asked_study
from agad.cli.flags import add_store_flag
from agad.config import Candidate, FixedEpoch, Grid, Labelled, LogUniform, NoStopping, Search, Study
from agad.detectors import Agad, Knn, Probe
from agad.errors import ConfigError

if TYPE_CHECKING:
    from tests.cli.conftest import RunAgad, WriteStudy


def _pictures(root: Path, *folders: str) -> Path:
    rng = np.random.default_rng(0)
    for folder in folders:
        (root / folder).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(0, 256, (16, 16), dtype=np.uint8)
            Image.fromarray(pixels).save(root / folder / f"{number}.png")
    return root


@pytest.fixture
def tiles(run_agad: RunAgad, tmp_path: Path) -> str:
    """Import pictures of the classes ok, chip and scratch; return the name of the data set."""
    root = _pictures(tmp_path / "pictures", "chip", "ok", "scratch")
    assert run_agad("data", "import", "tiles", "--from", root, "--size", 16).code == 0
    return "tiles"


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_store_flag(parser)
    add_question_flags(parser)
    return parser.parse_args(words)


STUDY = Study(
    name="a-question",
    cells=Grid(dataset="digits", normal_class=[0, 8]),
    selection=FixedEpoch(epochs=2),
)


def test_the_class_called_ok_is_normal_in_another_data_set(tiles: str) -> None:
    asked = asked_study(STUDY, _arguments(["--dataset", tiles]))
    assert asked.name == "a-question-tiles"
    assert asked.cells == Grid(dataset="tiles", normal_class="ok")
    assert [cell.label for cell in asked.all_cells] == ["tiles class=ok ratio=0"]


def test_every_class_in_turn_is_normal_where_none_is_called_so() -> None:
    asked = asked_study(STUDY, _arguments(["--dataset", "digits"]))
    assert asked.name == "a-question-digits"
    assert asked.cells.classes == tuple(range(10))


def test_the_named_classes_are_normal(tiles: str) -> None:
    words = ["--dataset", tiles, "--normal-class", "chip", "--normal-class", "2"]
    assert asked_study(STUDY, _arguments(words)).cells.classes == ("chip", 2)


def test_another_data_set_can_be_asked_of_at_a_laptops_budget(tiles: str) -> None:
    arguments = _arguments(["--dataset", tiles, "--reduced"])
    asked = asked_study(STUDY, arguments)
    assert asked.name == asked_name(STUDY, arguments) == "a-question-tiles-reduced"
    assert asked == asked_study(STUDY, _arguments(["--dataset", tiles])).reduced()


def test_the_name_of_a_study_is_known_without_a_store() -> None:
    words = ["--dataset", "nobody-has-it", "--store", "s3://nobody-reaches/it"]
    assert asked_name(STUDY, _arguments(words)) == "a-question-nobody-has-it"
    assert asked_name(STUDY, _arguments([])) == "a-question"


def test_a_question_about_an_anomalous_class_keeps_its_protocol() -> None:
    study = replace(STUDY, cells=Grid(dataset="digits", anomalous_class=3))
    asked = asked_study(study, _arguments(["--dataset", "digits"]))
    assert asked.cells.normal_class is None
    assert asked.cells.anomalous_class == tuple(range(10))


def test_every_class_in_turn_is_anomalous_even_if_a_class_is_called_ok(tiles: str) -> None:
    study = replace(STUDY, cells=Grid(dataset="digits", anomalous_class=3))
    asked = asked_study(study, _arguments(["--dataset", tiles]))
    assert asked.cells.anomalous_class == (0, 1, 2)


@pytest.mark.parametrize(
    ("change", "flags", "message"),
    [
        (("", ""), ["--dataset", "tile"], "data set 'tile' is not in"),
        (("", ""), ["--normal-class", "3"], "--normal-class is '3', but --dataset is not given"),
        (
            ("", ""),
            ["--dataset", "digits", "--normal-class", "eleven"],
            "--normal-class holds 'eleven', but digits has the classes",
        ),
        (
            ("normal_class=0", "normal_class=0, anomaly_ratio=0.1, labelled_classes=(1, 2)"),
            ["--dataset", "digits"],
            "cells.labelled_classes of study tiny names classes of its own data set",
        ),
        (
            ("normal_class=0", "anomalous_class=0"),
            ["--dataset", "digits", "--normal-class", "3"],
            "--normal-class is '3', but study tiny is leave-one-out: each class in turn is",
        ),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused_in_one_line(
    run_agad: RunAgad,
    write_study: WriteStudy,
    change: tuple[str, str],
    flags: list[str],
    message: str,
) -> None:
    ended = run_agad("plan", write_study(*change), *flags)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert ended.err.count("\n") == 1


def test_a_study_with_development_classes_is_not_asked_of_another_data_set() -> None:
    study = Study(
        name="a-question",
        cells=Grid(dataset="digits", normal_class=[0, 1]),
        search=Search(space={"lr": LogUniform(1e-4, 1e-2)}, development_classes=0),
    )
    with pytest.raises(
        ConfigError, match=r"search\.development_classes of study a-question names classes"
    ):
        study.on_dataset("tiles", ["ok"])


def test_a_study_that_names_labelled_images_is_not_asked_of_another_data_set() -> None:
    study = Study(
        name="a-question",
        cells=Grid(dataset="digits", normal_class=0),
        detectors=[Candidate(Knn())],
        selection=Labelled(pool=["train[1]", "train[2]"]),
    )
    with pytest.raises(ConfigError, match=r"selection\.pool of study a-question names images"):
        study.on_dataset("tiles", ["ok"])


def test_a_name_that_becomes_too_long_is_refused() -> None:
    with pytest.raises(ConfigError, match="a-question-ddd"):
        STUDY.on_dataset("d" * 100, [0])


def test_plan_shows_the_study_of_the_other_data_set(
    run_agad: RunAgad, write_study: WriteStudy, tiles: str
) -> None:
    ended = run_agad("plan", write_study(), "--dataset", tiles)
    assert (ended.code, ended.err) == (0, "")
    assert "Study tiny-tiles: what it will take" in ended.out
    assert "tiles class=ok ratio=0" in ended.out


def _which(labels: list[int], num_normals: int) -> Study:
    return Study(
        name="which",
        cells=Grid(dataset="digits", normal_class=0, labels=labels, num_normals=num_normals),
        detectors=[Candidate(Knn(), space={}), Candidate(Probe(), space={})],
    )


def test_what_a_small_data_set_lacks_is_left_out_and_told(
    tiles: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = asked_study(_which([0, 10, 30], 1000), _arguments(["--dataset", tiles]))
    # Of 36 pictures, a part is the test part: 10 or so of each class train.
    assert asked.cells.num_normals == (None,)
    assert asked.cells.labels == (0, 10)
    assert [one.detector.name for one in asked.detectors] == ["knn", "probe"]
    first, second = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"agad: warning: tiles has \d+ normal images of a class to fit, and not 1,000, so all are "
        r"fitted\.",
        first,
    )
    assert re.fullmatch(
        r"agad: warning: tiles has \d+ anomalies in its training part, so label budgets of 30 are "
        r"left out\.",
        second,
    )


def test_without_anomalies_to_train_detectors_that_need_labels_are_left_out(
    run_agad: RunAgad, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = _pictures(tmp_path / "mvtec", "train/good", "test/good", "test/scratch")
    words = ["metal", "--from", root, "--size", 16, "--keep-split"]
    assert run_agad("data", "import", *words).code == 0
    asked = asked_study(_which([0, 10], 5), _arguments(["--dataset", "metal"]))
    assert asked.cells.labels == (0,)
    assert asked.cells.num_normals == (5,)
    assert [one.detector.name for one in asked.detectors] == ["knn"]
    told = capsys.readouterr().err
    assert "metal has 0 anomalies in its training part, so label budgets of 10 are left out" in told
    assert "without labels, there is nothing to fit for: probe." in told


def test_a_data_set_that_is_large_enough_changes_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = asked_study(_which([0, 10, 30], 50), _arguments(["--dataset", "digits"]))
    assert (asked.cells.labels, asked.cells.num_normals) == ((0, 10, 30), (50,))
    assert capsys.readouterr().err == ""


def test_a_detector_that_does_not_take_pictures_of_the_size_is_left_out(
    run_agad: RunAgad, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = _pictures(tmp_path / "pictures", "ok", "chip")
    assert run_agad("data", "import", "large", "--from", root, "--size", 224).code == 0
    study = Study(
        name="which",
        cells=Grid(dataset="digits", normal_class=0),
        detectors=[
            Candidate(Knn(), space={}),
            Candidate(Agad(), space={}, scheduler=NoStopping(max_epochs=1)),
        ],
    )
    asked = asked_study(study, _arguments(["--dataset", "large"]))
    assert [one.detector.name for one in asked.detectors] == ["knn"]
    assert capsys.readouterr().err == (
        "agad: warning: agad is left out: it takes pictures of 16, 32, 64, 128 px, but large holds "
        "pictures of 224 px.\n"
    )


def test_a_study_whose_only_detector_does_not_take_the_size_is_refused(
    run_agad: RunAgad, write_study: WriteStudy, tmp_path: Path
) -> None:
    root = _pictures(tmp_path / "pictures", "ok", "chip")
    assert run_agad("data", "import", "large", "--from", root, "--size", 224).code == 0
    ended = run_agad("plan", write_study(), "--dataset", "large")
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "takes pictures of 16, 32, 64, 128 px, but large holds pictures of 224" in ended.err
