"""Deep SVDD: its networks, its centre, its stages and its learning rate."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agad.config import TRAIN, InputSpec, Stage
from agad.data import FitBatches, on_device
from agad.detectors import DeepSvdd
from agad.detectors.compute import Compute
from agad.detectors.deep_svdd.model import Decoder, DeepSvddDetector, Encoder
from agad.errors import ConfigError

CPU = torch.device("cpu")
GREY, COLOUR = (1, 28, 28), (3, 32, 32)


def _batches(shape: tuple[int, int, int] = GREY, num: int = 40, **changes: Any) -> FitBatches:  # noqa: ANN401
    pixels = np.random.default_rng(0).integers(0, 256, (num, *shape), dtype=np.uint8)
    spec = InputSpec(scaling="contrast")
    values: dict[str, Any] = {
        "normals": on_device(pixels, np.arange(num), CPU, spec),
        "anomalies": on_device(pixels, np.arange(0), CPU, spec),
        "num_normals": 20,
        "num_anomalies": 0,
    }
    return FitBatches(**(values | changes))


def _build(shape: tuple[int, int, int] = GREY, seed: int = 0, **changes: Any) -> DeepSvddDetector:  # noqa: ANN401
    rng = torch.Generator().manual_seed(seed)
    built: DeepSvddDetector = DeepSvdd(**changes).build(shape, rng, Compute())
    return built


def _train(detector: DeepSvddDetector, stages: tuple[Stage, ...], epochs: int = 2) -> None:
    batches, rng = _batches(), np.random.default_rng(1)
    for stage in stages:
        detector.begin_stage(stage, batches)
        for _ in range(stage.epochs or epochs):
            detector.fit_epoch(stage, batches, rng)


def _images(num: int = 12) -> Tensor:
    return torch.randn((num, *GREY), generator=torch.Generator().manual_seed(3))


def _num(network: torch.nn.Module) -> int:
    return sum(one.numel() for one in network.parameters())


@pytest.mark.parametrize(
    ("shape", "expected"), [(GREY, 7_272), (COLOUR, 520_544)], ids=["grey-28", "colour-32"]
)
def test_the_encoder_has_the_parameters_of_the_authors_network(
    shape: tuple[int, int, int], expected: int
) -> None:
    assert _num(Encoder(shape)) == expected


def test_no_layer_could_map_every_image_to_the_centre() -> None:
    names = {name.rpartition(".")[2] for name, _ in Encoder(GREY).named_parameters()}
    assert names == {"weight"}
    norms = [one for one in Encoder(GREY).modules() if isinstance(one, torch.nn.BatchNorm2d)]
    assert [(one.affine, one.eps) for one in norms] == [(False, 1e-4)] * 2


@pytest.mark.parametrize("shape", [GREY, COLOUR, (1, 32, 32), (3, 28, 28), (1, 30, 30)], ids=str)
def test_the_autoencoder_gives_images_of_the_shape_it_takes(shape: tuple[int, int, int]) -> None:
    encoder = Encoder(shape)
    x = torch.rand((2, *shape))
    rebuilt = Decoder(shape, encoder.side_px)(encoder(x))
    assert rebuilt.shape == x.shape
    assert ((rebuilt >= 0) & (rebuilt <= 1)).all()


def test_the_centre_is_the_mean_embedding_of_the_normal_images_kept_off_0() -> None:
    detector, batches = _build(), _batches()
    detector.begin_stage(DeepSvdd().stages[0], batches)
    detector.begin_stage(TRAIN, batches)
    scorer = detector._scorer
    x = torch.cat(list(batches.all_normals()))
    with torch.no_grad():
        z = scorer.encoder.eval()((x - x.min()) / (x.max() - x.min()))
    mean = z.double().mean(dim=0).numpy()
    expected = np.where(np.abs(mean) < 0.1, np.where(mean < 0, -0.1, 0.1), mean)
    np.testing.assert_allclose(scorer.centre.numpy(), expected, atol=1e-5)
    assert (np.abs(mean) < 0.1).any()


def test_images_are_brought_to_0_to_1_by_the_extremes_of_the_normal_images() -> None:
    detector, batches = _build(), _batches()
    detector.begin_stage(DeepSvdd().stages[0], batches)
    x = torch.cat(list(batches.all_normals()))
    scaled = detector._scorer.scaled(x)
    assert (scaled.min().item(), scaled.max().item()) == pytest.approx((0, 1), abs=1e-6)


def test_the_centre_is_taken_once_and_stays_while_the_encoder_trains() -> None:
    detector = _build(pretrain_epochs=1)
    _train(detector, DeepSvdd(pretrain_epochs=1).stages, epochs=1)
    centre, before = detector._scorer.centre.clone(), detector._scorer.encoder.head.weight.clone()
    detector.fit_epoch(TRAIN, _batches(), np.random.default_rng(2))
    assert torch.equal(detector._scorer.centre, centre)
    assert not torch.equal(detector._scorer.encoder.head.weight, before)


def test_a_score_is_the_squared_distance_from_the_centre() -> None:
    detector = _build(pretrain_epochs=1)
    _train(detector, DeepSvdd(pretrain_epochs=1).stages)
    scorer = detector._scorer.eval()
    with torch.no_grad():
        z = scorer.encoder(scorer.scaled(_images())).double().numpy()
    expected = ((z - scorer.centre.double().numpy()) ** 2).sum(axis=1)
    np.testing.assert_allclose(detector.score(_images()).numpy(), expected, rtol=1e-4)


def test_a_pretraining_comes_before_the_epochs_of_the_study() -> None:
    assert DeepSvdd().stages == (Stage(name="pretrain", epochs=50), TRAIN)
    assert DeepSvdd(pretrain_epochs=0).stages == (TRAIN,)
    assert DeepSvdd().reduced().stages == (Stage(name="pretrain", epochs=2), TRAIN)


def test_each_stage_has_a_loss_of_its_own_which_falls() -> None:
    detector, batches, rng = _build(pretrain_lr=1e-2, lr=1e-2), _batches(), np.random.default_rng(0)
    stages = DeepSvdd().stages
    for stage, name in zip(stages, ("loss_pretrain", "loss"), strict=True):
        detector.begin_stage(stage, batches)
        losses = [detector.fit_epoch(stage, batches, rng) for _ in range(5)]
        assert {key for one in losses for key in one} == {name}
        assert losses[-1][name] < losses[0][name]


def test_without_a_pretraining_the_centre_is_that_of_random_weights() -> None:
    detector = _build(pretrain_epochs=0)
    _train(detector, (TRAIN,), epochs=1)
    assert (detector._scorer.centre.abs() >= 0.1).all()
    assert detector._scorer.high > detector._scorer.low
    assert detector.score(_images()).isfinite().all()


def test_the_learning_rate_falls_to_a_tenth_after_50_epochs_of_the_last_stage() -> None:
    detector, rng = _build(pretrain_epochs=60, lr=1e-3, pretrain_lr=1e-2), np.random.default_rng(0)
    batches = _batches(num=20)
    rates: dict[str, list[float]] = {}
    for stage in DeepSvdd(pretrain_epochs=60).stages:
        detector.begin_stage(stage, batches)
        for _ in range(60):
            rates.setdefault(stage.name, []).append(detector._adam.param_groups[0]["lr"])
            detector.fit_epoch(stage, batches, rng)
    assert rates["pretrain"] == [1e-2] * 60
    assert rates["train"] == pytest.approx([1e-3] * 50 + [1e-4] * 10)


def test_a_detector_restored_after_50_epochs_keeps_the_lower_rate() -> None:
    detector = _build(lr=1e-3)
    _train(detector, (TRAIN,), epochs=50)
    other = _build(lr=1e-3)
    other.restore(detector.state())
    assert other._adam.param_groups[0]["lr"] == pytest.approx(1e-4)


@pytest.mark.parametrize("num_before", [0, 1, 2, 3])
def test_a_detector_restored_in_either_stage_goes_on_bit_for_bit(num_before: int) -> None:
    stages = DeepSvdd(pretrain_epochs=2).stages
    steps = [(stages[0], True), (stages[0], False), (stages[1], True), (stages[1], False)]

    def advance(
        detector: DeepSvddDetector, rng: np.random.Generator, first: int, last: int
    ) -> None:
        for stage, begins in steps[first:last]:
            if begins:
                detector.begin_stage(stage, _batches())
            detector.fit_epoch(stage, _batches(), rng)

    whole, rng = _build(pretrain_epochs=2), np.random.default_rng(0)
    advance(whole, rng, 0, len(steps))

    before, again = _build(pretrain_epochs=2), np.random.default_rng(0)
    advance(before, again, 0, num_before)
    kept = json.loads(json.dumps(again.bit_generator.state))
    resumed = _build(pretrain_epochs=2, seed=5)
    resumed.restore(before.state())
    again.bit_generator.state = kept
    advance(resumed, again, num_before, len(steps))
    assert torch.equal(resumed.score(_images()), whole.score(_images()))


def test_two_fits_of_one_seed_are_equal_and_another_seed_gives_other_weights() -> None:
    scores = []
    for seed in (0, 0, 1):
        detector = _build(seed=seed, pretrain_epochs=1)
        _train(detector, DeepSvdd(pretrain_epochs=1).stages)
        scores.append(detector.score(_images()))
    assert torch.equal(scores[0], scores[1])
    assert not torch.equal(scores[0], scores[2])


def test_the_exported_scorer_scores_as_the_detector_does() -> None:
    detector = _build(pretrain_epochs=1)
    _train(detector, DeepSvdd(pretrain_epochs=1).stages)
    scorer = DeepSvdd().build_scorer(GREY, detector.scoring_weights())
    assert torch.equal(scorer(_images()), detector.score(_images()))


def test_weights_of_images_of_another_shape_are_refused() -> None:
    weights = _build(COLOUR).scoring_weights()
    with pytest.raises(ValueError, match="size mismatch"):
        DeepSvdd().build_scorer(GREY, weights)


@pytest.mark.parametrize(
    ("name", "value", "constraint"),
    [
        ("pretrain_epochs", -1, "a whole number, at least 0"),
        ("batch_size", 1, "a whole number, at least 2"),
        ("lr", 0, "above 0"),
        ("pretrain_lr", float("inf"), "above 0"),
        ("weight_decay", -1e-9, "at least 0"),
        ("pretrain_weight_decay", "0", "at least 0"),
    ],
    ids=lambda one: one if isinstance(one, str) else repr(one),
)
def test_a_parameter_out_of_its_range_is_refused(name: str, value: Any, constraint: str) -> None:  # noqa: ANN401
    with pytest.raises(
        ConfigError, match=rf"DeepSvdd\.{name} is {value!r}, but must be {constraint}"
    ):
        DeepSvdd(**{name: value})
