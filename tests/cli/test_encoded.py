"""Studies on frozen encoders, through the commands: plan, run, submit, export and score."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from agad.config import Candidate, Confirm, Grid, Labelled, Study
from agad.data import NodeCache
from agad.detectors import Knn
from agad.encoders import encoder_names
from agad.encoders.features import put_encoder
from agad.encoders.networks import find_encoder
from agad.objects import open_objects
from agad.trial import PictureScorer, SavedModel
from tests.cli.trained import assert_one_line, read_csv, run_here

if TYPE_CHECKING:
    from tests.cli.conftest import RunAgad

pytestmark = pytest.mark.usefixtures("wide")

STUDY_FILE = """
from agad import Candidate, Grid, Knn, Study, main

STUDY = Study(
    name="encoded",
    cells=Grid(dataset="digits", normal_class=0),
    detectors=[Candidate(Knn(features={features!r}), space={{}})],
)

if __name__ == "__main__":
    main(STUDY)
"""


def _file(tmp_path: Path, features: str) -> Path:
    path = tmp_path / "encoded.py"
    path.write_text(STUDY_FILE.format(features=features))
    return path


@pytest.mark.parametrize("command", [("run",), ("run", "--reduced"), ("plan",)])
def test_a_study_without_the_extra_ends_at_once_with_what_to_install(
    run_agad: RunAgad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    ended = run_agad(*command, _file(tmp_path, "efficientnet-lite0"))
    assert_one_line(ended)
    assert ended.err.endswith("pip install 'agad[features]'.\n")


def test_an_unknown_encoder_ends_a_command_in_one_line(run_agad: RunAgad, tmp_path: Path) -> None:
    ended = run_agad("plan", _file(tmp_path, "efficientnet-lite9"))
    assert_one_line(ended)
    assert ", ".join(encoder_names()) in ended.err


def test_submit_refuses_a_relative_file_that_no_job_is_given(
    run_agad: RunAgad, tmp_path: Path
) -> None:
    path = _file(tmp_path, "mine.safetensors")
    ended = run_agad("submit", path, "--address", "http://127.0.0.1:1")
    assert_one_line(ended)
    assert "a file of this machine, which a job is not given" in ended.err


def test_an_exported_model_scores_pictures_as_the_study_did(
    run_agad: RunAgad, tiny_file: Path, tmp_path: Path, session_cache: NodeCache
) -> None:
    study = Study(
        name="encoded",
        cells=Grid(dataset="digits", normal_class=0),
        detectors=[Candidate(Knn(features=str(tiny_file)), space={})],
        confirm=Confirm(seeds=1),
        selection=Labelled(num_anomalies=30, val_share=0.25),
    )
    uri = str(tmp_path / "its-store")
    put_encoder(find_encoder(str(tiny_file)), tiny_file, open_objects(uri))
    run_here(study, uri, session_cache)
    tiny_file.unlink()
    model = tmp_path / "a.model"
    ended = run_agad("export", "--store", uri, "--out", model)
    assert ended.code == 0, ended.err
    said = " ".join(ended.out.split())
    assert "Encoder: mine.safetensors at 32 px, from the file mine.safetensors" in said
    assert "The file holds its weights." in said
    pixels = np.random.default_rng(0).integers(0, 256, (5, 1, 16, 16), dtype=np.uint8)
    (tmp_path / "pictures").mkdir()
    for place, one in enumerate(pixels):
        Image.fromarray(one[0]).save(tmp_path / "pictures" / f"{place}.png")
    scored = run_agad("score", model, tmp_path / "pictures", "--csv", tmp_path / "scores.csv")
    assert scored.code == 0, scored.err
    rows = {row["file"]: float(row["score"]) for row in read_csv(tmp_path / "scores.csv")}
    expected = PictureScorer(SavedModel.read(model)).scores(pixels)
    np.testing.assert_allclose([rows[f"{place}.png"] for place in range(5)], expected)
    report = run_agad("report", "--store", uri)
    assert "the training data of mine.safetensors" in report.out
    assert "torchvision" not in sys.modules
