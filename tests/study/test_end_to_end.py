"""Whole studies on a real local Ray, with real images and a real store."""

from __future__ import annotations

import json
import os
import signal
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import ray

from agad.config import Agad, Asha, Confirm, Grid, Labelled, LogUniform, Search, Study
from agad.data import load_images
from agad.errors import TrialDivergedError, TrialsFailingError
from agad.objects import open_objects
from agad.records import TrialRow
from agad.report import leaderboard
from agad.store import StudyStore
from agad.study import Where, run_study
from agad.trial import EpochResult, Runtime, TrialSpec, train_trial

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

TINY = Agad(base_width=2, discriminator_width=4, batch_size=32, min_batch_anomalies=16)


@pytest.fixture(scope="module", autouse=True)
def local_ray() -> Iterator[None]:
    """One local Ray for this module; ``run_study`` uses the connection that it finds."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four files in MNIST's format that hold scikit-learn's real digits at 28 x 28."""
    root = tmp_path_factory.mktemp("data")
    folder = root / "mnist"
    folder.mkdir()
    for part, prefix in (("train", "train"), ("test", "t10k")):
        images = load_images("digits", "train" if part == "train" else "test", root)
        large = images.pixels[:, 0].repeat(3, axis=1).repeat(3, axis=2)
        padded = np.pad(large, ((0, 0), (2, 2), (2, 2)))
        header = struct.pack(">4BIII", 0, 0, 8, 3, *padded.shape)
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(header + padded.tobytes())
        labels = images.labels.astype(np.uint8)
        header = struct.pack(">4BI", 0, 0, 8, 1, len(labels))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())
    return root


def small_study(name: str, trials_per_cell: int = 3) -> Study:
    return Study(
        name=name,
        cells=Grid(dataset="digits", normal_class=[0, 8]),
        detector=TINY,
        search=Search(
            space={"lr": LogUniform(1e-4, 5e-3), "weight_con": LogUniform(10, 250)},
            trials_per_cell=trials_per_cell,
        ),
        scheduler=Asha(max_epochs=4, grace_period=1, reduction_factor=2),
        confirm=Confirm(seeds=2),
    )


def open_store(folder: Path, study: Study) -> StudyStore:
    return StudyStore(open_objects(str(folder)), study.name)


def keys_by_phase(rows: list[TrialRow]) -> dict[str, int]:
    assert len({row.trial_key for row in rows}) == len(rows)
    return dict(Counter(row.phase for row in rows))


def test_a_study_spans_data_sets_of_two_sizes_two_ratios_and_a_weight_as_an_axis(
    tmp_path: Path, data_root: Path
) -> None:
    study = Study(
        name="spans",
        cells=Grid(
            dataset=["digits", "mnist"],
            normal_class=8,
            anomaly_ratio=[0.0, 0.1],
            settings={"weight_adcon": [0.0, 15.0]},
        ),
        detector=TINY,
        search=Search(space={"lr": LogUniform(1e-4, 5e-3)}, trials_per_cell=2),
        scheduler=Asha(max_epochs=2, grace_period=1, reduction_factor=2),
        confirm=Confirm(seeds=1),
        selection=Labelled(num_anomalies=30, val_share=0.25),
    )
    store = open_store(tmp_path, study)

    run_study(study, store, Where(data_root=data_root))

    rows = store.trials()
    assert keys_by_phase(rows) == {"search": 16, "confirm": 8}
    assert {row.cell for row in rows} == {cell.label for cell in study.cells.all_cells}
    assert {json.loads(row.settings)["weight_adcon"] for row in rows} == {0.0, 15.0}
    assert {row.num_fit_anomalies for row in rows} == {0, 9}
    assert {row.num_val_anomalies for row in rows} == {30}
    for row in rows:
        assert (row.test_auroc is not None) == (row.phase == "confirm")
        assert row.state in ("finished", "pruned")
        assert row.seconds > 0
    assert sum(row.epochs for row in rows) == len(store.epochs())
    board = leaderboard(rows, study="spans")
    assert all(cell.num_confirmed == 1 for cell in board.cells)


