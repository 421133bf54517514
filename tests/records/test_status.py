"""The live status as JSON: what was written is read, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from agad.records import Bulletin, CellStatus, StudyStatus

CELL = CellStatus(
    label="digits class=0 ratio=0",
    phase="search",
    planned=12,
    running=2,
    paused=1,
    finished=1,
    pruned=3,
    diverged=0,
    failed=0,
    best_objective=0.9,
    confirmed=0,
    confirm_planned=3,
    num_val_anomalies=30,
    num_fit_anomalies=4,
    epochs=40,
    seconds=80.0,
    gpu_s=20.0,
    left_s=120.0,
)
STATUS = StudyStatus(study="a-study", cells=(CELL, CELL), elapsed_s=41.2, slots=4)
BULLETIN = Bulletin(
    status=STATUS,
    state="running",
    reason="",
    host="a-host",
    pid=12,
    at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
)


def _as_read(bulletin: Bulletin) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(bulletin.as_json(), allow_nan=False))
    return values


def test_a_bulletin_is_read_as_it_was_written() -> None:
    assert Bulletin.from_json(_as_read(BULLETIN)) == BULLETIN


def test_a_bulletin_with_fields_of_a_later_version_is_read_without_them() -> None:
    values = _as_read(BULLETIN) | {"more": 1}
    values["status"]["cells"][0]["more"] = [1]
    assert Bulletin.from_json(values) == BULLETIN


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("version",), 2, "version is 2, but must be 1; upgrade agad"),
        (("at",), "yesterday", "yesterday"),
        (("at",), "2026-01-02T03:04:05", "must be a time with its offset"),
        (("state",), "asleep", "state is 'asleep', but must be"),
        (("pid",), True, "pid is True, but must be: int"),
        (("status",), None, "status must be an object"),
        (("status", "cells"), {}, "status.cells must be a list"),
        (("status", "elapsed_s"), float("nan"), "elapsed_s is nan"),
        (("status", "cells", 0, "planned"), -1, "planned is -1"),
        (("status", "cells", 0, "label"), 3, "label is 3, but must be: str"),
        (("status", "cells", 0, "phase"), "x", "phase is 'x'"),
        (("status", "cells", 0, "best_objective"), "0.9", "best_objective is '0.9'"),
    ],
)
def test_a_bulletin_that_is_damaged_is_refused(
    path: tuple[Any, ...], value: object, message: str
) -> None:
    values: Any = _as_read(BULLETIN)
    inner = values
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(ValueError, match=message):
        Bulletin.from_json(values)


def test_a_bulletin_without_a_field_is_refused() -> None:
    values = _as_read(BULLETIN)
    del values["status"]["cells"][0]["pruned"]
    with pytest.raises(ValueError, match="pruned is missing"):
        Bulletin.from_json(values)


def test_the_time_left_is_that_of_all_cells_over_all_slots() -> None:
    assert STATUS.left_s == 60.0
    assert STATUS.cell_left_s(CELL) == 60.0


def test_the_time_left_is_not_known_before_it_is_of_every_cell_and_of_the_cluster() -> None:
    unknown = replace(CELL, left_s=None)
    assert replace(STATUS, cells=(CELL, unknown)).left_s is None
    assert replace(STATUS, slots=0).left_s is None
    assert replace(STATUS, slots=0).cell_left_s(CELL) is None
