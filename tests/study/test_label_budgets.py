"""A label budget is one pool: no seed, phase or detector of a study uses another labelled image."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from agad.config import (
    Candidate,
    Confirm,
    FixedEpoch,
    Grid,
    LabelFree,
    Labelled,
    Search,
    Study,
    Uniform,
)
from agad.data import Library, Manifest, NodeCache, draw_split, open_images
from agad.detectors import Agad, Knn, KnnProbe, Pca, Probe
from agad.errors import ConfigError
from agad.records import TrialRow
from agad.study import plan_study
from agad.study.cell_data import CellData
from agad.trial import TrialSpec
from tests.simulation import by_weight

if TYPE_CHECKING:
    from tests.simulation import ListMemory, MakeSimulation

CellsOf: TypeAlias = Callable[[Study], dict[str, CellData]]
TINY = Agad(base_width=4, discriminator_width=4, batch_size=32, min_batch_anomalies=16)
DETECTORS = (
    Candidate(Knn()),
    Candidate(Probe()),
    Candidate(KnnProbe(), space={}),
    Candidate(TINY, space={"lr": Uniform(1e-4, 1e-3)}),
    Candidate(Pca(), space={}),
)


def _study(**changes: Any) -> Study:  # noqa: ANN401
    values: dict[str, Any] = {
        "name": "labels",
        "cells": Grid(dataset="digits", normal_class=[0, 8], labels=[0, 5, 30]),
        "detectors": DETECTORS,
        "search": Search(trials_per_cell=4, seeds=2),
        "confirm": Confirm(seeds=20),
        "seed": 3,
    }
    return Study(**(values | changes))


@pytest.fixture(scope="module")
def labels(digits: Manifest, digits_library: Library, session_cache: NodeCache) -> NDArray[Any]:
    """The labels of the digits' training images, in the order in which they are stored."""
    return open_images(digits, "train", store=digits_library.uri, cache=session_cache).labels


def _specs(cell: CellData) -> list[TrialSpec]:
    """Return a trial of every seed and phase of a cell, each instance as a trial of its own."""
    params = cell.middle_spec().params
    specs = [one.spec("confirm", n, params) for one in cell.confirmed for n in range(20)]
    if cell.study.num_search_trials:
        specs += cell.search_spec(0, params).instances
    return specs


def _used(spec: TrialSpec, labels: NDArray[Any]) -> set[int]:
    """Return the labelled anomalies that a trial fits on and validates on."""
    split = draw_split(labels, spec.task, spec.seed)
    fits = spec.detector.supervision.labels != "unused"
    return {*split.val_anomalies.tolist(), *(split.fit_anomalies.tolist() if fits else ())}


def _used_by_all(cells: Iterable[CellData], labels: NDArray[Any]) -> dict[Any, set[int]]:
    """Return the labelled anomalies of all trials, by class and budget."""
    used: dict[Any, set[int]] = defaultdict(set)
    for cell in cells:
        for spec in _specs(cell):
            used[spec.given_label, spec.cell.labels] |= _used(spec, labels)
    return used


@pytest.mark.parametrize(
    "selection", [Labelled(), LabelFree(), FixedEpoch(epochs=1)], ids=["labelled", "free", "fixed"]
)
@pytest.mark.parametrize("axes", [{}, {"labelled_classes": 1}, {"pollution_ratio": 0.1}], ids=str)
def test_all_trials_of_all_detectors_use_one_pool(
    axes: dict[str, Any],
    selection: Labelled | LabelFree | FixedEpoch,
    labels: NDArray[Any],
    cell_data_of: CellsOf,
) -> None:
    grid = Grid(dataset="digits", normal_class=[0, 8], labels=[0, 5, 30], **axes)
    is_fixed = isinstance(selection, FixedEpoch)
    detectors = [replace(one, space={}) for one in DETECTORS[:3]] if is_fixed else DETECTORS
    study = _study(cells=grid, selection=selection, detectors=detectors)
    used = _used_by_all(cell_data_of(study).values(), labels)
    assert {place: len(images) for place, images in used.items()} == {
        (0, 0): 0,
        (0, 5): 5,
        (0, 30): 30,
        (8, 0): 0,
        (8, 5): 5,
        (8, 30): 30,
    }
    assert used[0, 5] < used[0, 30]
    assert used[8, 5] < used[8, 30]


def test_a_search_on_development_classes_uses_the_pools_of_its_classes(
    labels: NDArray[Any], cell_data_of: CellsOf
) -> None:
    search = Search(trials_per_cell=4, seeds=2, development_classes=(0,))
    used = _used_by_all(cell_data_of(_study(search=search)).values(), labels)
    assert [len(used[given, 30]) for given in (0, 8)] == [30, 30]


