"""A tiny study that is trained in this process, and what tests of its models share."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

from agad.config import Asha, Confirm, Grid, Labelled, LogUniform, Search, Study
from agad.data import Library, NodeCache
from agad.detectors import Agad
from agad.objects import open_objects
from agad.records import TrialRow, models_prefix
from agad.records.provenance import find_provenance
from agad.store import StudyStore
from agad.study.board import StudyBoard
from agad.study.cell_data import find_cell_data
from agad.study.row_maker import RowMaker
from agad.study.running import Progress
from agad.trial import Runtime, train_trial

if TYPE_CHECKING:
    from tests.cli.conftest import Ended

STUDY = Study(
    name="tiny",
    cells=Grid(dataset="digits", normal_class=0),
    detector=Agad(
        backbone="naive", base_width=4, discriminator_width=4, batch_size=32, min_batch_anomalies=16
    ),
    search=Search(space={"lr": LogUniform(1e-3, 1e-2)}, trials_per_cell=2),
    scheduler=Asha(max_epochs=2, grace_period=1, reduction_factor=2),
    confirm=Confirm(seeds=2),
    selection=Labelled(num_anomalies=30, val_share=0.25),
)


def run_here(study: Study, uri: str, cache: NodeCache) -> None:
    """Run a study as ``run_study`` does, one trial after another in this process."""
    objects = open_objects(uri)
    cell_data = find_cell_data(study, Library(objects))
    store = StudyStore(objects, study.name)
    store.open(study.as_json())
    rows = RowMaker(study=study.name, provenance=find_provenance())
    runtime = Runtime(store=uri, cache=cache, models=models_prefix(study.name))
    with store.hold(), StudyBoard(study, cell_data, store, rows) as board:
        while (launch := board.launch()) is not None:
            epochs = tuple(train_trial(launch.spec, runtime))
            board.end(launch.spec.key, Progress(epochs=epochs, seconds=1.0, hardware="here"))


def confirmed(uri: str, study: str = "tiny") -> list[TrialRow]:
    rows = StudyStore(open_objects(uri), study).trials()
    return [row for row in rows if row.phase == "confirm"]


def assert_one_line(ended: Ended) -> None:
    assert ended.code == 2
    assert ended.err.startswith("agad: ")
    assert len(ended.err.splitlines()) == 1


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def read_csv(path: Path) -> list[dict[str, str]]:
    return [*csv.DictReader(io.StringIO(path.read_bytes().decode(), newline=""))]
