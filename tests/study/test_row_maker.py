"""The rows of an ended trial: what they say of its cell, its split and its results."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pytest

from agad.config import Grid, Labelled
from agad.data import Manifest
from agad.records import Phase, TrialRow
from agad.records.provenance import Provenance
from agad.study.cell import CellRun
from agad.study.row_maker import RowMaker
from agad.study.running import Launch, Progress, Running
from agad.trial import EpochResult, TestResult

if TYPE_CHECKING:
    from tests.simulation import MakeStudy

RowOf: TypeAlias = Callable[..., TrialRow]

PROVENANCE = Provenance(commit="0123abcd", is_dirty=True, versions='{"torch": "2"}')
MAKER = RowMaker(study="a-study", provenance=PROVENANCE)
FIRST = EpochResult(epoch=0, objective=0.5, val_auroc=0.5, train_s=1.0, losses={"con": 0.25})
LAST = EpochResult(
    epoch=1,
    objective=0.75,
    val_auroc=0.75,
    train_s=1.0,
    test=TestResult(
        auroc=0.625,
        average_precision=0.875,
        scores=np.array([0.1, 7.5, 3.0], np.float32),
        labels=np.array([0, 3, 0], np.int32),
    ),
)


@pytest.fixture
def running_of(make_study: MakeStudy, cell_data_of: Callable[..., Any]) -> Callable[..., Running]:
    """Build a trial of a study of one cell, with the results of two epochs."""

    def build(phase: Phase = "confirm", **axes: Any) -> Running:  # noqa: ANN401
        study = make_study(
            cells=Grid(dataset="digits", **axes), selection=Labelled(num_anomalies=20)
        )
        (cell_data,) = cell_data_of(study).values()
        spec = cell_data.spec(phase, 1, {"weight_lat": 2.0, "weight_con": 12.0})
        cell = CellRun(cell_data)
        running = Running(Launch(spec=spec, attempt=2), cell, datetime.now(UTC))
        running.take(
            Progress(
                epochs=(FIRST, LAST),
                seconds=8.0,
                gpu_s=4.0,
                hardware="a processor",
                peak_memory_bytes=900,
                peak_gpu_memory_bytes=70,
            )
        )
        return running

    return build


@pytest.fixture
def row_of(running_of: Callable[..., Running]) -> RowOf:
    """Return the row of a finished confirm trial of a cell with some axes."""
    return lambda **axes: MAKER.trial_row(running_of(**axes), "finished", "")


def test_a_row_of_a_one_class_cell_has_its_normal_class(row_of: RowOf) -> None:
    row = row_of(normal_class="8", anomaly_ratio=0.1)
    assert (row.protocol, row.normal_class, row.anomalous_class) == ("one-class", 8, None)
    assert (row.cell, row.dataset) == ("digits class=8 ratio=0.1", "digits")
    assert (row.anomaly_ratio, row.pollution_ratio) == (0.1, 0.0)
    assert (row.labelled_classes, row.settings) == ("all", "{}")


def test_a_row_of_a_leave_one_out_cell_has_its_anomalous_class(row_of: RowOf) -> None:
    row = row_of(anomalous_class=0, anomaly_ratio=0.01)
    assert (row.protocol, row.normal_class, row.anomalous_class) == ("leave-one-out", None, 0)
    assert row.cell == "digits class=0 ratio=0.01 leave-one-out"


@pytest.mark.parametrize(
    ("labelled", "text"), [("all", "all"), (2, "2"), ((3, "5"), "(3,5)")], ids=repr
)
def test_a_row_says_which_classes_are_labelled(row_of: RowOf, labelled: Any, text: str) -> None:  # noqa: ANN401
    row = row_of(normal_class=0, anomaly_ratio=0.1, labelled_classes=labelled)
    assert row.labelled_classes == text


def test_a_row_counts_every_part_of_its_split(row_of: RowOf) -> None:
    row = row_of(normal_class=0, anomaly_ratio=0.1, pollution_ratio=0.2)
    # Class 0 has 119 training images, of which 12 validate; a fifth beside them is hidden, and a
    # ninth of the 133 unlabelled ones comes to them as labelled anomalies.
    assert (row.num_fit_normals, row.num_fit_hidden, row.num_fit_anomalies) == (107, 26, 14)
    assert (row.num_val_normals, row.num_val_hidden, row.num_val_anomalies) == (12, 3, 20)
    assert (row.pollution_ratio, row.selection) == (0.2, "labelled(20)")


def test_a_leave_one_out_row_counts_the_normals_of_all_classes(
    row_of: RowOf, digits: Manifest
) -> None:
    row = row_of(anomalous_class=0, anomaly_ratio=0.01)
    num_normals = digits.train.num_images - digits.train.class_counts[0]
    assert row.num_fit_normals + row.num_val_normals == num_normals
    assert row.num_fit_anomalies == row.num_fit_normals // 99


def test_a_row_names_what_made_it(row_of: RowOf, digits: Manifest) -> None:
    row = row_of(normal_class=0, settings={"backbone": ["unet++"]})
    assert row.data_fingerprint == digits.fingerprint
    assert (row.commit, row.is_dirty, row.versions) == ("0123abcd", True, '{"torch": "2"}')
    assert json.loads(row.settings) == {"backbone": "unet++"}
    assert row.params == '{"weight_con": 12.0, "weight_lat": 2.0}'
    assert (row.detector, row.detector_version, row.hardware) == ("agad", 2, "a processor")
    assert (row.seeds, row.phase, row.number, row.attempt) == ((2,), "confirm", 1, 2)


def test_a_row_has_the_scores_of_the_last_epoch(row_of: RowOf) -> None:
    row = row_of(normal_class=0)
    assert (row.val_auroc, row.test_auroc, row.test_average_precision) == (0.75, 0.625, 0.875)
    assert (row.epochs, row.max_epochs, row.seconds, row.gpu_s) == (2, 9, 8.0, 4.0)


def test_the_key_of_a_row_is_its_trials(running_of: Callable[..., Running]) -> None:
    maker = RowMaker(study="a-study", provenance=PROVENANCE)
    running = running_of(phase="search", normal_class=0)
    row = maker.trial_row(running, "pruned", "")
    assert row.trial_key == running.launch.spec.key
    assert (row.state, row.seeds) == ("pruned", (0,))


def test_epoch_rows_are_of_the_trial_in_order(running_of: Callable[..., Running]) -> None:
    maker = RowMaker(study="a-study", provenance=PROVENANCE)
    running = running_of(anomalous_class=0)
    rows = maker.epoch_rows(running)
    assert [(row.epoch, row.val_auroc) for row in rows] == [(0, 0.5), (1, 0.75)]
    assert {(row.trial_key, row.attempt) for row in rows} == {(running.launch.spec.key, 2)}
    assert {row.cell for row in rows} == {"digits class=0 ratio=0 leave-one-out"}
    assert rows[0].losses == {"con": 0.25}


def test_a_row_has_the_peak_memory_of_its_trial(row_of: RowOf) -> None:
    row = row_of(normal_class=0)
    assert (row.peak_memory_bytes, row.peak_gpu_memory_bytes) == (900, 70)


@pytest.mark.parametrize(
    ("axes", "anomalies"),
    [({"normal_class": 0}, [False, True, False]), ({"anomalous_class": 0}, [True, False, True])],
    ids=["one-class", "leave-one-out"],
)
def test_score_rows_are_of_every_test_image_in_order(
    running_of: Callable[..., Running], axes: dict[str, int], anomalies: list[bool]
) -> None:
    running = running_of(**axes)
    rows = RowMaker(study="a-study", provenance=PROVENANCE).score_rows(running)
    assert [(row.image, row.label, row.is_anomaly) for row in rows] == [
        *zip(range(3), [0, 3, 0], anomalies, strict=True)
    ]
    # The very numbers that the AUROC was taken of, which are of 32 bits.
    assert [row.score for row in rows] == [float(np.float32(0.1)), 7.5, 3.0]
    assert {(row.trial_key, row.attempt) for row in rows} == {(running.launch.spec.key, 2)}
    assert {(row.study, row.cell) for row in rows} == {("a-study", running.launch.spec.cell.label)}


def test_a_trial_that_scored_no_test_image_has_no_score_rows(
    running_of: Callable[..., Running],
) -> None:
    running = running_of(normal_class=0)
    running.epochs[1] = replace(LAST, test=None)
    maker = RowMaker(study="a-study", provenance=PROVENANCE)
    assert maker.score_rows(running) == []
    running.epochs.clear()
    assert maker.score_rows(running) == []


def _pretrained(running: Running, *, is_restored: bool) -> Running:
    epochs = (replace(FIRST, pretrain_s=3.0, is_restored=is_restored), LAST)
    running.take(replace(running.last, epochs=epochs))
    return running


def test_a_row_has_the_seconds_before_its_first_epoch(
    running_of: Callable[..., Running],
) -> None:
    running = _pretrained(running_of(normal_class=0), is_restored=False)
    assert MAKER.trial_row(running, "finished", "").pretrain_s == 3.0


def test_a_test_trials_row_leaves_the_pretraining_to_its_confirm_trials_row(
    running_of: Callable[..., Running],
) -> None:
    running = _pretrained(running_of("test", normal_class=0), is_restored=True)
    assert MAKER.trial_row(running, "finished", "").pretrain_s == 0.0


def test_a_trial_that_was_paused_keeps_the_seconds_before_its_first_epoch(
    running_of: Callable[..., Running],
) -> None:
    running = _pretrained(running_of("search", normal_class=0), is_restored=False)
    pause = MAKER.pause(running)
    later = Running.paused(running.launch.spec, running.cell, pause)
    assert MAKER.trial_row(later, "pruned", "").pretrain_s == pause.pretrain_s == 3.0


def test_a_row_says_on_how_many_normals_its_cell_fits(row_of: RowOf) -> None:
    row = row_of(normal_class=0, num_normals=20)
    assert (row.num_normals, row.num_fit_normals) == (20, 20)
    assert row.cell == "digits class=0 ratio=0 normals=20"
    assert row_of(normal_class=0).num_normals is None


def test_a_row_counts_the_labels_of_its_cell_and_of_the_test_split(
    row_of: RowOf, digits: Manifest
) -> None:
    row = row_of(normal_class=0, anomaly_ratio=0.1)
    assert (row.label_budget, row.num_val_anomalies, row.num_fit_anomalies) == (None, 20, 11)
    # Three seeds, a search and two to confirm, draw 31 each.
    assert row.num_labelled is not None
    assert 31 < row.num_labelled <= 93
    assert row.num_test_anomalies == digits.test.num_images - digits.test.class_counts[0]