def test_another_order_of_the_detectors_and_budgets_draws_the_same_pools(
    labels: NDArray[Any], cell_data_of: CellsOf
) -> None:
    grid = Grid(dataset="digits", normal_class=[8, 0], labels=[30, 5])
    other = _study(cells=grid, detectors=DETECTORS[::-1][:3], confirm=Confirm(seeds=20))
    first, second = (
        _used_by_all(cell_data_of(study).values(), labels) for study in (_study(), other)
    )
    assert all(first[place] == images for place, images in second.items())


def test_budgets_and_seeds_that_are_added_change_no_trial(cell_data_of: CellsOf) -> None:
    grid = Grid(dataset="digits", normal_class=[0, 8], labels=[0, 5, 30, 50])
    more = _study(cells=grid, confirm=Confirm(seeds=21))
    before, after = (
        {spec.key for cell in cell_data_of(study).values() for spec in _specs(cell)}
        for study in (_study(), more)
    )
    assert before < after


def test_at_budget_0_a_trial_is_that_of_ratio_0_that_was_not_searched(
    cell_data_of: CellsOf,
) -> None:
    detectors = [Candidate(Knn(), space={})]
    at_ratio = _study(cells=Grid(dataset="digits", normal_class=0), detectors=detectors)
    at_budget = replace(at_ratio, cells=Grid(dataset="digits", normal_class=0, labels=0))
    keys = [
        cell.spec("confirm", 0, {}).key
        for study in (at_ratio, at_budget)
        for cell in cell_data_of(study).values()
    ]
    assert keys[0] == keys[1]


def test_the_selection_names_the_labels_that_validate_of_the_budget(cell_data_of: CellsOf) -> None:
    cells = cell_data_of(_study())
    named = {label: cell.middle_spec().selection for label, cell in cells.items()}
    assert named["digits class=0 labels=0"] == "fixed_epoch(1)"
    assert named["digits class=0 labels=5"] == "labelled(5 of 5)"
    assert named["digits class=0 labels=5 detector=probe"] == "labelled(2 of 5)"
    assert named["digits class=0 labels=5 detector=knn-probe"] == "fixed_epoch(1)"


def test_labelled_anomalies_of_ratios_are_counted_over_all_seeds(
    labels: NDArray[Any], cell_data_of: CellsOf
) -> None:
    grid = Grid(dataset="digits", normal_class=0, anomaly_ratio=[0.05])
    study = _study(cells=grid, selection=Labelled(num_anomalies=10), confirm=Confirm(seeds=20))
    for cell in cell_data_of(study).values():
        used = set().union(*(_used(spec, labels) for spec in _specs(cell)))
        assert cell.num_labelled == len(used)
        assert (
            cell.num_test_anomalies == cell.data.test.num_images - (cell.data.test.class_counts[0])
        )


def test_a_batch_of_agad_holds_labelled_anomalies_of_a_budget(cell_data_of: CellsOf) -> None:
    cells = cell_data_of(_study())
    with_labels = cells["digits class=0 labels=30 detector=agad"]
    without = cells["digits class=0 labels=0 detector=agad"]
    # 107 normals in batches of 32, 16 of which are anomalies where there are any.
    assert (with_labels.num_steps, without.num_steps) == (7, 4)


def test_a_plan_of_ratios_counts_what_detectors_do_not_share(digits_library: Library) -> None:
    """A detector that is not searched has no labels that validate, and so fits others."""
    cells = Grid(dataset="digits", normal_class=0, anomaly_ratio=0.05)
    detectors = [Candidate(Probe(), trials=2), Candidate(Probe(inverse_penalty=0.5), space={})]
    plan = plan_study(_study(cells=cells, detectors=detectors), digits_library)
    searched, unsearched = plan.cells
    assert plan.num_labelled == len(searched.labelled | unsearched.labelled)
    assert searched.num_labelled < plan.num_labelled
    assert plan.num_labelled < searched.num_labelled + unsearched.num_labelled


def test_a_plan_counts_a_pool_once_whatever_is_hidden(digits_library: Library) -> None:
    cells = Grid(dataset="digits", normal_class=0, labels=10, pollution_ratio=[0.0, 0.1])
    plan = plan_study(_study(cells=cells), digits_library)
    assert plan.num_labelled == 10
    counts = digits_library.manifest("digits").test.class_counts
    assert plan.num_test_anomalies == sum(counts) - counts[0]


