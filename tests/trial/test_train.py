"""A trial's epochs: equal for equal arguments, and blind to the test split."""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from agad.config import Cell
from agad.data import Images, Manifest, NodeCache, Part, Split, Subset, draw_split, open_images
from agad.detectors import Detector
from agad.errors import ConfigError, StoreError, TrialDivergedError
from agad.trial import EpochResult, Runtime, TrialSpec, auroc, average_precision, train_trial
from agad.trial.confirm import score_test
from agad.trial.results import TestPart, TestResult
from agad.trial.score import score
from agad.trial.training import Training, prepare, train_epoch

if TYPE_CHECKING:
    from tests.trial.conftest import Load, MakeStub, TaskOf, UseStub

MakeSpec: TypeAlias = Callable[..., TrialSpec]

ONE_CLASS = Cell(dataset="digits", normal_class=0, anomaly_ratio=0.1)
LEAVE_ONE_OUT = Cell(dataset="digits", anomalous_class=0, anomaly_ratio=0.02)
POLLUTED = Cell(dataset="digits", normal_class=0, anomaly_ratio=0.1, pollution_ratio=0.2)
SEVERAL = [ONE_CLASS, LEAVE_ONE_OUT, POLLUTED]
NAMES = ["one-class", "leave-one-out", "polluted"]


def _without_time(results: list[EpochResult]) -> list[EpochResult]:
    return [replace(result, train_s=0.0) for result in results]


def _used(split: Split) -> NDArray[np.intp]:
    """Return the training images that any part of a split has."""
    return np.concatenate([getattr(split, part.name) for part in fields(split)])


def _pixels(subset: Subset) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = subset.images[subset.index].numpy()
    return pixels


def _cached(runtime: Runtime) -> set[str]:
    return {path.stem for path in Path(runtime.cache.folder).glob("*.arrow")}


