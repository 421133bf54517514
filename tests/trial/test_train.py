"""A trial's epochs: equal for equal arguments, and blind to the test split."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TypeAlias

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from agad.config import Agad, Cell
from agad.data import Images, Part, load_images, one_class_split
from agad.detectors import Detector
from agad.errors import ConfigError, TrialDivergedError
from agad.trial import EpochResult, Runtime, TrialSpec, auroc, average_precision, train_trial
from agad.trial.train import prepare, score

MakeSpec: TypeAlias = Callable[..., TrialSpec]

_PARTS: tuple[Part, Part] = ("train", "test")


class _StubDetector:
    """Losses and scores as they are given."""

    def __init__(self, *, loss: float = 1.0, factor: float = 1.0) -> None:
        self.loss = loss
        self.factor = factor

    def update(self, normals: Tensor, anomalies: Tensor | None) -> dict[str, Tensor]:
        del anomalies
        return {"con": torch.tensor(0.25), "loss_g": torch.full((), self.loss + 0 * len(normals))}

    def score(self, images: Tensor) -> Tensor:
        return self.factor * images.mean(dim=(1, 2, 3))


def _use(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agad.trial.train.build_detector", lambda *_: detector)


def _without_time(results: list[EpochResult]) -> list[EpochResult]:
    return [replace(result, train_s=0.0) for result in results]


def _digests(images: NDArray[np.uint8]) -> set[str]:
    return {hashlib.sha256(image.tobytes()).hexdigest() for image in images}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens to a trial, in order: a part of the data opened, an epoch trained."""
    events: list[str] = []

    def load(name: str, part: Part, root: Path) -> Images:
        events.append(part)
        return load_images(name, part, root)

    def train(*_: object) -> dict[str, float]:
        events.append("epoch")
        return {"loss_g": 1.0}

    monkeypatch.setattr("agad.trial.train.load_images", load)
    monkeypatch.setattr("agad.trial.train.train_epoch", train)
    return events


@pytest.mark.parametrize("phase", ["search", "confirm"])
@pytest.mark.parametrize("ratio", [0.0, 0.1])
@pytest.mark.parametrize("backbone", ["naive", "unet++"])
def test_equal_arguments_give_bit_identical_epochs(
    phase: str, ratio: float, backbone: str, make_spec: MakeSpec, runtime: Runtime
) -> None:
    cell = Cell(dataset="digits", normal_class=0, anomaly_ratio=ratio)
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
    assert all(0 <= result.val_auroc <= 1 and result.train_s > 0 for result in results)
    assert all(math.isfinite(loss) for result in results for loss in result.losses.values())


def test_a_trial_learns_to_tell_anomalies(make_spec: MakeSpec, runtime: Runtime) -> None:
    detector = replace(make_spec().detector, backbone="unet++")
    results = list(train_trial(make_spec(detector=detector, max_epochs=8), runtime))
    assert results[-1].losses["con"] < 0.8 * results[0].losses["con"]
    assert results[-1].val_auroc > 0.8


def test_a_search_trial_never_opens_the_test_part(
    opened: list[str], make_spec: MakeSpec, runtime: Runtime
) -> None:
    results = list(train_trial(make_spec(max_epochs=3), runtime))
    assert opened == ["train", "epoch", "epoch", "epoch"]
    assert [result.test for result in results] == [None, None, None]


