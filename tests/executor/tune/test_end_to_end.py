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
from PIL import Image

from agad.config import (
    Asha,
    Confirm,
    FixedEpoch,
    Grid,
    LabelFree,
    Labelled,
    LogUniform,
    NoStopping,
    Search,
    Selection,
    Study,
)
from agad.data import (
    PARTS,
    ImportOptions,
    Library,
    Manifest,
    NodeCache,
    import_dataset,
    open_images,
)
from agad.detectors import Agad
from agad.errors import AgadError, ConfigError, DataError, TrialDivergedError, TrialsFailingError
from agad.executor.tune import ClusterOptions, run_study
from agad.executor.tune.worker import TrainTrial
from agad.objects import open_objects
from agad.records import TrialRow
from agad.report import PlannedDetector, leaderboard
from agad.store import StudyStore
from agad.trial import EpochResult, Runtime, TrialSpec, train_trial

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("shared_ray")]

TINY = Agad(base_width=2, discriminator_width=4, batch_size=32, min_batch_anomalies=16)


@pytest.fixture
def mnist_files(
    tmp_path: Path, digits: Manifest, digits_library: Library, session_cache: NodeCache
) -> Path:
    """Four files in MNIST's format that hold scikit-learn's real digits at 28 x 28."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    for part, prefix in zip(PARTS, ("train", "t10k"), strict=True):
        images = open_images(digits, part, store=digits_library.uri, cache=session_cache)
        padded = np.pad(images.pixels[:, 0], ((0, 0), (6, 6), (6, 6)))
        header = struct.pack(">4BIII", 0, 0, 8, 3, *padded.shape)
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(header + padded.tobytes())
        labels = images.labels.astype(np.uint8)
        header = struct.pack(">4BI", 0, 0, 8, 1, len(labels))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of colour photos of 20 pixels: 60 of each of four named classes."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "photos"
    for place, name in enumerate(("good", "bent", "broken part", "scratched")):
        (folder / name).mkdir(parents=True)
        for number in range(60):
            pixels = rng.integers(50 * place, 50 * place + 60, size=(20, 20, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def small_study(
    name: str, trials_per_cell: int = 3, normal_class: int | tuple[int, ...] = 0
) -> Study:
    """A study of two confirmed seeds a cell; each trial costs a worker's start."""
    return Study(
        name=name,
        cells=Grid(dataset="digits", normal_class=normal_class),
        detector=TINY,
        search=Search(
            space={"lr": LogUniform(1e-4, 5e-3), "weight_con": LogUniform(10, 250)},
            trials_per_cell=trials_per_cell,
        ),
        scheduler=Asha(max_epochs=4, grace_period=1, reduction_factor=2),
        confirm=Confirm(seeds=2),
    )


def open_store(options: ClusterOptions, study: Study) -> StudyStore:
    return StudyStore(open_objects(options.store), study.name)


def keys_by_phase(rows: list[TrialRow]) -> dict[str, int]:
    assert len({row.trial_key for row in rows}) == len(rows)
    return dict(Counter(row.phase for row in rows))


@pytest.mark.nightly
def test_a_study_spans_data_sets_of_two_sizes_two_ratios_and_a_weight_as_an_axis(
    options: ClusterOptions, mnist_files: Path
) -> None:
    library = Library(open_objects(options.store))
    mnist = import_dataset("mnist", mnist_files, library, ImportOptions()).manifest
    study = Study(
        name="spans",
        cells=Grid(
            dataset=["digits", "mnist"],
            normal_class=8,
            anomaly_ratio=[0.0, 0.1],
            settings={"weight_adcon": [0.0, 15.0]},
        ),
        detector=TINY,
        search=Search(space={"lr": LogUniform(1e-4, 5e-3)}, trials_per_cell=1),
        scheduler=Asha(max_epochs=2, grace_period=1, reduction_factor=2),
        confirm=Confirm(seeds=1),
        selection=Labelled(num_anomalies=30, val_share=0.25),
    )
    store = open_store(options, study)

    run_study(study, store, options)

    rows = store.trials()
    assert mnist.image_shape == (1, 32, 32)
    assert library.manifest("digits").image_shape == (1, 16, 16)
    assert {path.stem for path in Path(options.cache.folder).glob("*.arrow")} == {
        library.manifest(name).part(part).sha256 for name in ("digits", "mnist") for part in PARTS
    }
    assert keys_by_phase(rows) == {"search": 8, "confirm": 8}
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


