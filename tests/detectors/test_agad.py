"""Algorithm 1, against a plain implementation that shares no code with it, and the score."""

from __future__ import annotations

import itertools
import math
from typing import Any, TypeAlias

import pytest
import torch
from torch import Tensor, nn

from agad.config import Agad
from agad.detectors import AgadDetector, build_detector

AnyValue: TypeAlias = Any
"""A value of some parameter of Agad."""

_CPU = torch.device("cpu")
_BACKBONES = ("naive", "unet++")
_TINY: dict[str, Any] = {"base_width": 4, "discriminator_width": 4}


class _Scale(nn.Module):
    """Generator stub: G(x) = factor x."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


class _MeanLogit(nn.Module):
    """Discriminator stub: the latent is the image, the logit a multiple of its mean."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = x.flatten(1)
        return self.factor * z.mean(dim=1), z


def _detector(*, seed: int = 0, image_px: int = 16, **parameters: AnyValue) -> AgadDetector:
    config = Agad(**(_TINY | {"backbone": "naive"} | parameters))
    rng = torch.Generator().manual_seed(seed)
    return AgadDetector(config, (1, image_px, image_px), rng, _CPU)


def _images(num_images: int, seed: int = 0, image_px: int = 16) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(num_images, 1, image_px, image_px, generator=rng) * 2 - 1


def _trained(**parameters: AnyValue) -> AgadDetector:
    detector = _detector(lr=2e-3, **parameters)
    for step in range(4):
        detector.update(_images(16, seed=step), _images(8, seed=100 + step))
    return detector


def _gradients(network: nn.Module) -> dict[str, Tensor]:
    return {
        name: weights.grad.clone()
        for name, weights in network.named_parameters()
        if weights.grad is not None
    }


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> AgadDetector:
    """G(x) = x / 2 and D's probability 1/2 everywhere, as methods.md, section 1.4, has them."""
    detector = _detector(reciprocal_eps=1e-12)
    monkeypatch.setattr(detector, "generator", _Scale(0.5))
    monkeypatch.setattr(detector, "discriminator", _MeanLogit(0.0))
    return detector


@pytest.fixture
def x() -> Tensor:
    return torch.full((4, 1, 16, 16), 0.8, dtype=torch.float64)


def test_the_losses_of_normal_images_are_those_worked_out_by_hand(
    stubbed: AgadDetector, x: Tensor
) -> None:
    loss_g, loss_d, losses = stubbed._normal_losses(x)
    assert loss_g.item() == pytest.approx(18.493147, abs=1e-6)
    assert loss_d.item() == pytest.approx(1.386294, abs=1e-6)
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(
        {"adv": math.log(2), "con": 0.4, "lat": 0.16, "adcon": -0.2}
    )


def test_the_losses_of_anomalies_are_those_worked_out_by_hand(
    stubbed: AgadDetector, x: Tensor
) -> None:
    loss_g, loss_d, losses = stubbed._anomalous_losses(x)
    assert loss_g.item() == pytest.approx(70.192695, abs=1e-6)
    assert loss_d.item() == pytest.approx(0.693147, abs=1e-6)
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(
        {"anomalous_con": 0.4, "anomalous_lat": 0.16}
    )


