"""A writer or a compaction that ends at any step, also by SIGKILL, loses and doubles no row."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agad.objects import LocalObjects, ObjectStore
from agad.store import StudyReader, StudyStore, compact, verify

if TYPE_CHECKING:
    from tests.store.conftest import Fill, Mortal, Rows

Build = Callable[..., Any]

NOW = timedelta(0)
STUDY = "study"

KILLED_COMPACTIONS = """
import sys
from datetime import timedelta
from agad.objects import open_objects
from agad.store import compact

print("ready", flush=True)
while True:
    compact(open_objects(sys.argv[1]), "study", timedelta(0))
"""


def _read(objects: ObjectStore) -> Rows:
    reader = StudyReader(objects, STUDY)
    return reader.trials(), reader.epochs(), reader.scores()


def _is_clean(objects: ObjectStore) -> bool:
    """Whether a compaction has left its files, and nothing else of the rows."""
    found = verify(objects, STUDY)
    others = [
        key for kind in ("trials", "epochs", "scores") for key in objects.list(f"{STUDY}/{kind}/")
    ]
    return not found.faults and not found.notes and not others


def _deaths(
    tmp_path: Path,
    mortal: type[Mortal],
    prepare: Callable[[ObjectStore], object],
    act: Callable[[ObjectStore], object],
) -> Iterator[ObjectStore]:
    """Yield a store for each change at which an act can die, and one where it did not."""
    for lives in range(1_000):
        objects = LocalObjects(tmp_path / str(lives))
        prepare(objects)
        dying = mortal(objects, lives)
        with suppress(SystemExit):
            act(dying)
        yield objects
        if dying.changes < lives:
            return


def test_a_writer_that_dies_at_any_step_leaves_all_of_a_trial_or_nothing(
    tmp_path: Path, mortal: type[Mortal], trial_row: Build, epoch_row: Build, score_row: Build
) -> None:
    rows: Rows = ([trial_row()], [epoch_row(), epoch_row(epoch=1)], [score_row()])

    def put(objects: ObjectStore) -> None:
        StudyStore(objects, STUDY).put(rows[0][0], rows[1], rows[2])

    found = []
    for objects in _deaths(tmp_path, mortal, lambda _: None, put):
        found.append(_read(objects))
        assert not verify(objects, STUDY).faults
        put(objects)
        assert _read(objects) == rows
        compact(objects, STUDY, NOW)
        assert _read(objects) == rows
        assert _is_clean(objects)
    nothing: Rows = ([], [], [])
    assert found == [nothing, nothing, nothing, rows, rows]


def test_a_compaction_that_dies_at_any_step_loses_and_doubles_no_row(
    tmp_path: Path, mortal: type[Mortal], fill: Fill
) -> None:
    rows: list[Rows] = []
    deaths = 0
    for objects in _deaths(
        tmp_path,
        mortal,
        lambda objects: rows.append(fill(objects, range(2, 4))),
        lambda objects: compact(objects, STUDY, NOW),
    ):
        deaths += 1
        assert _read(objects) == rows[-1]
        compact(objects, STUDY, NOW)
        assert _read(objects) == rows[-1]
        assert _is_clean(objects)
    # Three files, a manifest and five sources; then one more change, which never came.
    assert deaths == 3 + 1 + 5 + 2


def test_a_second_compaction_that_dies_at_any_step_loses_and_doubles_no_row(
    tmp_path: Path, mortal: type[Mortal], fill: Fill, joined: Build
) -> None:
    wanted: list[Rows] = []

    def prepare(objects: ObjectStore) -> None:
        before = fill(objects, range(2, 4))
        compact(objects, STUDY)
        after = fill(objects, range(4, 5))
        wanted.append(joined(before, after))

    deaths = 0
    for objects in _deaths(tmp_path, mortal, prepare, lambda one: compact(one, STUDY, NOW)):
        deaths += 1
        assert _read(objects) == wanted[-1]
        compact(objects, STUDY, NOW)
        assert _read(objects) == wanted[-1]
        assert _is_clean(objects)
    assert deaths == 3 + 1 + 3 + 5 + 2 + 2


@pytest.mark.slow
def test_a_compaction_that_is_killed_while_trials_are_put_loses_and_doubles_no_row(
    tmp_path: Path, fill: Fill
) -> None:
    objects = LocalObjects(tmp_path / "store")
    rng = random.Random(0)
    num_trials = 0
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED_COMPACTIONS, objects.uri], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        end = time.monotonic() + rng.uniform(0.1, 0.6)
        while time.monotonic() < end:
            fill(objects, range(num_trials, num_trials + 1))
            num_trials += 1
            assert len(StudyReader(objects, STUDY).trials()) == num_trials
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        trials, epochs, _ = _read(objects)
        assert sorted(row.number for row in trials) == [*range(num_trials)]
        assert len({(row.trial_key, row.epoch) for row in epochs}) == len(epochs)
        assert len(epochs) == num_trials * (num_trials + 1) // 2
    compact(objects, STUDY, NOW)
    assert _is_clean(objects)
    assert len(_read(objects)[0]) == num_trials
