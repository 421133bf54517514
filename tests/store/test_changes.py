"""Which changes extend a study, and what is said about the others."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from agad.config import Asha, Confirm, Grid, LogUniform, Search, Study
from agad.errors import StudyChangedError
from agad.store.changes import extends

STUDY = Study(
    name="study",
    cells=Grid(
        dataset="digits", normal_class=[0, 1], anomaly_ratio=0.05, settings={"beta1": [0.5, 0.9]}
    ),
    search=Search(space={"lr": LogUniform(1e-5, 1e-3)}, trials_per_cell=8),
)


_EXTENSIONS = {
    "trials": replace(STUDY, search=replace(STUDY.search, trials_per_cell=9)),
    "seeds": replace(STUDY, confirm=Confirm(seeds=4)),
    "dataset": replace(STUDY, cells=replace(STUDY.cells, dataset=["digits", "mnist"])),
    "class": replace(STUDY, cells=replace(STUDY.cells, normal_class=[2, 1, 0])),
    "ratio": replace(STUDY, cells=replace(STUDY.cells, anomaly_ratio=[0.0, 0.05])),
    "settings": replace(STUDY, cells=replace(STUDY.cells, settings={"beta1": [0.9, 0.7, 0.5]})),
    "two-at-once": replace(
        STUDY, confirm=Confirm(seeds=9), cells=replace(STUDY.cells, normal_class=[0, 1, 2])
    ),
}
_CHANGES = [
    (
        replace(STUDY, search=replace(STUDY.search, trials_per_cell=4)),
        "search.trials_per_cell was 8 and is now 4",
    ),
    (replace(STUDY, confirm=Confirm(seeds=1)), "confirm.seeds was 3 and is now 1"),
    (
        replace(STUDY, cells=replace(STUDY.cells, normal_class=[0, 2])),
        "cells.normal_class was [0, 1] and is now [0, 2]",
    ),
    (
        replace(STUDY, cells=replace(STUDY.cells, settings={})),
        "cells.settings.beta1 was [0.5, 0.9] and is now (not set)",
    ),
    (
        replace(
            STUDY, cells=replace(STUDY.cells, settings={"beta1": [0.5, 0.9], "weight_lat": [5]})
        ),
        "cells.settings.weight_lat was (not set) and is now [5]",
    ),
    (
        replace(STUDY, search=replace(STUDY.search, space={"lr": LogUniform(1e-5, 1e-2)})),
        "search.space.lr.high was 0.001 and is now 0.01",
    ),
    (replace(STUDY, seed=1), "seed was 0 and is now 1"),
    (
        replace(STUDY, scheduler=Asha(max_epochs=81, grace_period=9)),
        "scheduler.grace_period was 3 and is now 9; scheduler.max_epochs was 27 and is now 81.",
    ),
    (
        replace(STUDY, seed=2, confirm=Confirm(seeds=5)),
        "and was another one: seed was 0 and is now 2. Choose another study name, or undo",
    ),
]


def _as_kept(study: Study) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(study.as_json()))
    return values


def test_extends_is_false_when_nothing_changed() -> None:
    assert not extends(_as_kept(STUDY), _as_kept(STUDY))


def test_extends_is_false_when_only_the_order_of_an_axis_changed() -> None:
    turned = replace(STUDY, cells=replace(STUDY.cells, normal_class=[1, 0]))
    assert not extends(_as_kept(STUDY), _as_kept(turned))


@pytest.mark.parametrize("wanted", _EXTENSIONS.values(), ids=_EXTENSIONS)
def test_extends_is_true_when_more_is_asked_for(wanted: Study) -> None:
    assert extends(_as_kept(STUDY), _as_kept(wanted))


@pytest.mark.parametrize("wanted", _EXTENSIONS.values(), ids=_EXTENSIONS)
def test_extends_refuses_less_of_anything(wanted: Study) -> None:
    with pytest.raises(StudyChangedError, match=r"was .* and is now"):
        extends(_as_kept(wanted), _as_kept(STUDY))


@pytest.mark.parametrize(("wanted", "text"), _CHANGES, ids=[text for _, text in _CHANGES])
def test_extends_refuses_any_other_change_and_shows_it(wanted: Study, text: str) -> None:
    with pytest.raises(StudyChangedError, match=re.escape(text)):
        extends(_as_kept(STUDY), _as_kept(wanted))


def test_extends_tells_true_from_one() -> None:
    with pytest.raises(StudyChangedError, match=r"flag was 1 and is now true"):
        extends({"flag": 1}, {"flag": True})
