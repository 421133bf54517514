"""What a confirm trial leaves: the scores of every test image, and pictures of some."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

from agad.data import heat_map, open_images
from agad.objects import open_objects
from agad.records import picture_key
from agad.trial import Runtime, TestResult, TrialSpec, auroc, train_trial
from agad.trial.confirm import open_test
from agad.trial.pictures import NUM_OF_EACH, draw_shown, keep_pictures
from agad.trial.training import Training, prepare

MakeSpec: TypeAlias = Callable[..., TrialSpec]

FINGERPRINT = "ab12" * 16


def _tested(spec: TrialSpec, runtime: Runtime) -> TestResult:
    *_, last = train_trial(spec, runtime)
    assert last.test is not None
    return last.test


@pytest.fixture
def spec(make_spec: MakeSpec) -> TrialSpec:
    return make_spec(phase="confirm", max_epochs=1)


@pytest.fixture
def keeping(alone: Runtime) -> Runtime:
    """Keep pictures in a store of the test's own."""
    return replace(alone, pictures="a-study/pictures")


def test_every_test_image_has_its_score_and_class(spec: TrialSpec, runtime: Runtime) -> None:
    test = _tested(spec, runtime)
    images = open_images(spec.data, "test", store=runtime.store, cache=runtime.cache)
    np.testing.assert_array_equal(test.labels, images.labels)
    assert test.scores.shape == images.labels.shape
    assert test.scores.dtype == np.float32
    assert len(np.unique(test.scores)) > 0.9 * len(test.scores)


def test_the_auroc_of_the_scores_is_the_trials_exactly(spec: TrialSpec, runtime: Runtime) -> None:
    test = _tested(spec, runtime)
    is_anomaly = np.isin(test.labels, spec.task.anomalous_classes)
    assert auroc(is_anomaly, test.scores.astype(np.float64)) == test.auroc
    assert roc_auc_score(is_anomaly, test.scores) == pytest.approx(test.auroc, abs=1e-12)


def test_equal_trials_have_equal_scores(spec: TrialSpec, runtime: Runtime) -> None:
    np.testing.assert_array_equal(_tested(spec, runtime).scores, _tested(spec, runtime).scores)


# Pictures.


def _classes(num_normals: int, num_anomalies: int) -> NDArray[np.bool_]:
    """Return so many of each, in an order by chance."""
    ordered = np.repeat([False, True], [num_normals, num_anomalies])
    return np.random.default_rng(3).permutation(ordered)


@pytest.mark.parametrize(
    ("num_normals", "num_anomalies", "expected"),
    [(100, 900, (8, 8)), (3, 20, (3, 8)), (9, 1, (8, 1))],
)
def test_as_many_normal_as_anomalous_images_are_shown_or_all_that_there_are(
    num_normals: int, num_anomalies: int, expected: tuple[int, int]
) -> None:
    is_anomaly = _classes(num_normals, num_anomalies)
    shown = draw_shown(FINGERPRINT, is_anomaly)
    assert len(set(shown.tolist())) == len(shown)
    assert (shown.tolist(), NUM_OF_EACH) == (sorted(shown.tolist()), 8)
    assert (int((~is_anomaly[shown]).sum()), int(is_anomaly[shown].sum())) == expected


def test_the_images_shown_depend_on_the_data_set_alone() -> None:
    is_anomaly = _classes(100, 900)
    first = draw_shown(FINGERPRINT, is_anomaly)
    np.testing.assert_array_equal(draw_shown(FINGERPRINT, is_anomaly), first)
    assert draw_shown("cd34" * 16, is_anomaly).tolist() != first.tolist()


def _kept(runtime: Runtime, spec: TrialSpec) -> dict[int, bytes]:
    """Return the pictures of a trial by image."""
    objects = open_objects(runtime.store)
    keys = objects.list(f"{runtime.pictures}/{spec.key}/")
    return {int(key.rpartition("/")[2].removesuffix(".png")): objects.get(key) for key in keys}


def test_the_first_confirm_trial_keeps_pictures_of_its_trained_model(
    spec: TrialSpec, keeping: Runtime, tmp_path: Path
) -> None:
    list(train_trial(spec, keeping, tmp_path / "trial.ckpt"))
    kept = _kept(keeping, spec)
    training, part = prepare(spec, keeping), open_test(spec, keeping)
    training.restore(tmp_path / "trial.ckpt")
    keep_pictures(training, part, keeping.store, "again")
    assert sorted(kept) == draw_shown(spec.data.fingerprint, part.is_anomaly).tolist()
    assert len(kept) == 16
    assert _kept(replace(keeping, pictures="again"), spec) == kept


def test_a_picture_is_of_the_image_that_its_name_says(spec: TrialSpec, keeping: Runtime) -> None:
    training, part = prepare(spec, keeping), open_test(spec, keeping)
    keep_pictures(training, part, keeping.store, str(keeping.pictures))
    images = open_images(spec.data, "test", store=keeping.store, cache=keeping.cache)
    kept = _kept(keeping, spec)
    assert len(kept) == 16
    for image, data in kept.items():
        pixels = images.pixels[image]
        x = torch.from_numpy(pixels[None]).div(127.5).sub(1)
        rebuilt = training.detector.rebuild(x)[0].numpy()  # type: ignore[attr-defined]
        assert data == heat_map(pixels, rebuilt)


def test_every_trial_of_a_cell_shows_the_same_images(spec: TrialSpec, keeping: Runtime) -> None:
    other = replace(spec, seed=5)
    for one in (spec, other):
        keep_pictures(
            prepare(one, keeping), open_test(one, keeping), keeping.store, str(keeping.pictures)
        )
    first, second = _kept(keeping, spec), _kept(keeping, other)
    assert first.keys() == second.keys()
    assert first != second


def test_a_class_and_the_class_left_out_show_the_same_images() -> None:
    is_zero = np.random.default_rng(0).integers(10, size=500) == 0
    shown = draw_shown(FINGERPRINT, is_zero)
    np.testing.assert_array_equal(draw_shown(FINGERPRINT, ~is_zero), shown)


@pytest.mark.parametrize(
    "changes", [{"number": 1}, {"phase": "search"}], ids=["a-later-seed", "search"]
)
def test_no_other_trial_keeps_pictures(
    changes: dict[str, Any], spec: TrialSpec, keeping: Runtime
) -> None:
    other = replace(spec, **changes)
    list(train_trial(other, keeping))
    assert open_objects(keeping.store).list("a-study/") == []


def test_pictures_that_are_there_stay(spec: TrialSpec, keeping: Runtime) -> None:
    part = open_test(spec, keeping)
    key = picture_key(
        str(keeping.pictures), spec.key, int(draw_shown(spec.data.fingerprint, part.is_anomaly)[0])
    )
    open_objects(keeping.store).put_if_absent(key, b"an earlier attempt's")
    keep_pictures(prepare(spec, keeping), part, keeping.store, str(keeping.pictures))
    assert open_objects(keeping.store).get(key) == b"an earlier attempt's"
    assert len(_kept(keeping, spec)) == 16


@dataclass
class _Blind:
    """A detector that rebuilds nothing."""


def test_a_detector_that_rebuilds_nothing_has_no_pictures(
    spec: TrialSpec, keeping: Runtime
) -> None:
    training: Training = prepare(spec, keeping)
    training.detector = _Blind()  # type: ignore[assignment]
    keep_pictures(training, open_test(spec, keeping), keeping.store, str(keeping.pictures))
    assert _kept(keeping, spec) == {}