@pytest.mark.parametrize(
    "selection",
    [LabelFree(), pytest.param(FixedEpoch(epochs=2), marks=pytest.mark.nightly)],
    ids=["label-free", "fixed-epoch"],
)
def test_a_study_without_labelled_validation_anomalies_is_confirmed(
    options: ClusterOptions, selection: Selection
) -> None:
    lr = Search(space={"lr": LogUniform(1e-4, 5e-3)}, trials_per_cell=2)
    study = Study(
        name="label-free",
        cells=Grid(dataset="digits", normal_class=8, anomaly_ratio=0.1),
        detector=TINY,
        search=lr if selection.searches else Search(),
        scheduler=NoStopping(max_epochs=2),
        confirm=Confirm(seeds=1),
        selection=selection,
    )
    store = open_store(options, study)
    run_study(study, store, options)
    rows = store.trials()
    assert keys_by_phase(rows) == {"confirm": 1} | ({"search": 2} if selection.searches else {})
    assert {(row.selection, row.val_auroc) for row in rows} == {(selection.name(0), None)}
    assert all(row.objective is not None and row.objective < 0 for row in rows)


def tiny_study(name: str, cells: Grid, num_anomalies: int) -> Study:
    """A study of 2 search trials and 1 seed a cell, each of an epoch."""
    return Study(
        name=name,
        cells=cells,
        detector=TINY,
        search=Search(space={"lr": LogUniform(1e-4, 5e-3)}, trials_per_cell=2),
        scheduler=Asha(max_epochs=1, grace_period=1, reduction_factor=2),
        confirm=Confirm(seeds=1),
        selection=Labelled(num_anomalies=num_anomalies),
    )


def test_a_study_of_a_folder_of_photos_leaves_its_named_classes_out(
    options: ClusterOptions, photos: Path
) -> None:
    library = Library(open_objects(options.store))
    import_dataset("photos", photos, library, ImportOptions(image_px=16))
    cells = Grid(
        dataset="photos",
        anomalous_class=["broken part", "good"],
        anomaly_ratio=0.1,
        pollution_ratio=0.05,
    )
    study = tiny_study("left-out", cells, num_anomalies=6)
    store = open_store(options, study)

    run_study(study, store, options)

    rows = store.trials()
    assert keys_by_phase(rows) == {"search": 4, "confirm": 2}
    assert {(row.normal_class, row.anomalous_class) for row in rows} == {(None, 0), (None, 2)}
    assert {(row.num_fit_normals, row.num_fit_hidden, row.num_val_hidden) for row in rows} == {
        (108, 5, 0)
    }
    board = leaderboard(rows, planned=[PlannedDetector(cells=study.cells.all_cells)])
    assert [(one.given_class, one.num_confirmed) for one in board.cells] == [
        ("broken part", 1),
        ("good", 1),
    ]


@pytest.mark.nightly
def test_a_study_of_a_folder_of_photos_labels_some_of_its_named_classes(
    options: ClusterOptions, photos: Path
) -> None:
    library = Library(open_objects(options.store))
    import_dataset("photos", photos, library, ImportOptions(image_px=16))
    cells = Grid(
        dataset="photos",
        normal_class="good",
        anomaly_ratio=0.1,
        labelled_classes=[1, ("bent", "broken part")],
    )
    study = tiny_study("labelled", cells, num_anomalies=6)
    store = open_store(options, study)

    run_study(study, store, options)

    rows = store.trials()
    assert keys_by_phase(rows) == {"search": 4, "confirm": 2}
    assert {row.labelled_classes for row in rows} == {"1", "(bent,broken part)"}
    assert {row.num_fit_anomalies for row in rows} == {4}


@pytest.mark.nightly
def test_a_label_may_be_longer_than_the_name_of_a_file(
    options: ClusterOptions, tmp_path: Path
) -> None:
    names = [f"{'x' * 60}-{number}" for number in range(6)]
    for place, name in enumerate(names):
        (tmp_path / "many" / name).mkdir(parents=True)
        for number in range(12):
            grey = Image.new("L", (16, 16), 40 * place + number)
            grey.save(tmp_path / "many" / name / f"{number}.png")
    library = Library(open_objects(options.store))
    import_dataset("many", tmp_path / "many", library, ImportOptions())
    cells = Grid(dataset="many", normal_class=names[0], labelled_classes=tuple(names[1:5]))
    study = tiny_study("long", cells, num_anomalies=5)
    store = open_store(options, study)

    run_study(study, store, options)

    assert keys_by_phase(store.trials()) == {"search": 2, "confirm": 1}