def test_a_finished_study_runs_nothing_more_and_an_extended_one_the_rest(tmp_path: Path) -> None:
    study = small_study("again", trials_per_cell=2)
    store = open_store(tmp_path, study)
    where = Where(data_root=tmp_path)
    run_study(study, store, where)
    before = {row.trial_key: row.ended_at for row in store.trials()}

    run_study(study, store, where)
    assert {row.trial_key: row.ended_at for row in store.trials()} == before

    extended = replace(study, search=replace(study.search, trials_per_cell=4))
    run_study(extended, store, where)
    after = {row.trial_key: row.ended_at for row in store.trials()}
    assert before.items() <= after.items()
    assert Counter(row.phase for row in store.trials())["search"] == 8


def test_serial_studies_with_equal_seeds_are_equal_bit_for_bit(tmp_path: Path) -> None:
    study = small_study("serial")
    results = []
    for folder in ("one", "two"):
        store = open_store(tmp_path / folder, study)
        run_study(study, store, Where(data_root=tmp_path, max_concurrent_trials=1))
        results.append(
            [
                (row.trial_key, row.params, row.state, row.epochs, row.val_auroc, row.test_auroc)
                for row in store.trials()
            ]
        )
    assert results[0] == results[1]


def killed_once(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
    """Kill the worker in the middle of one trial, the first time."""
    marker = Path(runtime.data_root) / "killed"
    for result in train_trial(spec, runtime):
        if spec.phase == "search" and spec.number == 1 and not marker.exists():
            marker.write_text(spec.key)
            os.kill(os.getpid(), signal.SIGKILL)
        yield result


def test_a_killed_worker_costs_an_attempt_and_no_trial(tmp_path: Path) -> None:
    study = small_study("killed")
    store = open_store(tmp_path / "store", study)

    run_study(study, store, Where(data_root=tmp_path), train=killed_once)

    rows = {row.trial_key: row for row in store.trials()}
    assert keys_by_phase(list(rows.values())) == {"search": 6, "confirm": 4}
    killed = rows[(tmp_path / "killed").read_text()]
    assert killed.attempt == 1
    assert killed.state in ("finished", "pruned")
    assert {row.attempt for row in rows.values() if row is not killed} == {0}


def troubled(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
    """Diverge in one search trial of each cell and crash in another."""
    for result in train_trial(spec, runtime):
        if spec.phase == "search" and spec.number == 0:
            raise TrialDivergedError(f"loss_g is nan at epoch {result.epoch}")
        if spec.phase == "search" and spec.number == 1:
            raise RuntimeError("the disk of this worker is full")
        yield result


def test_diverged_and_failed_trials_are_counted_and_never_confirmed(tmp_path: Path) -> None:
    study = small_study("troubled")
    store = open_store(tmp_path, study)

    run_study(study, store, Where(data_root=tmp_path), train=troubled)

    rows = store.trials()
    assert keys_by_phase(rows) == {"search": 6, "confirm": 4}
    states = Counter(row.state for row in rows if row.phase == "search")
    assert (states["diverged"], states["failed"]) == (2, 2)
    (diverged, _) = (row for row in rows if row.state == "diverged")
    assert diverged.stop_reason == "loss_g is nan at epoch 0"
    (failed, _) = (row for row in rows if row.state == "failed")
    assert "the disk of this worker is full" in failed.error
    assert failed.attempt == 2
    third = {row.params for row in rows if row.phase == "search" and row.number == 2}
    assert {row.params for row in rows if row.phase == "confirm"} == third


def hopeless(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
    """Crash in the first epoch."""
    for result in train_trial(spec, runtime):
        if result.epoch == 0:
            raise RuntimeError(f"no GPU driver for {runtime.device} in trial {spec.number}")
        yield result


def test_workers_that_always_crash_stop_the_study_with_their_last_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agad.study.board._MAX_FAILURES_IN_A_ROW", 3)
    study = small_study("hopeless")
    with pytest.raises(TrialsFailingError, match=r"3 trials in a row .* no GPU driver for cpu"):
        run_study(study, open_store(tmp_path, study), Where(data_root=tmp_path), train=hopeless)