def test_a_plan_counts_each_image_once(digits_library: Library) -> None:
    plan = plan_study(_study(), digits_library)
    # A pool of 30 for each of two classes, whatever the detectors and the smaller budgets.
    assert plan.num_labelled == 60
    at_0 = [cell for one in plan.detectors for cell in one.cells if cell.label_budget == 0]
    assert {cell.num_labelled for cell in at_0} == {0}
    counts = digits_library.manifest("digits").test.class_counts
    assert plan.num_test_anomalies == 2 * sum(counts) - counts[0] - counts[8]
    knn, probe, *_ = plan.detectors
    assert (knn.num_search_trials, knn.num_confirm_trials, knn.num_unsearched) == (16, 120, 2)
    assert (probe.num_search_trials, probe.num_confirm_trials, probe.num_left_out) == (16, 80, 2)


def test_a_budget_above_the_labelled_anomalies_is_refused_before_any_work(
    cell_data_of: CellsOf,
) -> None:
    study = _study(cells=Grid(dataset="digits", normal_class=0, labels=5000))
    message = (
        "cell 'digits class=0 labels=5000', seed 3: cells.labels holds 5000, but the training part "
        "holds 1082 anomalies of labelled classes; use a budget of at most so many."
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        cell_data_of(study)


@pytest.fixture
def names(digits: Manifest, digits_library: Library) -> Callable[[int, int], list[str]]:
    """Return the names of the first training images of a class."""
    known, labels = digits_library.names_of(digits, "train")
    return lambda label, num: [known[place] for place in np.flatnonzero(labels == label)[:num]]


def test_all_trials_use_the_images_that_a_user_named(
    names: Callable[[int, int], list[str]],
    labels: NDArray[Any],
    cell_data_of: CellsOf,
) -> None:
    selection = Labelled(pool=[*names(3, 4), *names(5, 4)])
    study = _study(cells=Grid(dataset="digits", normal_class=[0, 8]), selection=selection)
    named = {*np.flatnonzero(labels == 3)[:4].tolist(), *np.flatnonzero(labels == 5)[:4].tolist()}
    used = _used_by_all(cell_data_of(study).values(), labels)
    assert used == {(0, 8): named, (8, 8): named}


def test_a_smaller_budget_takes_some_of_the_images_that_a_user_named(
    names: Callable[[int, int], list[str]],
    labels: NDArray[Any],
    cell_data_of: CellsOf,
) -> None:
    grid = Grid(dataset="digits", normal_class=0, labels=[2, 6])
    study = _study(cells=grid, selection=Labelled(pool=[*names(3, 4), *names(5, 4)]))
    used = _used_by_all(cell_data_of(study).values(), labels)
    assert [len(used[0, budget]) for budget in (2, 6)] == [2, 6]
    assert used[0, 2] < used[0, 6]
    assert {int(labels[place]) for place in used[0, 2]} == {3, 5}


def test_a_named_image_that_is_normal_in_a_cell_is_refused(
    names: Callable[[int, int], list[str]], cell_data_of: CellsOf
) -> None:
    (name,) = names(8, 1)
    study = _study(
        cells=Grid(dataset="digits", normal_class=[0, 8]),
        selection=Labelled(pool=[name, *names(3, 1)]),
    )
    message = (
        f"selection.pool names {name!r}, which is normal in cell 'digits class=8 labels=2'; name "
        "anomalous images alone."
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        cell_data_of(study)


def _ended(row: TrialRow) -> tuple[Any, ...]:
    return (row.label_budget, row.num_val_anomalies, row.num_fit_anomalies, row.num_labelled)


def _curve(spec: TrialSpec, num_epochs: int) -> float:
    return by_weight(spec, num_epochs) if spec.detector.name == "agad" else 0.5 + spec.number / 99


def test_a_run_of_budgets_goes_on_after_its_driver_died_and_its_rows_count_the_labels(
    make_simulation: MakeSimulation, memory: ListMemory
) -> None:
    study = _study(confirm=Confirm(seeds=2), detectors=DETECTORS[:2])
    with_break = make_simulation(study, curve=_curve)
    with_break.run(most_ends=9)
    make_simulation(study, curve=_curve).run_and_close()
    rows = memory.trials()
    assert {(row.detector, *_ended(row)) for row in rows if row.phase == "confirm"} == {
        ("knn", 0, 0, 0, 0),
        ("knn", 5, 5, 0, 5),
        ("knn", 30, 30, 0, 30),
        ("probe", 5, 2, 3, 5),
        ("probe", 30, 15, 15, 30),
    }
    assert {row.cell for row in rows if row.phase == "search"} == {
        f"digits class={given} labels={budget}{detector}"
        for given in (0, 8)
        for budget in (5, 30)
        for detector in ("", " detector=probe")
    }
    assert {row.anomaly_ratio for row in rows} == {0.0}
    assert make_simulation(study, curve=_curve).board.is_done


def test_a_plan_of_a_fresh_study_does_not_say_that_some_of_it_is_done(
    digits_library: Library, memory: ListMemory
) -> None:
    assert plan_study(_study(), digits_library, memory=memory).done is None