@pytest.mark.nightly
def test_a_finished_study_runs_nothing_more_and_an_extended_one_the_rest(
    options: ClusterOptions,
) -> None:
    study = small_study("again", trials_per_cell=2)
    store = open_store(options, study)
    run_study(study, store, options)
    before = {row.trial_key: row.ended_at for row in store.trials()}

    run_study(study, store, options)
    assert {row.trial_key: row.ended_at for row in store.trials()} == before

    extended = replace(study, search=replace(study.search, trials_per_cell=4))
    run_study(extended, store, options)
    after = {row.trial_key: row.ended_at for row in store.trials()}
    assert before.items() <= after.items()
    assert Counter(row.phase for row in store.trials())["search"] == 4


@pytest.mark.nightly
def test_serial_studies_with_equal_seeds_are_equal_bit_for_bit(tmp_path: Path) -> None:
    study = small_study("serial", normal_class=(0, 8))
    results = []
    for folder in ("one", "two"):
        options = ClusterOptions(
            store=str(tmp_path / folder),
            cache=NodeCache(folder=str(tmp_path / "cache")),
            max_concurrent_trials=1,
        )
        store = open_store(options, study)
        run_study(study, store, options)
        results.append(
            [
                (row.trial_key, row.params, row.state, row.epochs, row.val_auroc, row.test_auroc)
                for row in store.trials()
            ]
        )
    assert results[0] == results[1]


