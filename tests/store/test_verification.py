"""What `agad store verify` finds, and what it lets pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agad.objects import LocalObjects, ObjectStore, TransientError, check_conditional_put
from agad.records import Pause, Winner
from agad.store import StudyStore, compact, study_info, verify

if TYPE_CHECKING:
    from tests.store.conftest import Fill, Interfering, Mortal

Build = Callable[..., Any]

NOW = timedelta(0)
STUDY = "study"


_WINNER = Winner(
    cell="cell 0", num_search_trials=4, num_seeds=1, params={"lr": 0.5}, val_auroc=0.75
)


@pytest.fixture
def whole(tmp_path: Path, fill: Fill, claim: Build, pause: Pause) -> LocalObjects:
    """Return a store with one object of each kind, an extension, and compacted files."""
    objects = LocalObjects(tmp_path)
    store = StudyStore(objects, STUDY)
    store.open({"name": STUDY})
    objects.put_if_absent(f"{STUDY}/study-1.json", b"{}")
    store.put_claim(claim())
    store.put_pause(pause)
    store.release(pause.trial_key, 1)
    store.put_winner(_WINNER)
    fill(objects)
    compact(objects, STUDY, NOW)
    fill(objects, range(4, 5))
    return objects


def test_a_whole_study_has_no_faults(objects: ObjectStore, fill: Fill, claim: Build) -> None:
    store = StudyStore(objects, STUDY)
    store.open({"name": STUDY})
    store.put_claim(claim())
    fill(objects)
    found = verify(objects, STUDY)
    assert (found.objects, found.faults, found.notes) == (2 + 9, (), ())
    compact(objects, STUDY)
    found = verify(objects, STUDY)
    assert (found.objects, found.faults) == (2 + 9 + 4, ())
    assert found.notes == (
        "9 objects compacted already; `agad store compact` removes what is compacted after its "
        "grace period.",
    )
    fill(objects, range(4, 5))
    compact(objects, STUDY, NOW)
    found = verify(objects, STUDY)
    assert (found.objects, found.faults, found.notes) == (2 + 3 + 2, (), ())


def _without_params(data: bytes) -> bytes:
    return json.dumps(json.loads(data) | {"params": None}).encode()


@pytest.mark.parametrize(
    ("part", "damage", "message"),
    [
        ("/compact/epochs", lambda data: data[:-9], "has bytes "),
        ("/compact/epochs", lambda data: data[:40] + b"!" + data[41:], "has sha256 "),
        ("/trials/", lambda data: data[:-9], "cannot be read as a table of TrialRow"),
        ("/0.json", lambda _: b"{", "is no JSON"),
        ("-paused.json", lambda data: data.replace(b"started_at", b"x"), "is no pause (KeyError"),
        ("-released.json", lambda _: b"", "is no JSON"),
        ("/winners/", lambda _: b"{}", "is no winner (KeyError('cell'))"),
        ("/winners/", _without_params, "is no winner (TypeError"),
        ("/study.json", lambda _: b"[]", "holds a list, but must hold a JSON object"),
        ("/study-1.json", lambda data: data[:1], "is no JSON"),
        ("/manifests/1", lambda _: b"{}", "is no manifest"),
    ],
    ids=[
        "truncated",
        "flipped",
        "trial",
        "claim",
        "pause",
        "release",
        "winner",
        "winner-type",
        "configuration",
        "extension",
        "manifest",
    ],
)
def test_a_damaged_object_is_one_fault_that_names_it(
    whole: LocalObjects, part: str, damage: Callable[[bytes], bytes], message: str
) -> None:
    [key] = [key for key in whole.list("study/") if part in key]
    path = Path(whole.uri) / key
    path.write_bytes(damage(path.read_bytes()))
    [fault] = verify(whole, STUDY).faults
    assert f"{key} {message}" in fault
    assert "\n" not in fault


@pytest.mark.parametrize("part", ["/0.json", "/study.json", "/manifests/1.json", "/compact/trials"])
def test_an_outage_is_no_fault(
    whole: LocalObjects, part: str, interfering: type[Interfering]
) -> None:
    def fail() -> None:
        raise TransientError("s3://bucket/key does not answer.")

    [key] = [key for key in whole.list("study/") if part in key]
    with pytest.raises(TransientError, match="does not answer"):
        verify(interfering(whole, key, fail), STUDY)


def test_a_file_that_is_lost_is_a_fault(tmp_path: Path, fill: Fill) -> None:
    objects = LocalObjects(tmp_path)
    fill(objects)
    compact(objects, STUDY, NOW)
    [key] = objects.list(f"{STUDY}/compact/scores")
    objects.delete(key)
    [fault] = verify(objects, STUDY).faults
    assert fault == f"{tmp_path}/{key} does not exist, but must; restore it from a copy."


def test_rows_that_are_there_twice_are_faults(tmp_path: Path, fill: Fill) -> None:
    objects = LocalObjects(tmp_path)
    fill(objects, range(1))
    compact(objects, STUDY, NOW)
    path = tmp_path / f"{STUDY}/manifests/1.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"files": values["files"] * 2}))
    faults = verify(objects, STUDY).faults
    assert len(faults) == 2
    assert all("holds 2 rows of " in fault for fault in faults)


def test_a_manifest_that_says_other_rows_is_a_fault(tmp_path: Path, fill: Fill) -> None:
    objects = LocalObjects(tmp_path)
    fill(objects)
    compact(objects, STUDY, NOW)
    path = tmp_path / f"{STUDY}/manifests/1.json"
    values = json.loads(path.read_text())
    values["files"][0] |= {"rows": 5, "min_cell": "cell"}
    path.write_text(json.dumps(values))
    [fault] = verify(objects, STUDY).faults
    assert "has rows 4 instead of 5, min_cell 'cell 0' instead of 'cell', which manifest 1" in fault


def test_epochs_of_no_trial_are_a_fault_in_a_file_and_a_note_outside(
    tmp_path: Path, fill: Fill, trial_row: Build, epoch_row: Build, mortal: type[Mortal]
) -> None:
    objects = LocalObjects(tmp_path)
    fill(objects, range(2))
    late = {"trial_key": "f" * 32}
    with pytest.raises(SystemExit, match="killed"):
        StudyStore(mortal(objects, 1), STUDY).put(trial_row(**late), [epoch_row(**late)])
    found = verify(objects, STUDY)
    assert found.faults == ()
    [note] = found.notes
    assert note.startswith(f"{STUDY}/epochs/{'f' * 32}/0.parquet has no trial's row")
    compact(objects, STUDY, NOW)
    path = tmp_path / f"{STUDY}/manifests/1.json"
    values = json.loads(path.read_text())
    values["files"] = [file for file in values["files"] if file["table"] != "trials"]
    path.write_text(json.dumps(values))
    faults = verify(objects, STUDY).faults
    assert sum("but no trial's row of it" in fault for fault in faults) == 2


def test_files_of_a_crashed_compaction_are_notes_then_faults_then_removed(
    tmp_path: Path, fill: Fill, mortal: type[Mortal]
) -> None:
    objects = LocalObjects(tmp_path)
    fill(objects)
    check_conditional_put(objects)
    with pytest.raises(SystemExit, match="killed"):
        compact(mortal(objects, 2), STUDY, NOW)
    found = verify(objects, STUDY)
    assert (len(found.faults), len(found.notes)) == (0, 2)
    with pytest.raises(SystemExit, match="killed"):
        compact(mortal(objects, 4), STUDY, NOW)
    assert sum("is in no manifest" in fault for fault in verify(objects, STUDY).faults) == 2
    compact(objects, STUDY, NOW)
    found = verify(objects, STUDY)
    assert (found.faults, found.notes) == ((), ())


def test_info_counts_every_row_once(objects: ObjectStore, fill: Fill, claim: Build) -> None:
    store = StudyStore(objects, STUDY)
    for number in range(6):
        store.put_claim(claim(trial_key=f"{number:032x}"))
    fill(objects)
    compact(objects, STUDY)
    fill(objects, range(4, 5))
    info = study_info(objects, STUDY)
    assert [(one.compacted_rows, one.loose_rows, one.loose_objects) for one in info.tables] == [
        (4, 1, 1),
        (10, 5, 1),
        (3, 0, 0),
        (0, 0, 0),
    ]
    assert (info.objects, info.claims, info.claims_without_rows) == (6 + 9 + 4 + 2, 6, 1)
    assert info.bytes == sum(objects.sizes(f"{STUDY}/").values())
    assert info.compacted_at is not None


def test_info_counts_no_paused_or_released_attempt_as_lost(
    objects: ObjectStore, claim: Build, pause: Pause
) -> None:
    store = StudyStore(objects, STUDY)
    for attempt in range(3):
        store.put_claim(claim(attempt=attempt))
    store.put_pause(pause)
    store.release(pause.trial_key, 1)
    info = study_info(objects, STUDY)
    assert (info.claims, info.claims_without_rows) == (3, 1)
