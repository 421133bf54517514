"""A stored study with curves, scores and pictures."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from agad.config import Asha, Confirm, Grid, LogUniform, Search, Study
from agad.objects import ObjectStore, open_objects
from agad.records import EpochRow, ScoreRow, TrialRow, pictures_prefix
from agad.store import StudyStore

STUDY = "tiny"
STATES = ("finished", "pruned", "diverged", "failed")


def picture() -> bytes:
    """Return a PNG."""
    buffer = io.BytesIO()
    Image.new("RGB", (28, 8), (200, 0, 0)).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def stored(make_row: Callable[..., TrialRow], tmp_path: Path) -> ObjectStore:
    """A store that holds four search trials of one cell, two confirmed seeds, and an empty cell."""
    objects = open_objects(str(tmp_path / "stored"))
    store = StudyStore(objects, STUDY)
    study = Study(
        name=STUDY,
        cells=Grid(dataset="digits", normal_class=[0, 1]),
        search=Search(space={"lr": LogUniform(1e-4, 1e-2)}, trials_per_cell=4),
        scheduler=Asha(max_epochs=4, grace_period=2, reduction_factor=2),
        confirm=Confirm(seeds=2),
    )
    store.open(study.as_json())
    for number, state in enumerate(STATES):
        row = make_row(
            study=STUDY,
            number=number,
            state=state,
            params=json.dumps({"lr": 1e-3 + number / 1000}),
            epochs=number + 1,
            val_auroc=0.5 + number / 10,
        )
        epochs = [
            EpochRow(
                study=STUDY,
                cell=row.cell,
                phase="search",
                trial_key=row.trial_key,
                attempt=0,
                epoch=epoch,
                val_auroc=None if state == "failed" else 0.5 + number / 10 - (number - epoch) / 50,
                train_s=1.0,
            )
            for epoch in range(number + 1)
        ]
        store.put(row, epochs)
    for number in range(2):
        row = make_row(
            study=STUDY,
            phase="confirm",
            number=number,
            seeds=(number + 1,),
            test_auroc=0.4 + number / 10,
            test_average_precision=0.6,
        )
        scores = [
            ScoreRow(
                study=STUDY,
                cell=row.cell,
                trial_key=row.trial_key,
                attempt=0,
                image=image,
                label=image % 2,
                is_anomaly=image % 2 == 1,
                score=image + number / 10,
            )
            for image in range(20)
        ]
        store.put(row, [], scores)
        for image in range(16):
            key = f"{pictures_prefix(STUDY)}/{row.trial_key}/{image}.png"
            objects.put_if_absent(key, picture())
    return objects
