"""A trial before its first epoch: which images it fits and which it validates on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from agad.config import Cell
from agad.data import LabelPool, Subset, draw_split
from agad.trial import Runtime, TrialSpec
from agad.trial.training import prepare

if TYPE_CHECKING:
    from tests.trial.conftest import Load

MakeSpec: TypeAlias = Callable[..., TrialSpec]

ONE_CLASS = Cell(dataset="digits", normal_class=0, anomaly_ratio=0.1)
LEAVE_ONE_OUT = Cell(dataset="digits", anomalous_class=0, anomaly_ratio=0.02)
POLLUTED = Cell(dataset="digits", normal_class=0, anomaly_ratio=0.1, pollution_ratio=0.2)
SEVERAL = [ONE_CLASS, LEAVE_ONE_OUT, POLLUTED]
NAMES = ["one-class", "leave-one-out", "polluted"]


def _places(subset: Subset) -> NDArray[np.int64]:
    """Return which images of its part a subset holds."""
    return subset.index.numpy()


@pytest.mark.parametrize("cell", SEVERAL, ids=NAMES)
def test_prepare_fits_normals_and_labelled_anomalies_and_validates_on_the_others(
    cell: Cell, make_spec: MakeSpec, runtime: Runtime, load: Load
) -> None:
    spec = make_spec(cell=cell)
    split = draw_split(load("train").labels, spec.task, spec.seed)
    prepared = prepare(spec, runtime)
    assert set(_places(prepared.batches.normals)) == {*split.fit_normals, *split.fit_hidden}
    assert set(_places(prepared.batches.anomalies)) == set(split.fit_anomalies)
    assert set(_places(prepared.val_images)) == {
        *split.val_normals,
        *split.val_hidden,
        *split.val_anomalies,
    }
    assert len(split.fit_anomalies) > 0
    assert prepared.val_images.images.shape[1:] == (1, 16, 16)
    assert (prepared.batches.num_normals, prepared.batches.num_anomalies) == (16, 16)


@pytest.mark.parametrize("cell", SEVERAL, ids=NAMES)
def test_validation_knows_the_labelled_anomalies_alone_for_anomalies(
    cell: Cell, make_spec: MakeSpec, runtime: Runtime, load: Load
) -> None:
    spec = make_spec(cell=cell)
    split = draw_split(load("train").labels, spec.task, spec.seed)
    prepared = prepare(spec, runtime)
    known = _places(prepared.val_images)[prepared.val_is_anomaly]
    assert sorted(known) == split.val_anomalies.tolist()


def test_hidden_anomalies_are_trained_on_as_normals_and_validated_as_normals(
    make_spec: MakeSpec, runtime: Runtime, load: Load
) -> None:
    labels = load("train").labels
    prepared = prepare(make_spec(cell=POLLUTED), runtime)
    fitted = labels[_places(prepared.batches.normals)]
    taken_for_normal = labels[_places(prepared.val_images)[~prepared.val_is_anomaly]]
    # Of 119 images of class 0, 12 validate; a fifth of the unlabelled images is hidden.
    assert ((fitted == 0).sum(), (fitted != 0).sum()) == (107, 26)
    assert ((taken_for_normal == 0).sum(), (taken_for_normal != 0).sum()) == (12, 3)


@pytest.mark.parametrize("labelled", [1, (3, 5)], ids=["number", "which"])
def test_labelled_anomalies_are_of_the_labelled_classes_alone(
    labelled: int | tuple[int, ...], make_spec: MakeSpec, runtime: Runtime, load: Load
) -> None:
    cell = replace(ONE_CLASS, labelled_classes=labelled)
    prepared = prepare(make_spec(cell=cell), runtime)
    labels = load("train").labels
    fitted = set(labels[_places(prepared.batches.anomalies)])
    validated = set(labels[_places(prepared.val_images)[prepared.val_is_anomaly]])
    assert fitted == validated
    assert len(fitted) == (1 if labelled == 1 else 2)


def test_a_leave_one_out_trial_fits_every_class_but_one(
    make_spec: MakeSpec, runtime: Runtime, load: Load
) -> None:
    prepared = prepare(make_spec(cell=LEAVE_ONE_OUT), runtime)
    labels = load("train").labels
    assert set(labels[_places(prepared.batches.normals)]) == set(range(1, 10))
    assert set(labels[_places(prepared.batches.anomalies)]) == {0}
    assert set(labels[_places(prepared.val_images)[prepared.val_is_anomaly]]) == {0}


@pytest.mark.parametrize("ratio", [0.0, 1e-4], ids=["ratio-0", "ratio-of-no-anomaly"])
def test_prepare_gives_whole_batches_to_normals_where_no_anomaly_is_labelled(
    ratio: float, make_spec: MakeSpec, runtime: Runtime
) -> None:
    cell = Cell(dataset="digits", normal_class=0, anomaly_ratio=ratio)
    batches = prepare(make_spec(cell=cell), runtime).batches
    assert len(batches.anomalies) == 0
    assert (batches.num_normals, batches.num_anomalies) == (32, 0)


def test_prepare_takes_the_share_of_anomalies_that_the_detector_asks_for(
    make_spec: MakeSpec, runtime: Runtime
) -> None:
    detector = replace(make_spec().detector, batch_anomaly_share=0.25)
    batches = prepare(make_spec(detector=detector), runtime).batches
    assert (batches.num_normals, batches.num_anomalies) == (24, 8)


def test_prepare_fits_and_validates_on_a_pool_alone(
    make_spec: MakeSpec, runtime: Runtime, load: Load
) -> None:
    cell = Cell(dataset="digits", normal_class=0, anomaly_ratio=0.0, labels=10)
    spec = make_spec(cell=cell)
    pool = LabelPool(num_anomalies=10, seed=0)
    spec = replace(spec, task=replace(spec.task, pool=pool, num_val_anomalies=5))
    prepared = prepare(spec, runtime)
    is_normal = load("train").labels == 0
    fitted = _places(prepared.batches.anomalies)
    validated = _places(prepared.val_images)[prepared.val_is_anomaly]
    assert (len(fitted), len(validated)) == (5, 5)
    assert len({*fitted, *validated}) == 10
    assert not is_normal[[*fitted, *validated]].any()
    # The ratio of the fit split is 5 / (107 + 5), so a batch holds its least number of anomalies.
    assert prepared.batches.num_anomalies == 16


def test_prepare_fits_on_so_many_normals_alone(make_spec: MakeSpec, runtime: Runtime) -> None:
    spec = make_spec(cell=Cell(dataset="digits", normal_class=0, anomaly_ratio=0.0))
    whole = prepare(spec, runtime)
    few = prepare(replace(spec, task=replace(spec.task, num_normals=10)), runtime)
    assert len(few.batches.normals) == 10
    assert set(_places(few.batches.normals)) < set(_places(whole.batches.normals))
    assert _places(few.val_images).tolist() == _places(whole.val_images).tolist()
