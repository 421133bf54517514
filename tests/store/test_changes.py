"""Which changes extend a study, and what is said about the others."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agad.config import Asha, Budget, Candidate, Confirm, Grid, Labelled, LogUniform, Search, Study
from agad.detectors import Agad, DeepSvdd, Pca
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
    "pollution": replace(STUDY, cells=replace(STUDY.cells, pollution_ratio=[0.1, 0.0])),
    "labelled": replace(STUDY, cells=replace(STUDY.cells, labelled_classes=["all", 1, (3, 5)])),
    "normals": replace(STUDY, cells=replace(STUDY.cells, num_normals=[10, None])),
    "class-by-name": replace(STUDY, cells=replace(STUDY.cells, normal_class=[0, 1, "two"])),
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
        replace(STUDY, cells=replace(STUDY.cells, normal_class=None, anomalous_class=[0, 1])),
        "cells.anomalous_class was null and is now [0, 1]; "
        "cells.normal_class was [0, 1] and is now null.",
    ),
    (
        replace(STUDY, cells=replace(STUDY.cells, pollution_ratio=0.1)),
        "cells.pollution_ratio was [0.0] and is now [0.1]",
    ),
    (
        replace(STUDY, cells=replace(STUDY.cells, labelled_classes=[(3, 5)])),
        'cells.labelled_classes was ["all"] and is now [[3, 5]]',
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


def test_extends_is_false_when_only_the_order_of_the_labelled_classes_axis_changed() -> None:
    one = replace(STUDY, cells=replace(STUDY.cells, labelled_classes=["all", 1, (3, 5)]))
    other = replace(STUDY, cells=replace(STUDY.cells, labelled_classes=[(3, 5), 1, "all"]))
    assert not extends(_as_kept(one), _as_kept(other))


def test_extends_tells_so_many_labelled_classes_from_the_class_of_that_label() -> None:
    one = replace(STUDY, cells=replace(STUDY.cells, labelled_classes=3))
    other = replace(STUDY, cells=replace(STUDY.cells, labelled_classes=(3,)))
    text = "cells.labelled_classes was [3] and is now [[3]]"
    with pytest.raises(StudyChangedError, match=re.escape(text)):
        extends(_as_kept(one), _as_kept(other))


def test_extends_tells_a_class_by_its_label_from_one_by_its_name() -> None:
    named = replace(STUDY, cells=replace(STUDY.cells, normal_class=["0", "1"]))
    text = 'cells.normal_class was [0, 1] and is now ["0", "1"]'
    with pytest.raises(StudyChangedError, match=re.escape(text)):
        extends(_as_kept(STUDY), _as_kept(named))


@pytest.mark.parametrize("axis", ["normal_class", "anomalous_class"])
def test_extends_is_true_for_more_classes_in_either_protocol(axis: str) -> None:
    classes: dict[str, Any] = {"normal_class": None, "anomalous_class": None}
    few = replace(STUDY, cells=replace(STUDY.cells, **classes | {axis: [0, 1]}))
    more = replace(STUDY, cells=replace(STUDY.cells, **classes | {axis: [0, 1, 2]}))
    assert extends(_as_kept(few), _as_kept(more))


def test_extends_takes_the_fingerprint_of_another_data_set_for_more() -> None:
    kept = {"data": {"digits": "ab"}}
    assert extends(kept, {"data": {"digits": "ab", "mnist": "cd"}})


def test_extends_refuses_other_content_under_the_name_of_a_data_set() -> None:
    with pytest.raises(StudyChangedError, match=r'data\.digits was "ab" and is now "cd"'):
        extends({"data": {"digits": "ab"}}, {"data": {"digits": "cd"}})


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


# Fields that one of the two versions does not have yet.


def _without(config: dict[str, Any], path: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(config))
    *sections, name = path.split(".")
    inner = values
    for section in sections:
        inner = inner[section]
    del inner[name]
    return values


_AT_DEFAULT = [
    "seed",
    "selection",
    "selection.val_share",
    "scheduler.reduction_factor",
    "confirm.seeds",
    "search.trials_per_cell",
    "detector.advprop",
    "detector.base_width",
    "cells.pollution_ratio",
    "cells.anomalous_class",
]
_AWAY_FROM_DEFAULT = replace(
    STUDY,
    detector=Agad(advprop=not Agad().advprop, base_width=8),
    selection=Labelled(val_share=0.2),
    seed=3,
)


@pytest.mark.parametrize("path", _AT_DEFAULT)
def test_extends_takes_a_field_that_either_lacks_to_be_at_its_default(path: str) -> None:
    search = Search(space=STUDY.search.space)
    kept = _as_kept(replace(STUDY, search=search))
    assert not extends(_without(kept, path), kept)
    assert not extends(kept, _without(kept, path))


@pytest.mark.parametrize(
    "path", ["seed", "selection", "selection.val_share", "detector.advprop", "detector.base_width"]
)
def test_extends_refuses_another_value_than_the_default_of_a_field_that_either_lacks(
    path: str,
) -> None:
    kept = _as_kept(_AWAY_FROM_DEFAULT)
    for one, other in ((_without(kept, path), kept), (kept, _without(kept, path))):
        with pytest.raises(StudyChangedError, match=rf"one: {re.escape(path)}[.a-z_]* was"):
            extends(one, other)


@pytest.mark.parametrize(
    "path", ["cells.dataset", "search.space", "search.space.lr.low", "name", "detector.version"]
)
def test_extends_refuses_a_field_without_a_default_that_one_lacks(path: str) -> None:
    kept = _as_kept(STUDY)
    with pytest.raises(StudyChangedError, match=rf"{re.escape(path)}[.a-z_]* was \(not set\)"):
        extends(_without(kept, path), kept)


def test_extends_refuses_a_field_that_this_version_does_not_know() -> None:
    kept = _as_kept(STUDY)
    kept["detector"]["of_a_later_version"] = 1
    text = r"detector\.of_a_later_version was 1 and is now \(not set\)"
    with pytest.raises(StudyChangedError, match=text):
        extends(kept, _as_kept(STUDY))


def test_extends_takes_more_values_on_an_axis_that_was_not_kept_for_an_extension() -> None:
    wanted = replace(STUDY, cells=replace(STUDY.cells, pollution_ratio=[0.0, 0.1]))
    kept = _without(_as_kept(STUDY), "cells.pollution_ratio")
    assert extends(kept, _as_kept(wanted))
    other = replace(STUDY, cells=replace(STUDY.cells, pollution_ratio=0.1))
    with pytest.raises(StudyChangedError, match=r"pollution_ratio was 0\.0 and is now \[0\.1\]"):
        extends(kept, _as_kept(other))


def test_extends_tells_true_from_one() -> None:
    with pytest.raises(StudyChangedError, match=r"flag was 1 and is now true"):
        extends({"flag": 1}, {"flag": True})


def _first_version() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the first version kept, and what is kept of the same study today."""
    path = Path(__file__).parent / "data" / "first-version" / "first" / "study.json"
    kept: dict[str, Any] = json.loads(path.read_text())
    today = Study(
        name="first",
        cells=Grid(dataset="digits", normal_class=[0], anomaly_ratio=0.05),
        search=Search(
            space={"lr": LogUniform(1e-4, 1e-2), "weight_lat": LogUniform(1, 10)},
            trials_per_cell=1,
        ),
        confirm=Confirm(seeds=1),
    )
    return kept, _as_kept(today) | {"data": {"digits": "ab"}, "precision": "float32"}