def test_the_discriminator_is_asked_about_the_right_images(
    stubbed: AgadDetector, x: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The logit is .8 for x and .4 for its reconstruction; softplus(-l) = -log sigmoid(l).
    monkeypatch.setattr(stubbed, "discriminator", _MeanLogit(1.0))
    softplus = {logit: math.log1p(math.exp(logit)) for logit in (-0.8, -0.4, 0.4, 0.8)}
    normal_g, normal_d, _ = stubbed._normal_losses(x)
    anomalous_g, anomalous_d, _ = stubbed._anomalous_losses(x)
    found = [loss.item() for loss in (normal_g, normal_d, anomalous_g, anomalous_d)]
    expected = [
        softplus[-0.4] + 20 - 3 + 0.8,
        softplus[0.4] + softplus[-0.8],
        1 / softplus[0.4] + 37.5 + 31.25,
        softplus[0.8],
    ]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("weight", "normal", "anomalous"),
    [
        ("weight_adv", math.log(2), 1 / math.log(2)),
        ("weight_con", 0.4, 0.0),
        ("weight_adcon", -0.2, 2.5),
        ("weight_lat", 0.16, 6.25),
    ],
)
def test_each_weight_multiplies_its_own_terms(
    weight: str, normal: float, anomalous: float, x: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("weight_adv", "weight_con", "weight_adcon", "weight_lat")
    weights: dict[str, Any] = dict.fromkeys(names, 0.0) | {weight: 7.0}
    detector = _detector(reciprocal_eps=1e-12, **weights)
    monkeypatch.setattr(detector, "generator", _Scale(0.5))
    monkeypatch.setattr(detector, "discriminator", _MeanLogit(0.0))
    found = [detector._normal_losses(x)[0].item(), detector._anomalous_losses(x)[0].item()]
    assert found == pytest.approx([7 * normal, 7 * anomalous])


def _minus_log(chance: Tensor) -> Tensor:
    return -torch.log(chance).mean()


def _plain_generator_loss(detector: AgadDetector, x: Tensor, anomalies: Tensor | None) -> Tensor:
    generator, discriminator, config = detector.generator, detector.discriminator, detector.config
    x_hat = generator(x)
    (_, z), (logit_hat, z_hat) = discriminator(x), discriminator(x_hat)
    loss: Tensor = (
        config.weight_adv * _minus_log(torch.sigmoid(logit_hat))
        + config.weight_con * (x - x_hat).abs().mean()
        - config.weight_adcon * (x_hat - generator(x_hat)).abs().mean()
        + config.weight_lat * (z - z_hat).pow(2).mean()
    )
    if anomalies is None:
        return loss
    x_hat = generator(anomalies)
    (_, z), (logit_hat, z_hat) = discriminator(anomalies), discriminator(x_hat)
    eps = config.reciprocal_eps
    anomalous: Tensor = (
        config.weight_adv / (_minus_log(1 - torch.sigmoid(logit_hat)) + eps)
        + config.weight_adcon / ((anomalies - x_hat).abs().mean() + eps)
        + config.weight_lat / ((z - z_hat).pow(2).mean() + eps)
    )
    return loss + anomalous


def _plain_discriminator_loss(
    detector: AgadDetector, x: Tensor, anomalies: Tensor | None
) -> Tensor:
    chance, _ = detector.discriminator(x)
    chance_hat, _ = detector.discriminator(detector.generator(x).detach())
    loss = _minus_log(torch.sigmoid(chance)) + _minus_log(1 - torch.sigmoid(chance_hat))
    if anomalies is None:
        return loss
    chance, _ = detector.discriminator(anomalies)
    return loss + _minus_log(1 - torch.sigmoid(chance))


def _double(detector: AgadDetector) -> AgadDetector:
    """Take both networks to float64, in which two orders of summation agree."""
    detector.generator.double()
    detector.discriminator.double()
    return detector


@pytest.mark.parametrize("num_anomalies", [0, 8], ids=["ratio-0", "anomalies"])
@pytest.mark.parametrize("backbone", _BACKBONES)
def test_update_gives_each_network_the_gradient_of_its_own_loss_alone(
    backbone: str, num_anomalies: int
) -> None:
    normals = _images(16).double()
    anomalies = _images(num_anomalies, seed=1).double() if num_anomalies else None
    detector, plain = (_double(_detector(backbone=backbone)) for _ in range(2))
    detector.update(normals, anomalies)

    plain.discriminator.requires_grad_(False)
    _plain_generator_loss(plain, normals, anomalies).backward()  # type: ignore[no-untyped-call]
    plain.discriminator.requires_grad_(True)
    plain.generator.requires_grad_(False)
    _plain_discriminator_loss(plain, normals, anomalies).backward()  # type: ignore[no-untyped-call]

    for network, expected in (
        (detector.generator, plain.generator),
        (detector.discriminator, plain.discriminator),
    ):
        assert len(_gradients(network)) == len(list(network.parameters()))
        torch.testing.assert_close(_gradients(network), _gradients(expected), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("backbone", _BACKBONES)
def test_update_takes_adams_first_step_of_both_networks(backbone: str) -> None:
    detector = _double(_detector(backbone=backbone, lr=1e-3))
    networks = (detector.generator, detector.discriminator)
    before = [[weights.detach().clone() for weights in one.parameters()] for one in networks]
    detector.update(_images(16).double(), _images(8, seed=1).double())
    for network, old in zip(networks, before, strict=True):
        for weights, start in zip(network.parameters(), old, strict=True):
            assert weights.grad is not None
            # Adam's first step: the moments, freed of their bias, are the gradient and its square.
            step = 1e-3 * weights.grad / (weights.grad.abs() + 1e-8)
            torch.testing.assert_close(weights.detach(), start - step, rtol=1e-6, atol=1e-9)


def test_update_gives_the_generator_no_gradient_of_the_discriminators_loss() -> None:
    names = ("weight_adv", "weight_con", "weight_adcon", "weight_lat")
    weights: dict[str, Any] = dict.fromkeys(names, 0.0)
    detector = _detector(**weights)
    detector.update(_images(16), _images(8, seed=1))
    gradients = _gradients(detector.generator).values()
    assert max(gradient.abs().max().item() for gradient in gradients) == 0


def test_update_gives_the_discriminator_no_gradient_of_the_generators_loss() -> None:
    one = _detector()
    other = _detector(weight_adv=90.0, weight_con=3.0, weight_adcon=0.0, weight_lat=70.0)
    for detector in (one, other):
        detector.update(_images(16), _images(8, seed=1))
    torch.testing.assert_close(
        _gradients(one.discriminator), _gradients(other.discriminator), rtol=0, atol=0
    )


def test_update_returns_every_loss_detached() -> None:
    losses = _detector().update(_images(16), _images(8, seed=1))
    assert set(losses) == {
        *("adv", "con", "lat", "adcon", "anomalous_con", "anomalous_lat", "loss_g", "loss_d")
    }
    assert all(loss.shape == () and not loss.requires_grad for loss in losses.values())


def test_update_returns_no_loss_of_anomalies_at_ratio_0() -> None:
    losses = _detector().update(_images(16), None)
    assert set(losses) == {"adv", "con", "lat", "adcon", "loss_g", "loss_d"}


def test_update_skips_the_contextual_adversarial_loss_at_weight_0() -> None:
    detector = _detector(weight_adcon=0.0)
    losses = detector.update(_images(16), _images(8, seed=1))
    assert "adcon" not in losses
    assert math.isfinite(losses["loss_g"].item())


@pytest.mark.parametrize("backbone", _BACKBONES)
def test_updates_at_weight_0_train_as_without_a_second_pass(backbone: str) -> None:
    detector = _double(_detector(backbone=backbone, weight_adcon=0.0))
    plain = _double(_detector(backbone=backbone, weight_adcon=0.0))
    normals, anomalies = _images(16).double(), _images(8, seed=1).double()
    detector.update(normals, anomalies)
    plain.discriminator.requires_grad_(False)
    _plain_generator_loss(plain, normals, anomalies).backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(
        _gradients(detector.generator), _gradients(plain.generator), rtol=1e-6, atol=1e-9
    )


def test_updates_lower_the_reconstruction_error_of_normal_images() -> None:
    detector, normals = _detector(backbone="unet++", base_width=8, lr=2e-3), _images(16)
    means = [detector.update(normals, None)["con"].item() for _ in range(40)]
    assert means[-1] < 0.5 * means[0]


def test_a_higher_weight_drives_a_reconstruction_from_its_own_reconstruction() -> None:
    def distance(weight_adcon: float) -> float:
        detector = _detector(weight_adcon=weight_adcon, lr=2e-3)
        for step in range(40):
            detector.update(_images(16, seed=step % 4), None)
        with torch.no_grad():
            x_hat = detector.generator(_images(16))
            return float((x_hat - detector.generator(x_hat)).abs().mean())

    distances = [distance(weight_adcon) for weight_adcon in (0.0, 100.0)]
    assert distances[1] > 2 * distances[0]


@pytest.mark.parametrize("backbone", _BACKBONES)
def test_scores_do_not_depend_on_the_batch_or_its_order(backbone: str) -> None:
    detector, images = _trained(backbone=backbone), _images(256, seed=9)
    whole = detector.score(images)
    order = torch.randperm(256, generator=torch.Generator().manual_seed(1))
    for size in (1, 7, 256):
        pieces = torch.cat([detector.score(some) for some in torch.split(images[order], size)])
        assert (pieces - whole[order]).abs().max() < 1e-4


def test_a_score_does_not_depend_on_its_neighbours() -> None:
    detector, images = _trained(), _images(8, seed=9)
    among_others = torch.cat([images[:1], torch.ones(63, 1, 16, 16)])
    assert (detector.score(among_others)[0] - detector.score(images)[0]).abs() < 1e-4


def test_a_score_is_the_norm_of_the_reconstruction_error() -> None:
    detector, images = _trained(), _images(8, seed=9)
    detector.generator.eval()
    with torch.no_grad():
        error = (images - detector.generator(images)).flatten(1).double()
    expected = [math.sqrt(sum(value * value for value in one)) for one in error.tolist()]
    scores = detector.score(images)
    assert scores.shape == (8,)
    assert scores.tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_scoring_leaves_weights_and_batch_statistics_untouched(network: str) -> None:
    detector = _trained()
    before = {
        name: value.clone() for name, value in getattr(detector, network).state_dict().items()
    }
    detector.score(_images(64, seed=9))
    torch.testing.assert_close(getattr(detector, network).state_dict(), before, rtol=0, atol=0)


def test_scoring_between_updates_changes_no_update() -> None:
    quiet, scored = _detector(), _detector()
    for step in range(3):
        scored.score(_images(5, seed=50 + step))
        for detector in (quiet, scored):
            detector.update(_images(16, seed=step), None)
    torch.testing.assert_close(
        quiet.generator.state_dict(), scored.generator.state_dict(), rtol=0, atol=0
    )


def test_scores_carry_no_gradient() -> None:
    assert not _detector().score(_images(2)).requires_grad


@pytest.mark.parametrize("backbone", _BACKBONES)
@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_an_equal_seed_gives_equal_weights(backbone: str, network: str) -> None:
    torch.manual_seed(1)
    one = getattr(_detector(backbone=backbone, seed=3), network)
    torch.manual_seed(2)
    other = getattr(_detector(backbone=backbone, seed=3), network)
    torch.testing.assert_close(one.state_dict(), other.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_another_seed_gives_other_weights(network: str) -> None:
    one, other = (getattr(_detector(seed=seed), network).state_dict() for seed in (3, 4))
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_both_networks_are_as_wide_as_the_configuration_has_it() -> None:
    detector = _detector(base_width=6, discriminator_width=5)
    widths = [
        next(one.parameters()).shape[0] for one in (detector.generator, detector.discriminator)
    ]
    assert widths == [6, 5]


@pytest.mark.parametrize(("backbone", "image_px"), list(itertools.product(_BACKBONES, [16, 32])))
def test_build_detector_returns_one_that_trains_and_scores(backbone: str, image_px: int) -> None:
    config = Agad(backbone=backbone, **_TINY)
    rng = torch.Generator().manual_seed(0)
    detector = build_detector(config, (1, image_px, image_px), rng, _CPU)
    detector.update(_images(4, image_px=image_px), _images(2, image_px=image_px))
    assert detector.score(_images(3, image_px=image_px)).isfinite().all()