def _digests(images: NDArray[np.uint8]) -> set[str]:
    return {hashlib.sha256(image.tobytes()).hexdigest() for image in images}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens to a trial, in order: a part of the data opened, an epoch trained."""
    events: list[str] = []

    def note(manifest: Manifest, part: Part, *, store: str, cache: NodeCache) -> Images:
        events.append(part)
        return open_images(manifest, part, store=store, cache=cache)

    def train(training: Training) -> tuple[dict[str, float], NDArray[np.float64]]:
        events.append("epoch")
        return train_epoch(training)

    monkeypatch.setattr("agad.trial.training.open_images", note)
    monkeypatch.setattr("agad.trial.confirm.open_images", note)
    monkeypatch.setattr("agad.trial.training.train_epoch", train)
    return events


@pytest.mark.parametrize("phase", ["search", "confirm"])
@pytest.mark.parametrize(
    "cell", [replace(ONE_CLASS, anomaly_ratio=0.0), ONE_CLASS, POLLUTED], ids=lambda one: one.label
)
@pytest.mark.parametrize("backbone", ["naive", pytest.param("unet++", marks=pytest.mark.nightly)])
def test_equal_arguments_give_bit_identical_epochs(
    phase: str, cell: Cell, backbone: str, make_spec: MakeSpec, runtime: Runtime
) -> None:
    detector = replace(make_spec().detector, backbone=backbone)
    spec = make_spec(phase=phase, cell=cell, detector=detector)
    torch.manual_seed(1)
    one = list(train_trial(spec, runtime))
    torch.manual_seed(2)
    other = list(train_trial(spec, runtime))
    assert _without_time(one) == _without_time(other)


def test_another_seed_gives_other_epochs(make_spec: MakeSpec, runtime: Runtime) -> None:
    one, other = (list(train_trial(make_spec(seed=seed), runtime)) for seed in (0, 1))
    assert [result.losses for result in one] != [result.losses for result in other]


def test_a_longer_trial_begins_as_a_shorter_one(make_spec: MakeSpec, runtime: Runtime) -> None:
    short, long = (list(train_trial(make_spec(max_epochs=num), runtime)) for num in (2, 3))
    assert _without_time(long[:2]) == _without_time(short)


def test_a_confirm_trial_trains_as_a_search_trial_does(
    make_spec: MakeSpec, runtime: Runtime
) -> None:
    search, confirm = (
        list(train_trial(make_spec(phase=phase), runtime)) for phase in ("search", "confirm")
    )
    stripped = [replace(result, test=None) for result in confirm]
    assert _without_time(stripped) == _without_time(search)


def test_every_epoch_is_yielded_with_its_result(make_spec: MakeSpec, runtime: Runtime) -> None:
    results = list(train_trial(make_spec(max_epochs=3), runtime))
    assert [result.epoch for result in results] == [0, 1, 2]
    assert all(0 <= result.objective <= 1 and result.train_s > 0 for result in results)
    assert all(math.isfinite(loss) for result in results for loss in result.losses.values())


def test_a_trial_learns_to_tell_anomalies(make_spec: MakeSpec, runtime: Runtime) -> None:
    detector = replace(make_spec().detector, backbone="unet++")
    results = list(train_trial(make_spec(detector=detector, max_epochs=8), runtime))
    assert results[-1].losses["con"] < 0.8 * results[0].losses["con"]
    assert results[-1].objective > 0.8


def test_a_search_trial_never_opens_the_test_part(
    opened: list[str], make_spec: MakeSpec, runtime: Runtime
) -> None:
    results = list(train_trial(make_spec(max_epochs=3), runtime))
    assert opened == ["train", "epoch", "epoch", "epoch"]
    assert [result.test for result in results] == [None, None, None]


def test_a_search_trial_fetches_the_training_file_alone(
    make_spec: MakeSpec, alone: Runtime, digits: Manifest
) -> None:
    list(train_trial(make_spec(), alone))
    assert _cached(alone) == {digits.train.sha256}


def test_a_search_trial_needs_no_test_file_in_the_store(
    make_spec: MakeSpec, alone: Runtime, digits: Manifest
) -> None:
    (Path(alone.store) / f"_datasets/digits/{digits.test.sha256}.arrow").unlink()
    assert len(list(train_trial(make_spec(), alone))) == 2


def test_a_trial_needs_no_store_where_the_cache_holds_its_file(
    make_spec: MakeSpec, alone: Runtime
) -> None:
    first = list(train_trial(make_spec(), alone))
    shutil.rmtree(alone.store)
    assert _without_time(list(train_trial(make_spec(), alone))) == _without_time(first)


def test_a_confirm_trial_fetches_the_test_file_at_its_end(
    make_spec: MakeSpec, alone: Runtime, digits: Manifest
) -> None:
    epochs = train_trial(make_spec(phase="confirm", max_epochs=2), alone)
    next(epochs)
    assert _cached(alone) == {digits.train.sha256}
    (last,) = epochs
    assert last.test is not None
    assert _cached(alone) == {digits.train.sha256, digits.test.sha256}


def test_a_confirm_trial_without_its_test_file_fails_by_its_name(
    make_spec: MakeSpec, alone: Runtime, digits: Manifest
) -> None:
    (Path(alone.store) / f"_datasets/digits/{digits.test.sha256}.arrow").unlink()
    with pytest.raises(StoreError, match=rf"{digits.test.sha256}\.arrow does not exist"):
        list(train_trial(make_spec(phase="confirm"), alone))


def test_a_confirm_trial_opens_the_test_part_once_after_its_last_epoch(
    opened: list[str], make_spec: MakeSpec, runtime: Runtime
) -> None:
    results = list(train_trial(make_spec(phase="confirm", max_epochs=3), runtime))
    assert opened == ["train", "epoch", "epoch", "epoch", "test"]
    assert [result.test is None for result in results] == [True, True, False]


def test_a_confirm_trial_that_is_not_read_to_its_end_never_opens_the_test_part(
    opened: list[str], make_spec: MakeSpec, runtime: Runtime
) -> None:
    next(train_trial(make_spec(phase="confirm", max_epochs=3), runtime))
    assert "test" not in opened


@pytest.mark.parametrize("cell", SEVERAL, ids=NAMES)
def test_a_confirm_trial_scores_the_whole_test_part(
    cell: Cell, make_spec: MakeSpec, runtime: Runtime, load: Load, use_stub: UseStub
) -> None:
    use_stub()
    (result,) = train_trial(make_spec(phase="confirm", max_epochs=1, cell=cell), runtime)
    images = load("test")
    greys = images.pixels.mean(axis=(1, 2, 3))  # By which the stub scores.
    is_anomaly = (images.labels == 0) == (cell.protocol == "leave-one-out")
    assert result.test is not None
    assert result.test.auroc == pytest.approx(auroc(is_anomaly, greys), abs=0.001)
    expected = average_precision(is_anomaly, greys)
    assert result.test.average_precision == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize("cell", SEVERAL, ids=NAMES)
def test_no_image_that_a_confirm_trial_tests_was_fitted_or_validated(
    cell: Cell, make_spec: MakeSpec, runtime: Runtime, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[Subset] = []

    def record(detector: Detector, images: Subset) -> Tensor:
        scored.append(images)
        return score(detector, images)

    monkeypatch.setattr("agad.trial.confirm.score", record)
    spec = make_spec(phase="confirm", cell=cell)
    list(train_trial(spec, runtime))
    prepared = prepare(spec, runtime)
    batches = prepared.batches
    used = [_pixels(one) for one in (batches.normals, batches.anomalies, prepared.val_images)]
    assert len(scored[-1]) == len(load("test").labels)
    assert _digests(_pixels(scored[-1])).isdisjoint(_digests(np.concatenate(used)))


@pytest.mark.parametrize("normal_class", range(10))
def test_no_image_that_is_tested_was_fitted_or_validated_as_it_is_stored(
    normal_class: int, make_spec: MakeSpec, load: Load
) -> None:
    spec = make_spec(cell=replace(POLLUTED, normal_class=normal_class))
    train, test = load("train"), load("test")
    used = _used(draw_split(train.labels, spec.task, spec.seed))
    assert _digests(test.pixels).isdisjoint(_digests(train.pixels[used]))


def test_confirm_trials_of_all_seeds_test_the_same_images(
    make_spec: MakeSpec, runtime: Runtime, use_stub: UseStub
) -> None:
    use_stub()
    tests = {
        result.test
        for seed in (1, 2, 3)
        for result in train_trial(make_spec(phase="confirm", seed=seed, max_epochs=1), runtime)
    }
    assert len(tests) == 1


def test_the_validation_auroc_of_a_polluted_cell_counts_hidden_anomalies_as_normal(
    make_spec: MakeSpec,
    runtime: Runtime,
    load: Load,
    use_stub: UseStub,
    make_stub: MakeStub,
) -> None:
    use_stub()
    spec = make_spec(cell=POLLUTED, max_epochs=1)
    (result,) = train_trial(spec, runtime)
    train = load("train")
    split = draw_split(train.labels, spec.task, spec.seed)
    places = np.concatenate([split.val_normals, split.val_hidden, split.val_anomalies])
    images = Subset(images=torch.from_numpy(train.pixels), index=torch.from_numpy(places))
    is_anomaly = np.isin(places, split.val_anomalies)
    assert result.val_auroc == auroc(is_anomaly, score(make_stub(), images).double().numpy())


def test_a_leave_one_out_trial_trains_and_is_scored(make_spec: MakeSpec, runtime: Runtime) -> None:
    spec = make_spec(phase="confirm", cell=LEAVE_ONE_OUT, max_epochs=2)
    first, last = train_trial(spec, runtime)
    assert 0 <= first.objective <= 1
    assert first.test is None
    assert last.test is not None
    assert 0 < last.test.average_precision <= 1


def test_a_split_that_cannot_be_drawn_raises(
    make_spec: MakeSpec, runtime: Runtime, task_of: TaskOf
) -> None:
    spec = make_spec(task=task_of(ONE_CLASS, num_val_anomalies=5000))
    with pytest.raises(
        ConfigError, match=r"num_anomalies is 5000, but the training part holds 1082"
    ):
        next(train_trial(spec, runtime))


def test_a_trial_that_diverges_never_opens_the_test_part(
    opened: list[str], make_spec: MakeSpec, runtime: Runtime, use_stub: UseStub
) -> None:
    use_stub(scores=lambda images: math.inf * images.mean(dim=(1, 2, 3)))
    with pytest.raises(TrialDivergedError, match="not finite"):
        list(train_trial(make_spec(phase="confirm", max_epochs=1), runtime))
    assert opened == ["train", "epoch"]


def test_train_s_leaves_the_test_out(
    make_spec: MakeSpec, runtime: Runtime, use_stub: UseStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=0.0)

    def score_slowly(detector: Detector, part: TestPart) -> TestResult:
        clock.now += 1000.0
        return score_test(detector, part)

    use_stub()
    monkeypatch.setattr("agad.trial.training.time", SimpleNamespace(perf_counter=lambda: clock.now))
    monkeypatch.setattr("agad.trial.confirm.score_test", score_slowly)
    results = list(train_trial(make_spec(phase="confirm"), runtime))
    assert [result.train_s for result in results] == [0.0, 0.0]
    assert clock.now == 1000.0