def test_extends_takes_the_same_study_of_the_first_version_for_an_extension() -> None:
    kept, wanted = _first_version()
    kept["detector"]["version"] = wanted["detector"]["version"]
    assert extends(kept, wanted)  # By the fingerprint of its data.
    assert not extends(kept | {"data": wanted["data"]}, wanted)
    with pytest.raises(StudyChangedError, match=r'one: precision was "float32" and is now "bf'):
        extends(kept, wanted | {"precision": "bfloat16"})


def test_extends_refuses_a_study_of_the_first_version_for_its_detector_alone() -> None:
    text = "was another one: detector.version was 1 and is now 2. Choose"
    with pytest.raises(StudyChangedError, match=re.escape(text)):
        extends(*_first_version())


@pytest.mark.parametrize(("kept", "wanted"), [(None, 2), (2, 5), (5, None)])
def test_the_checkpoints_kept_may_change_since_they_decide_no_result(
    kept: int | None, wanted: int | None
) -> None:
    before, after = (replace(STUDY, confirm=Confirm(keep_every=one)) for one in (kept, wanted))
    assert extends(_as_kept(before), _as_kept(after))
    assert not extends(_as_kept(after), _as_kept(after))


@pytest.mark.parametrize(
    ("kept", "wanted"),
    [(Budget(gpu_hours=2), Budget(gpu_hours=2.5)), (Budget(gpu_hours=2, hours=3), Budget(hours=3))],
    ids=["more", "no limit"],
)
def test_more_budget_extends_a_study_and_less_is_refused(kept: Budget, wanted: Budget) -> None:
    less, more = (replace(STUDY, budget=one).as_json() for one in (kept, wanted))
    assert extends(less, more)
    with pytest.raises(StudyChangedError, match=r"budget\.gpu_hours was .* more budget"):
        extends(more, less)


def test_a_study_of_an_earlier_version_had_no_budget() -> None:
    kept = {name: value for name, value in STUDY.as_json().items() if name != "budget"}
    assert not extends(kept, STUDY.as_json())
    with pytest.raises(StudyChangedError, match=r"budget\.hours was null and is now 1"):
        extends(kept, replace(STUDY, budget=Budget(hours=1)).as_json())


# Several detectors.

_PCA, _DEEP = Candidate(Pca(), space={}), Candidate(DeepSvdd(), trials=4)
_ONE = Study(
    name="study",
    cells=Grid(dataset="digits", normal_class=[0, 1], anomaly_ratio=0.05),
    search=Search(space={"lr": LogUniform(1e-5, 1e-3)}, trials_per_cell=8),
)