def test_a_search_trial_needs_no_test_part(
    make_spec: MakeSpec, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = load_images("digits", "train", Path(runtime.data_root))
    parts = {"train": train}
    monkeypatch.setattr("agad.trial.train.load_images", lambda _name, part, _root: parts[part])
    assert len(list(train_trial(make_spec(), runtime))) == 2


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


def test_a_confirm_trial_scores_the_whole_test_part(
    make_spec: MakeSpec, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(_StubDetector(), monkeypatch)
    (result,) = train_trial(make_spec(phase="confirm", max_epochs=1), runtime)
    images = load_images("digits", "test", Path(runtime.data_root))
    # The stub scores by the mean grey, which resizing from 8 to 16 pixels moves by rounding only.
    is_anomaly, greys = images.labels != 0, images.pixels.mean(axis=(1, 2, 3))
    assert result.test is not None
    assert result.test.auroc == pytest.approx(auroc(is_anomaly, greys), abs=0.01)
    expected = average_precision(is_anomaly, greys)
    assert result.test.average_precision == pytest.approx(expected, abs=0.01)


def test_no_image_that_a_confirm_trial_tests_was_fitted_or_validated(
    make_spec: MakeSpec, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[Tensor] = []

    def record(detector: Detector, images: Tensor) -> NDArray[np.float64]:
        scored.append(images)
        return score(detector, images)

    monkeypatch.setattr("agad.trial.train.score", record)
    spec = make_spec(phase="confirm")
    list(train_trial(spec, runtime))
    prepared = prepare(spec, runtime)
    used = torch.cat([prepared.batches.normals, prepared.batches.anomalies, prepared.val_images])
    tested = scored[-1]
    assert len(tested) == len(load_images("digits", "test", Path(runtime.data_root)).labels)
    assert _digests(tested.numpy()).isdisjoint(_digests(used.numpy()))


@pytest.mark.parametrize("normal_class", range(10))
def test_no_image_that_is_tested_was_fitted_or_validated_as_it_is_stored(
    normal_class: int, make_spec: MakeSpec, runtime: Runtime
) -> None:
    cell = Cell(dataset="digits", normal_class=normal_class, anomaly_ratio=0.1)
    spec = make_spec(cell=cell)
    train, test = (load_images("digits", part, Path(runtime.data_root)) for part in _PARTS)
    split = one_class_split(train.labels, spec.protocol, spec.seed)
    used = np.concatenate(
        [split.fit_normals, split.fit_anomalies, split.val_normals, split.val_anomalies]
    )
    assert _digests(test.pixels).isdisjoint(_digests(train.pixels[used]))


def test_confirm_trials_of_all_seeds_test_the_same_images(
    make_spec: MakeSpec, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(_StubDetector(), monkeypatch)
    tests = {
        result.test
        for seed in (1, 2, 3)
        for result in train_trial(make_spec(phase="confirm", seed=seed, max_epochs=1), runtime)
    }
    assert len(tests) == 1


def test_prepare_fits_normals_and_labelled_anomalies_and_validates_on_the_others(
    make_spec: MakeSpec, runtime: Runtime
) -> None:
    spec = make_spec()
    images = load_images("digits", "train", Path(runtime.data_root))
    split = one_class_split(images.labels, spec.protocol, spec.seed)
    prepared = prepare(spec, runtime)
    assert len(prepared.batches.normals) == len(split.fit_normals)
    assert len(prepared.batches.anomalies) == len(split.fit_anomalies)
    assert len(prepared.val_images) == len(split.val_normals) + 30
    assert int(prepared.val_is_anomaly.sum()) == 30
    assert prepared.val_images.shape[1:] == (1, 16, 16)
    assert (prepared.batches.num_normals, prepared.batches.num_anomalies) == (16, 16)


@pytest.mark.parametrize("ratio", [0.0, 1e-4], ids=["ratio-0", "ratio-of-no-anomaly"])
def test_prepare_gives_whole_batches_to_normals_where_no_anomaly_is_labelled(
    ratio: float, make_spec: MakeSpec, runtime: Runtime
) -> None:
    cell = Cell(dataset="digits", normal_class=0, anomaly_ratio=ratio)
    batches = prepare(make_spec(cell=cell), runtime).batches
    assert len(batches.anomalies) == 0
    assert (batches.num_normals, batches.num_anomalies) == (32, 0)


def test_a_split_that_cannot_be_drawn_raises(make_spec: MakeSpec, runtime: Runtime) -> None:
    spec = make_spec(num_val_anomalies=5000)
    with pytest.raises(
        ConfigError, match=r"num_anomalies is 5000, but the training images hold 1082"
    ):
        next(train_trial(spec, runtime))


def test_losses_are_means_over_the_batches_of_an_epoch(
    make_spec: MakeSpec, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(_StubDetector(loss=3.0), monkeypatch)
    (result,) = train_trial(make_spec(max_epochs=1), runtime)
    assert result.losses == {"con": 0.25, "loss_g": 3.0}


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_raises(
    loss: float, make_spec: MakeSpec, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(_StubDetector(loss=loss), monkeypatch)
    with pytest.raises(TrialDivergedError, match=f"loss_g is {loss} at epoch 0"):
        list(train_trial(make_spec(), runtime))


def test_a_score_that_is_not_finite_raises(
    make_spec: MakeSpec, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(_StubDetector(factor=math.nan), monkeypatch)
    with pytest.raises(TrialDivergedError, match="scores are not finite"):
        list(train_trial(make_spec(), runtime))


def test_a_trial_that_diverges_never_opens_the_test_part(
    opened: list[str], make_spec: MakeSpec, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(_StubDetector(factor=math.inf), monkeypatch)
    with pytest.raises(TrialDivergedError, match="not finite"):
        list(train_trial(make_spec(phase="confirm", max_epochs=1), runtime))
    assert "test" not in opened


def test_a_learning_rate_far_too_high_diverges(make_spec: MakeSpec, runtime: Runtime) -> None:
    detector = Agad(
        backbone="unet++",
        base_width=4,
        discriminator_width=4,
        batch_size=32,
        min_batch_anomalies=16,
        lr=1e30,
    )
    with pytest.raises(TrialDivergedError, match=r"is nan at epoch \d|scores are not finite"):
        list(train_trial(make_spec(detector=detector, max_epochs=3), runtime))


def test_train_s_leaves_the_test_out(
    make_spec: MakeSpec, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=0.0)

    def score_slowly(*_: object) -> None:
        clock.now += 1000.0

    _use(_StubDetector(), monkeypatch)
    monkeypatch.setattr("agad.trial.train.time", SimpleNamespace(perf_counter=lambda: clock.now))
    monkeypatch.setattr("agad.trial.train.score_test", score_slowly)
    results = list(train_trial(make_spec(phase="confirm"), runtime))
    assert [result.train_s for result in results] == [0.0, 0.0]


@pytest.mark.parametrize("num_images", [1, 255, 256, 257, 600])
def test_score_returns_one_score_an_image_whatever_the_number(num_images: int) -> None:
    images = torch.arange(num_images).remainder(256).to(torch.uint8).view(-1, 1, 1, 1)
    scores = score(_StubDetector(), images)
    expected = np.arange(num_images) % 256 / 127.5 - 1
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, expected, atol=1e-6)
