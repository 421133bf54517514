"""The table of diagnostics: kept once, read, verified and listed, and never merged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import agad
from agad.errors import StoreError
from agad.objects import ObjectStore
from agad.records import DiagnosticRow
from agad.store import StudyReader, StudyStore, compact, study_info, table_files, verify

if TYPE_CHECKING:
    from tests.store.conftest import Fill

Build = Callable[..., Any]

STUDY = "study"
CONFIRMED = f"{3:032x}"
"""The confirm trial among those that ``fill`` puts."""

ROW = DiagnosticRow(
    study=STUDY,
    cell="cell 1",
    phase="confirm",
    trial_key=CONFIRMED,
    attempt=0,
    number=3,
    detector="agad",
    detector_version=2,
    dataset="digits",
    params='{"lr": 0.0002}',
    seeds=(1, 2**62),
    kept_epochs=(1, 3, 4),
    kept_test_aurocs=(0.1 + 0.2, 1 / 3, 0.25),
    reported_test_auroc=0.25,
    oracle_best_epoch=3,
    oracle_best_epoch_test_auroc=1 / 3,
    optimism_gap=1 / 3 - 0.25,
    bn_batchstats_ordered_test_auroc=0.99,
    bn_batchstats_shuffled_test_auroc=None,
    commit="",
    is_dirty=True,
    versions="{}",
    hardware="a processor",
    diagnosed_at=datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC),
)


@pytest.fixture
def store(objects: ObjectStore, fill: Fill) -> StudyStore:
    """Return a study with trials, one of them confirmed and diagnosed."""
    store = StudyStore(objects, STUDY)
    store.open({"name": STUDY})
    fill(objects)
    store.put_diagnostics(ROW)
    return store


def test_a_row_is_read_as_it_was_put_and_the_first_stays(store: StudyStore) -> None:
    store.put_diagnostics(replace(ROW, reported_test_auroc=0.5))
    assert store.diagnostics() == [ROW]


def test_agad_read_has_the_table_in_order_of_cell(store: StudyStore, objects: ObjectStore) -> None:
    store.put_diagnostics(replace(ROW, cell="cell 0", trial_key="f" * 32))
    found = agad.read(objects.uri, "diagnostics", columns=["cell", "optimism_gap"])
    assert found.to_pydict() == {
        "cell": ["cell 0", "cell 1"],
        "optimism_gap": [ROW.optimism_gap] * 2,
    }
    of_one = agad.read(objects.uri, "diagnostics", cells=["cell 1"])
    assert of_one["kept_test_aurocs"].to_pylist() == [[*ROW.kept_test_aurocs]]


def test_a_study_without_a_pass_has_an_empty_table(objects: ObjectStore) -> None:
    StudyStore(objects, STUDY).open({"name": STUDY})
    assert agad.read(objects.uri, "diagnostics").num_rows == 0
    assert StudyReader(objects, STUDY).diagnostics() == []


def test_no_other_table_holds_a_row_of_it(store: StudyStore) -> None:
    assert [row.test_auroc for row in store.trials() if row.trial_key == CONFIRMED] == [None]
    assert len(store.trials()) == 4


def test_a_compaction_leaves_it_where_it_is(store: StudyStore, objects: ObjectStore) -> None:
    for _ in range(2):
        compact(objects, STUDY, timedelta(0))
        assert objects.list(f"{STUDY}/diagnostics/") == [
            f"{STUDY}/diagnostics/{CONFIRMED}/0.parquet"
        ]
        assert store.diagnostics() == [ROW]
        assert verify(objects, STUDY).faults == verify(objects, STUDY).notes == ()


def test_a_trial_that_is_merged_can_still_be_diagnosed(objects: ObjectStore, fill: Fill) -> None:
    store = StudyStore(objects, STUDY)
    store.open({"name": STUDY})
    fill(objects)
    compact(objects, STUDY, timedelta(0))
    store.put_diagnostics(ROW)
    compact(objects, STUDY, timedelta(0))
    assert store.diagnostics() == [ROW]
    assert verify(objects, STUDY).faults == ()


def test_its_files_are_listed_and_counted(store: StudyStore, objects: ObjectStore) -> None:
    del store
    key = f"{STUDY}/diagnostics/{CONFIRMED}/0.parquet"
    assert table_files(objects, STUDY, "diagnostics") == [f"{objects.uri}/{key}"]
    info = study_info(objects, STUDY).tables[-1]
    assert (info.table, info.loose_rows, info.loose_bytes) == (
        "diagnostics",
        1,
        objects.sizes(key)[key],
    )


def test_a_damaged_row_is_one_fault_that_says_how_to_mend_it(
    store: StudyStore, objects: ObjectStore
) -> None:
    key = f"{STUDY}/diagnostics/{CONFIRMED}/0.parquet"
    data = objects.get(key)
    objects.delete(key)
    objects.put_if_absent(key, data[:-9])
    (fault,) = verify(objects, STUDY).faults
    assert key in fault
    assert "remove it to diagnose the trial again" in fault
    with pytest.raises(StoreError, match="remove it to diagnose the trial again"):
        store.diagnostics()


def test_diagnostics_of_no_trial_are_a_fault(store: StudyStore, objects: ObjectStore) -> None:
    store.put_diagnostics(replace(ROW, trial_key="f" * 32))
    (fault,) = verify(objects, STUDY).faults
    assert f"holds diagnostics of attempt 0 of {'f' * 32}, but no trial's row of it" in fault
