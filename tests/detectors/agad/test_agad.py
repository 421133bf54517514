"""Algorithm 1, against values worked out by hand and an implementation that shares no code."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
import torch
from torch import Tensor, nn

from agad.detectors import Agad
from agad.detectors.agad.training import AgadDetector
from agad.detectors.compute import Compute

MakeDetector: TypeAlias = Callable[..., AgadDetector]
MakeImages: TypeAlias = Callable[..., Tensor]

_BACKBONES = ("naive", "unet", "unet++")
_WEIGHTS = ("weight_adv", "weight_con", "weight_adcon", "weight_lat")


class _Scale(nn.Module):
    """Generator stub: G(x) = factor x."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor, dtype=torch.float64))

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


def _stub(detector: AgadDetector, *, scale: float = 0.5, logit: float = 0.0) -> _Scale:
    """Replace both networks: G(x) = x / 2 and D's probability 1/2, where nothing else is said."""
    generator = _Scale(scale)
    detector._generate = generator
    detector._discriminate = _MeanLogit(logit)
    return generator


def _normal(detector: AgadDetector, x: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    return detector._normal_losses(detector._pass(x))


def _anomalous(detector: AgadDetector, x: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    return detector._anomalous_losses(detector._pass(x))


def _gradients(network: nn.Module) -> dict[str, Tensor]:
    return {
        name: weights.grad.clone()
        for name, weights in network.named_parameters()
        if weights.grad is not None
    }


@pytest.fixture
def x() -> Tensor:
    return torch.full((4, 1, 16, 16), 0.8, dtype=torch.float64)


def test_the_losses_of_normal_images_are_those_worked_out_by_hand(
    x: Tensor, make_detector: MakeDetector
) -> None:
    detector = make_detector(reciprocal_eps=1e-12)
    _stub(detector)
    loss_g, loss_d, losses = _normal(detector, x)
    assert loss_g.item() == pytest.approx(18.493147, abs=1e-6)
    assert loss_d.item() == pytest.approx(1.386294, abs=1e-6)
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(
        {"adv": math.log(2), "con": 0.4, "lat": 0.16, "adcon": -0.2, "expansion": 0.5}
    )


@pytest.mark.parametrize("reciprocal_of", ["batch", "image"])
@pytest.mark.parametrize(
    ("anomaly_term", "expected"),
    [("eq3", 70.192695), ("alg1", 107.692695), ("both", 145.192695)],
    ids=["eq3", "alg1", "both"],
)
def test_the_losses_of_anomalies_are_those_worked_out_by_hand(
    anomaly_term: str, reciprocal_of: str, expected: float, x: Tensor, make_detector: MakeDetector
) -> None:
    detector = make_detector(
        reciprocal_eps=1e-12, anomaly_term=anomaly_term, reciprocal_of=reciprocal_of
    )
    _stub(detector)
    loss_g, loss_d, losses = _anomalous(detector, x)
    assert loss_g.item() == pytest.approx(expected, abs=1e-6)
    assert loss_d.item() == pytest.approx(0.693147, abs=1e-6)
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(
        {"anomalous_con": 0.4, "anomalous_lat": 0.16}
    )


@pytest.mark.parametrize(
    ("reciprocal_of", "expected"),
    [
        # Of x = .8 and x = .4, |x - x / 2| is .4 and .2, and the latents differ by .16 and .04.
        ("batch", 1 / math.log(2) + 15 / 0.3 + 5 / 0.1),
        ("image", 1 / math.log(2) + 15 * (2.5 + 5) / 2 + 5 * (6.25 + 25) / 2),
    ],
)
def test_a_reciprocal_is_of_the_batchs_mean_or_of_each_image(
    reciprocal_of: str, expected: float, x: Tensor, make_detector: MakeDetector
) -> None:
    detector = make_detector(reciprocal_eps=1e-12, reciprocal_of=reciprocal_of)
    _stub(detector)
    unequal = torch.cat([x, x / 2])
    assert _anomalous(detector, unequal)[0].item() == pytest.approx(expected)


def test_the_discriminator_is_asked_about_the_right_images(
    x: Tensor, make_detector: MakeDetector
) -> None:
    detector = make_detector(reciprocal_eps=1e-12)
    # The logit is .8 for x and .4 for its reconstruction; softplus(-l) = -log sigmoid(l).
    _stub(detector, logit=1.0)
    softplus = {logit: math.log1p(math.exp(logit)) for logit in (-0.8, -0.4, 0.4, 0.8)}
    normal_g, normal_d, _ = _normal(detector, x)
    anomalous_g, anomalous_d, _ = _anomalous(detector, x)
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
        ("weight_adcon", -0.2, 2.5 + 5),
        ("weight_lat", 0.16, 6.25),
    ],
)
def test_each_weight_multiplies_its_own_terms(
    weight: str, normal: float, anomalous: float, x: Tensor, make_detector: MakeDetector
) -> None:
    weights: dict[str, Any] = dict.fromkeys(_WEIGHTS, 0.0) | {weight: 7.0}
    detector = make_detector(reciprocal_eps=1e-12, anomaly_term="both", **weights)
    _stub(detector)
    found = [_normal(detector, x)[0].item(), _anomalous(detector, x)[0].item()]
    assert found == pytest.approx([7 * normal, 7 * anomalous])


