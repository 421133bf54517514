"""Detectors that fit once, through the commands: plan, export and score."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from agad.config import Candidate, Confirm, Grid, Labelled, Study
from agad.data import NodeCache
from agad.detectors import IsolationForest, Knn
from agad.trial import PictureScorer, SavedModel
from tests.cli.trained import read_csv, run_here

if TYPE_CHECKING:
    from tests.cli.conftest import RunAgad

pytestmark = pytest.mark.usefixtures("wide")

STUDY = Study(
    name="shallow",
    cells=Grid(dataset="digits", normal_class=0),
    detectors=[
        Candidate(Knn(features="pixels-standardised"), space={}),
        Candidate(IsolationForest(), space={}),
    ],
    confirm=Confirm(seeds=2),
    selection=Labelled(num_anomalies=30, val_share=0.25),
)
CELLS = {"knn": "digits class=0 ratio=0", "iforest": "digits class=0 ratio=0 detector=iforest"}
HOLDS = (
    "The file holds the standardised pixels of every normal image of the fit split: give it only "
    "to people who may see these images."
)

PLANNED = """
from agad import Candidate, Grid, Knn, KnnProbe, Study, main

STUDY = Study(
    name="planned",
    cells=Grid(dataset="digits", normal_class=[0, 1], anomaly_ratio=[0.0, 0.05]),
    detectors=[Candidate(Knn(), space={}), Candidate(KnnProbe(), space={})],
)

if __name__ == "__main__":
    main(STUDY)
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, session_cache: NodeCache) -> str:
    uri = str(tmp_path_factory.mktemp("shallow") / "store")
    run_here(STUDY, uri, session_cache)
    return uri


@pytest.mark.parametrize("name", CELLS)
def test_an_exported_model_and_its_program_score_alike_and_tell_what_they_hold(
    run_agad: RunAgad, store: str, tmp_path: Path, name: str
) -> None:
    model, program = tmp_path / "a.model", tmp_path / "a.pt2"
    ended = run_agad("export", store, "--cell", CELLS[name], "--out", model, "--pt2", program)
    assert ended.code == 0, ended.err
    assert (HOLDS in " ".join(ended.out.split())) is (name == "knn")
    pixels = np.random.default_rng(0).integers(0, 256, (5, 1, 16, 16), dtype=np.uint8)
    (tmp_path / "pictures").mkdir()
    for place, one in enumerate(pixels):
        Image.fromarray(one[0]).save(tmp_path / "pictures" / f"{place}.png")
    scored = run_agad("score", model, tmp_path / "pictures", "--csv", tmp_path / "scores.csv")
    assert scored.code == 0, scored.err
    rows = {row["file"]: float(row["score"]) for row in read_csv(tmp_path / "scores.csv")}
    by_command = [rows[f"{place}.png"] for place in range(5)]
    by_program = torch.export.load(program).module()(torch.from_numpy(pixels) / 127.5 - 1)
    expected = PictureScorer(SavedModel.read(model)).scores(pixels)
    np.testing.assert_allclose(by_command, expected)
    np.testing.assert_allclose(by_program.numpy(), expected, rtol=1e-5)


def test_a_plan_says_which_cells_a_detector_that_needs_labels_leaves_out(
    run_agad: RunAgad, tmp_path: Path
) -> None:
    path = tmp_path / "planned.py"
    path.write_text(PLANNED)
    ended = run_agad("plan", path)
    assert ended.code == 0, ended.err
    assert (
        "knn-probe: Left out: 2 cells at ratio 0, where no labelled anomaly can be fitted."
        in " ".join(ended.out.split())
    )