def _several(*further: Candidate, trials: int = 8, **parts: Any) -> Study:  # noqa: ANN401
    """Return the study of ``_ONE`` with further candidates."""
    first = Candidate(
        _ONE.detector, space=_ONE.search.space, trials=trials, scheduler=_ONE.scheduler
    )
    return Study(name="study", cells=_ONE.cells, detectors=(first, *further), **parts)


def test_further_detectors_extend_a_stored_study_of_one() -> None:
    assert extends(_as_kept(_ONE), _as_kept(_several(_PCA, _DEEP)))


def test_the_same_detector_as_the_only_candidate_is_the_study_that_is_stored() -> None:
    assert not extends(_as_kept(_ONE), _as_kept(_several()))


def test_further_detectors_at_the_end_extend_a_study_of_several() -> None:
    assert extends(_as_kept(_several(_PCA)), _as_kept(_several(_PCA, _DEEP)))
    assert not extends(_as_kept(_several(_PCA)), _as_kept(_several(_PCA)))


def test_more_trials_of_a_candidate_extend_a_study_and_fewer_are_refused() -> None:
    few, more = _several(_PCA, _DEEP), _several(_PCA, replace(_DEEP, trials=6), trials=9)
    assert extends(_as_kept(few), _as_kept(more))
    with pytest.raises(StudyChangedError, match=r"detectors\.0\.trials was 9 and is now 8"):
        extends(_as_kept(more), _as_kept(few))
    assert extends(_as_kept(_ONE), _as_kept(_several(_PCA, trials=9)))


def test_more_seeds_and_classes_extend_a_study_of_several() -> None:
    more = replace(
        _several(_PCA),
        confirm=Confirm(seeds=5),
        cells=replace(_ONE.cells, normal_class=[0, 1, 2]),
    )
    assert extends(_as_kept(_several(_PCA)), _as_kept(more))
    assert extends(_as_kept(_ONE), _as_kept(more))


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (_several(_DEEP, _PCA), 'detectors.1.detector.name was "pca" and is now "deep-svdd"'),
        (
            _several(Candidate(Pca(variance=0.5), space={}), _DEEP),
            "detectors.1.detector.variance was 0.9 and is now 0.5",
        ),
        (_several(_PCA), "and is now (not set)"),
        (
            _several(_PCA, replace(_DEEP, scheduler=Asha(max_epochs=81))),
            "detectors.2.scheduler.max_epochs was 27 and is now 81",
        ),
        (
            _several(_PCA, replace(_DEEP, space={"lr": LogUniform(1e-5, 1e-2)})),
            "detectors.2.space.lr.high was 0.001 and is now 0.01",
        ),
        (
            _several(Candidate(Pca()), _DEEP),
            "detectors.1.space.variance was (not set) and is now",
        ),
        (_several(_PCA, _DEEP, seed=1), "seed was 0 and is now 1"),
    ],
    ids=["order", "parameter", "fewer", "scheduler", "space", "searched", "seed"],
)
def test_any_other_change_of_a_study_of_several_is_refused(wanted: Study, text: str) -> None:
    with pytest.raises(StudyChangedError, match=re.escape(text)):
        extends(_as_kept(_several(_PCA, _DEEP)), _as_kept(wanted))


def test_a_detector_before_the_stored_one_is_refused() -> None:
    wanted = Study(name="study", cells=_ONE.cells, detectors=(_PCA, *_several().detectors))
    with pytest.raises(StudyChangedError, match=r'detectors\.0\.detector\.name was "agad" and is'):
        extends(_as_kept(_ONE), _as_kept(wanted))


def test_a_study_of_one_detector_is_no_extension_of_one_of_several() -> None:
    with pytest.raises(StudyChangedError, match=r"detectors.* was .* and is now"):
        extends(_as_kept(_several(_PCA)), _as_kept(_ONE))


def test_the_search_of_the_first_candidate_may_not_differ_from_the_stored_one() -> None:
    other = Candidate(_ONE.detector, space={"lr": LogUniform(1e-5, 1)}, scheduler=_ONE.scheduler)
    wanted = Study(name="study", cells=_ONE.cells, detectors=(other, _PCA))
    with pytest.raises(StudyChangedError, match=r"detectors\.0\.space\.lr\.high was 0\.001 and is"):
        extends(_as_kept(_ONE), _as_kept(wanted))


def test_more_label_budgets_extend_a_study_and_other_budgets_do_not() -> None:
    budgets = [
        replace(STUDY, cells=replace(STUDY.cells, anomaly_ratio=0, labels=labels))
        for labels in ([5, 10], [0, 10, 5], [10])
    ]
    kept, more, fewer = (json.loads(json.dumps(study.as_json())) for study in budgets)
    assert extends(kept, more)
    with pytest.raises(StudyChangedError, match=r"cells\.labels was \[5, 10\] and is now \[10\]"):
        extends(kept, fewer)
    with pytest.raises(StudyChangedError, match=r"cells\.labels was null and is now \[5, 10\]"):
        extends(json.loads(json.dumps(STUDY.as_json())), kept)