def killed_once(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
    """Kill the worker in the middle of one trial, the first time."""
    marker = Path(runtime.cache.folder) / "killed"
    for result in train_trial(spec, runtime):
        if spec.phase == "search" and spec.number == 1 and not marker.exists():
            marker.write_text(spec.key)
            os.kill(os.getpid(), signal.SIGKILL)
        yield result


@pytest.mark.nightly
def test_a_killed_worker_costs_an_attempt_and_no_trial(options: ClusterOptions) -> None:
    study = small_study("killed")
    store = open_store(options, study)

    run_study(study, store, options, train=killed_once)

    rows = {row.trial_key: row for row in store.trials()}
    assert keys_by_phase(list(rows.values())) == {"search": 3, "confirm": 2}
    killed = rows[(Path(options.cache.folder) / "killed").read_text()]
    assert killed.attempt == 1
    assert killed.state in ("finished", "pruned")
    assert {row.attempt for row in rows.values() if row is not killed} == {0}


def killed_late(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
    """Kill the worker in the third epoch of the first trial, and note what is restored then."""
    marker = Path(runtime.cache.folder) / "killed"
    for result in train_trial(spec, runtime):
        if spec.phase == "search" and (spec.number, result.epoch) == (0, 2) and not marker.exists():
            marker.write_text(spec.key)
            os.kill(os.getpid(), signal.SIGKILL)
        if result.is_restored:
            note = Path(runtime.cache.folder) / f"restored-{spec.key}-{result.epoch}"
            note.touch()
        yield result


def test_a_killed_trial_goes_on_from_its_checkpoint_and_a_done_cell_keeps_its_winners_alone(
    options: ClusterOptions,
) -> None:
    study = small_study("goes-on")
    store = open_store(options, study)

    # One at a time: the first trial is alone at its rungs, and passes them.
    run_study(study, store, replace(options, max_concurrent_trials=1), train=killed_late)

    rows = {row.trial_key: row for row in store.trials()}
    killed = (Path(options.cache.folder) / "killed").read_text()
    assert (rows[killed].attempt, rows[killed].epochs) == (1, 4)
    epochs = [row.epoch for row in store.epochs() if row.trial_key == killed]
    assert epochs == [0, 1, 2, 3]
    restored = {path.name for path in Path(options.cache.folder).glob("restored-*")}
    assert restored == {f"restored-{killed}-{epoch}" for epoch in (0, 1)}
    objects = open_objects(options.store)
    confirmed = [row.trial_key for row in rows.values() if row.phase == "confirm"]
    first = next(row for row in rows.values() if (row.phase, row.number) == ("confirm", 0))
    assert len(confirmed) == 2
    assert objects.list("goes-on/checkpoints/") == sorted(
        f"goes-on/checkpoints/{key}/4-0.ckpt" for key in confirmed
    )
    assert objects.list("goes-on/scores/") == sorted(
        f"goes-on/scores/{key}/0.parquet" for key in confirmed
    )
    pictures = objects.list("goes-on/pictures/")
    assert len(pictures) == 16
    assert {key.split("/")[2] for key in pictures} == {first.trial_key}
    assert all((row.peak_memory_bytes or 0) > 2**20 for row in rows.values())


@pytest.mark.nightly
def test_development_classes_search_for_all_and_a_killed_group_goes_on(
    options: ClusterOptions,
) -> None:
    study = small_study("develops", normal_class=(0, 3, 8))
    study = replace(study, search=replace(study.search, seeds=2, development_classes=(0, 8)))
    store = open_store(options, study)

    # One at a time: the first trial is alone at its rungs, and passes them.
    run_study(study, store, replace(options, max_concurrent_trials=1), train=killed_late)

    rows = store.trials()
    assert keys_by_phase(rows) == {"search": 3, "confirm": 6}
    searched = [row for row in rows if row.phase == "search"]
    assert {(row.seeds, row.development_classes) for row in searched} == {((0, 1), (0, 8))}
    (killed,) = (row for row in rows if row.attempt)
    assert (killed.phase, killed.epochs) == ("search", 4)
    assert len(list(Path(options.cache.folder).glob(f"restored-{killed.trial_key}-*"))) == 2
    cells = study.cells.all_cells
    searches = [*dict.fromkeys(cell.over(study.search.development) for cell in cells)]
    board = leaderboard(rows, planned=[PlannedDetector(cells=cells, searches=searches)])
    assert [(cell.given_class, cell.num_confirmed) for cell in board.cells] == [
        (0, 2),
        (3, 2),
        (8, 2),
    ]
    assert [one.left_out for one in board.ratios] == [(), (0, 8)]
    before = {row.trial_key for row in rows}
    run_study(study, store, options)
    assert {row.trial_key for row in store.trials()} == before


def troubled(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
    """Diverge in one search trial and crash in another."""
    for result in train_trial(spec, runtime):
        if spec.phase == "search" and spec.number == 0:
            raise TrialDivergedError(f"loss_g is nan at epoch {result.epoch}")
        if spec.phase == "search" and spec.number == 1:
            raise RuntimeError("the disk of this worker is full")
        yield result


@pytest.mark.nightly
def test_diverged_and_failed_trials_are_counted_and_never_confirmed(
    options: ClusterOptions,
) -> None:
    study = small_study("troubled")
    store = open_store(options, study)

    run_study(study, store, options, train=troubled)

    rows = store.trials()
    assert keys_by_phase(rows) == {"search": 3, "confirm": 2}
    (diverged,) = (row for row in rows if row.state == "diverged")
    assert diverged.stop_reason == "loss_g is nan at epoch 0"
    (failed,) = (row for row in rows if row.state == "failed")
    assert "the disk of this worker is full" in failed.error
    assert failed.attempt == 2
    third = {row.params for row in rows if row.phase == "search" and row.number == 2}
    assert {row.params for row in rows if row.phase == "confirm"} == third


def hopeless(spec: TrialSpec, runtime: Runtime) -> Iterator[EpochResult]:
    """Crash in the first epoch."""
    for result in train_trial(spec, runtime):
        if result.epoch == 0:
            raise RuntimeError(f"no GPU driver for {runtime.compute.device} in trial {spec.number}")
        yield result


@pytest.mark.nightly
def test_workers_that_always_crash_stop_the_study_with_their_last_error(
    options: ClusterOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agad.study.crashes.MAX_IN_A_ROW", 3)
    study = small_study("hopeless", normal_class=(0, 8))
    with pytest.raises(TrialsFailingError, match=r"3 trials in a row .* no GPU driver for cpu"):
        run_study(study, open_store(options, study), options, train=hopeless)


def refuses_its_settings(_spec: TrialSpec, _runtime: Runtime) -> Iterator[EpochResult]:
    yield from _refused(ConfigError("--device is cuda, but this machine has no cuda device."))


def refuses_its_data(_spec: TrialSpec, _runtime: Runtime) -> Iterator[EpochResult]:
    yield from _refused(DataError("the part file of digits is truncated."))


def _refused(error: AgadError) -> Iterator[EpochResult]:
    raise error


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("train", "kind", "message"),
    [
        (refuses_its_settings, ConfigError, r"^on the node [\d.]+: --device is cuda, but"),
        (refuses_its_data, DataError, r"^on the node [\d.]+: the part file of digits is trunc"),
    ],
    ids=["settings", "data"],
)
def test_a_workers_refusal_ends_the_study_at_the_first_and_costs_no_attempt(
    options: ClusterOptions,
    caplog: pytest.LogCaptureFixture,
    train: TrainTrial,
    kind: type[AgadError],
    message: str,
) -> None:
    study = small_study("refused")
    for _ in range(4):  # One more than a trial has attempts.
        with pytest.raises(kind, match=message):
            run_study(study, open_store(options, study), options, train=train)
    assert caplog.text == ""
    store = open_store(options, study)
    assert store.trials() == []
    claimed = {(claim.trial_key, claim.attempt) for claim in store.claims()}
    assert claimed
    assert store.released() == claimed
    run_study(study, store, options)
    assert {row.state for row in store.trials()} <= {"finished", "pruned"}