@pytest.mark.parametrize(
    ("is_detached", "expected"),
    [
        # -|ax - aax| = -.8 a (1 - a), whose slope at a = .25 is -.8 (1 - 2a).
        (False, -0.4),
        # With ax taken as the constant .2, -.2 (1 - a) has the slope .2.
        (True, 0.2),
    ],
    ids=["through-both", "detached"],
)
def test_the_second_pass_lets_the_gradient_through_the_rebuilt_image_unless_detached(
    is_detached: bool, expected: float, x: Tensor, make_detector: MakeDetector
) -> None:
    weights: dict[str, Any] = dict.fromkeys(_WEIGHTS, 0.0) | {"weight_adcon": 1.0}
    detector = make_detector(detach_second_pass=is_detached, **weights)
    generator = _stub(detector, scale=0.25)
    loss_g, _, _ = _normal(detector, x)
    loss_g.backward()  # type: ignore[no-untyped-call]
    assert generator.factor.grad is not None
    assert generator.factor.grad.item() == pytest.approx(expected)


def _each(values: Tensor) -> Tensor:
    return values.reshape(len(values), -1).mean(1)


def _upside_down(config: Agad, values: Tensor) -> Tensor:
    if config.reciprocal_of == "batch":
        return 1 / (values.sum() / len(values) + config.reciprocal_eps)
    return torch.stack([1 / (value + config.reciprocal_eps) for value in values]).mean()


def _plain_generator_loss(detector: AgadDetector, x: Tensor, anomalies: Tensor | None) -> Tensor:
    generator, discriminator, config = detector.generator, detector.discriminator, detector.config
    weight_adcon = config.weight_adcon if config.contextual_adversarial else 0.0

    def passed_again(x_hat: Tensor) -> Tensor:
        x_hat = x_hat.detach() if config.detach_second_pass else x_hat
        return _each((x_hat - generator(x_hat)).abs())

    x_hat = generator(x)
    (_, z), (logit_hat, z_hat) = discriminator(x), discriminator(x_hat)
    loss: Tensor = (
        config.weight_adv * -torch.log(torch.sigmoid(logit_hat)).mean()
        + config.weight_con * (x - x_hat).abs().mean()
        - weight_adcon * passed_again(x_hat).mean()
        + config.weight_lat * (z - z_hat).pow(2).mean()
    )
    if anomalies is None:
        return loss
    x_hat = generator(anomalies)
    (_, z), (logit_hat, z_hat) = discriminator(anomalies), discriminator(x_hat)
    middle = {
        "eq3": lambda: _upside_down(config, _each((anomalies - x_hat).abs())),
        "alg1": lambda: _upside_down(config, passed_again(x_hat)),
    }
    terms = ("eq3", "alg1") if config.anomaly_term == "both" else (config.anomaly_term,)
    fake = -torch.log(1 - torch.sigmoid(logit_hat))
    anomalous: Tensor = (
        config.weight_adv * _upside_down(config, fake)
        + sum(config.weight_adcon * middle[term]() for term in terms)
        + config.weight_lat * _upside_down(config, _each((z - z_hat) ** 2))
    )
    return loss + anomalous


def _plain_discriminator_loss(
    detector: AgadDetector, x: Tensor, anomalies: Tensor | None
) -> Tensor:
    chance, _ = detector.discriminator(x)
    chance_hat, _ = detector.discriminator(detector.generator(x).detach())
    loss = (
        -torch.log(torch.sigmoid(chance)).mean() - torch.log(1 - torch.sigmoid(chance_hat)).mean()
    )
    if anomalies is None:
        return loss
    chance, _ = detector.discriminator(anomalies)
    return loss - torch.log(1 - torch.sigmoid(chance)).mean()


def _double(detector: AgadDetector) -> AgadDetector:
    """Take both networks to float64, in which two orders of summation agree."""
    detector.generator.double()
    detector.discriminator.double()
    return detector


_OPTIONS: list[dict[str, Any]] = [
    {"backbone": "naive"},
    {"backbone": "naive", "bottleneck_px": 2},
    {"backbone": "unet"},
    {"backbone": "unet++"},
    {"backbone": "unet", "generator_norm": False},
    {"backbone": "unet", "tanh_output": False},
    {"backbone": "unet", "contextual_adversarial": False},
    {"backbone": "unet", "detach_second_pass": True},
    {"backbone": "unet", "detach_second_pass": True, "anomaly_term": "alg1"},
    {"backbone": "unet", "anomaly_term": "alg1"},
    {"backbone": "unet", "anomaly_term": "both", "reciprocal_of": "image"},
    {"backbone": "unet", "reciprocal_of": "image"},
    {"backbone": "unet", "weight_adcon": 0.0},
    {"backbone": "unet", "weight_adcon": 0.0, "anomaly_term": "both"},
]


@pytest.mark.parametrize("num_anomalies", [0, 8], ids=["ratio-0", "anomalies"])
@pytest.mark.parametrize(
    "options", _OPTIONS, ids=lambda one: "-".join(f"{name}={one[name]}" for name in one)
)
def test_update_gives_each_network_the_gradient_of_its_own_loss_alone(
    options: dict[str, Any],
    num_anomalies: int,
    make_detector: MakeDetector,
    make_images: MakeImages,
) -> None:
    normals = make_images(16).double()
    anomalies = make_images(num_anomalies, seed=1).double() if num_anomalies else None
    detector, plain = (_double(make_detector(**options)) for _ in range(2))
    losses = detector.update(normals, anomalies)

    plain.discriminator.requires_grad_(False)
    expected_g = _plain_generator_loss(plain, normals, anomalies)
    expected_g.backward()  # type: ignore[no-untyped-call]
    plain.discriminator.requires_grad_(True)
    plain.generator.requires_grad_(False)
    expected_d = _plain_discriminator_loss(plain, normals, anomalies)
    expected_d.backward()  # type: ignore[no-untyped-call]

    assert losses["loss_g"].item() == pytest.approx(expected_g.item(), rel=1e-9)
    assert losses["loss_d"].item() == pytest.approx(expected_d.item(), rel=1e-9)
    for network, expected in (
        (detector.generator, plain.generator),
        (detector.discriminator, plain.discriminator),
    ):
        assert len(_gradients(network)) == len(list(network.parameters()))
        torch.testing.assert_close(_gradients(network), _gradients(expected), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("backbone", _BACKBONES)
def test_update_takes_adams_first_step_of_both_networks(
    backbone: str, make_detector: MakeDetector, make_images: MakeImages
) -> None:
    detector = _double(make_detector(backbone=backbone, lr=1e-3))
    networks = (detector.generator, detector.discriminator)
    before = [[weights.detach().clone() for weights in one.parameters()] for one in networks]
    detector.update(make_images(16).double(), make_images(8, seed=1).double())
    for network, old in zip(networks, before, strict=True):
        for weights, start in zip(network.parameters(), old, strict=True):
            assert weights.grad is not None
            # Adam's first step: the moments, freed of their bias, are the gradient and its square.
            step = 1e-3 * weights.grad / (weights.grad.abs() + 1e-8)
            torch.testing.assert_close(weights.detach(), start - step, rtol=1e-6, atol=1e-9)


def test_update_gives_the_generator_no_gradient_of_the_discriminators_loss(
    make_detector: MakeDetector, make_images: MakeImages
) -> None:
    detector = make_detector(**dict.fromkeys(_WEIGHTS, 0.0))
    detector.update(make_images(16), make_images(8, seed=1))
    gradients = _gradients(detector.generator).values()
    assert max(gradient.abs().max().item() for gradient in gradients) == 0


def test_update_gives_the_discriminator_no_gradient_of_the_generators_loss(
    make_detector: MakeDetector, make_images: MakeImages
) -> None:
    one = make_detector()
    other = make_detector(weight_adv=90.0, weight_con=3.0, weight_adcon=0.0, weight_lat=70.0)
    for detector in (one, other):
        detector.update(make_images(16), make_images(8, seed=1))
    torch.testing.assert_close(
        _gradients(one.discriminator), _gradients(other.discriminator), rtol=0, atol=0
    )


def test_update_returns_every_loss_detached(
    make_detector: MakeDetector, make_images: MakeImages
) -> None:
    losses = make_detector().update(make_images(16), make_images(8, seed=1))
    normal = {"adv", "con", "lat", "adcon", "expansion", "loss_g", "loss_d"}
    assert set(losses) == normal | {"anomalous_con", "anomalous_lat"}
    assert all(loss.shape == () and not loss.requires_grad for loss in losses.values())


def test_update_returns_no_loss_of_anomalies_at_ratio_0(
    make_detector: MakeDetector, make_images: MakeImages
) -> None:
    losses = make_detector().update(make_images(16), None)
    assert set(losses) == {"adv", "con", "lat", "adcon", "expansion", "loss_g", "loss_d"}


@pytest.mark.parametrize("backbone", _BACKBONES)
def test_expansion_is_how_much_further_the_second_pass_moves_an_image_than_the_first(
    backbone: str, make_detector: MakeDetector, make_images: MakeImages
) -> None:
    normals = make_images(16)
    detector, twin = make_detector(backbone=backbone), make_detector(backbone=backbone)
    with torch.no_grad():
        x_hat = twin.generator.train()(normals)
        again = twin.generator(x_hat)
    expected = (x_hat - again).abs().mean().item() / (normals - x_hat).abs().mean().item()
    losses = detector.update(normals, make_images(8, seed=1))
    assert losses["expansion"].item() == pytest.approx(expected, rel=1e-5)


def test_updates_lower_the_reconstruction_error_of_normal_images(
    make_detector: MakeDetector, make_images: MakeImages
) -> None:
    detector = make_detector(backbone="unet++", base_width=8, lr=2e-3)
    normals = make_images(16)
    means = [detector.update(normals, None)["con"].item() for _ in range(40)]
    assert means[-1] < 0.5 * means[0]


@pytest.mark.parametrize("backbone", ["naive", "unet"])
def test_a_higher_weight_drives_a_reconstruction_from_its_own_reconstruction(
    backbone: str, make_detector: MakeDetector, make_images: MakeImages
) -> None:
    def distance(weight_adcon: float) -> float:
        detector = make_detector(backbone=backbone, weight_adcon=weight_adcon, lr=2e-3)
        for step in range(40):
            detector.update(make_images(16, seed=step % 4), None)
        with torch.no_grad():
            x_hat = detector.generator(make_images(16))
            return float((x_hat - detector.generator(x_hat)).abs().mean())

    distances = [distance(weight_adcon) for weight_adcon in (0.0, 100.0)]
    assert distances[1] > 2 * distances[0]


@pytest.mark.parametrize("backbone", _BACKBONES)
@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_an_equal_seed_gives_equal_weights(
    backbone: str, network: str, make_detector: MakeDetector
) -> None:
    torch.manual_seed(1)
    one = getattr(make_detector(backbone=backbone, seed=3), network)
    torch.manual_seed(2)
    other = getattr(make_detector(backbone=backbone, seed=3), network)
    torch.testing.assert_close(one.state_dict(), other.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_another_seed_gives_other_weights(network: str, make_detector: MakeDetector) -> None:
    one, other = (getattr(make_detector(seed=seed), network).state_dict() for seed in (3, 4))
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_both_networks_are_as_wide_as_the_configuration_has_it(make_detector: MakeDetector) -> None:
    detector = make_detector(base_width=6, discriminator_width=5)
    widths = [
        next(one.parameters()).shape[0] for one in (detector.generator, detector.discriminator)
    ]
    assert widths == [6, 5]


@pytest.mark.parametrize("image_px", [16, 32])
@pytest.mark.parametrize("backbone", _BACKBONES)
def test_build_returns_one_that_trains_and_scores(
    backbone: str, image_px: int, make_images: MakeImages
) -> None:
    config = Agad(backbone=backbone, base_width=4, discriminator_width=4)
    rng = torch.Generator().manual_seed(0)
    detector = config.build((1, image_px, image_px), rng, Compute())
    detector.update(make_images(4, image_px=image_px), make_images(2, image_px=image_px))
    assert detector.score(make_images(3, image_px=image_px)).isfinite().all()
