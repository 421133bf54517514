"""What an option changes, and that it changes nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
import torch
from torch import Tensor, nn

from agad.detectors.agad.training import AgadDetector

MakeDetector: TypeAlias = Callable[..., AgadDetector]
MakeImages: TypeAlias = Callable[..., Tensor]

_BACKBONES = ("naive", "unet", "unet++")
_ALONE: dict[str, Any] = {"contextual_adversarial": False}
"""With no second pass, what moves the running statistics is the pass of x alone."""


def _statistics(network: nn.Module, *, auxiliary: bool = False) -> dict[str, Tensor]:
    return {
        name: value.clone()
        for name, value in network.named_buffers()
        if (".auxiliary." in name) == auxiliary
    }


def _trained_on(network: nn.Module, *batches: Tensor) -> tuple[nn.Module, list[Tensor]]:
    """Return a copy that has seen some batches in ``train()``, and what it made of them."""
    seen = copy.deepcopy(network).train()
    with torch.no_grad():
        return seen, [seen(batch) for batch in batches]


def _norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [one for one in network.modules() if isinstance(one, nn.BatchNorm2d)]


def _gradient_norm(network: nn.Module) -> float:
    gradients = [one.grad for one in network.parameters() if one.grad is not None]
    return float(torch.cat([gradient.flatten() for gradient in gradients]).double().norm())


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"anomaly_term": "alg1"}, {"loss_g"}),
        ({"anomaly_term": "both"}, {"loss_g"}),
        ({"reciprocal_of": "image"}, {"loss_g"}),
        ({"detach_second_pass": True}, set()),
        ({"max_grad_norm": 1e-3}, set()),
        ({"score_statistics": "image"}, set()),
        ({"reset_threshold": 10.0}, set()),
        ({"advprop": True}, set()),
        ({"contextual_adversarial": False}, {"loss_g", "adcon", "expansion"}),
        ({"weight_adcon": 0.0}, {"loss_g", "adcon", "expansion"}),
        ({"anomaly_pass": "frozen"}, {"loss_g", "anomalous_con", "anomalous_lat"}),
    ],
    ids=lambda one: "-".join(map(str, one)) if isinstance(one, dict) else "",
)
def test_an_option_changes_these_losses_of_the_first_step_and_no_other(
    changes: dict[str, Any], names: set[str], make_detector: MakeDetector, make_images: MakeImages
) -> None:
    normals, anomalies = make_images(16), make_images(8, seed=1)
    plain, changed = (
        {
            name: loss.item()
            for name, loss in make_detector(backbone="unet", **one)
            .update(normals, anomalies)
            .items()
        }
        for one in ({}, changes)
    )
    assert {name for name in plain if plain[name] != changed.get(name)} == names


@pytest.mark.parametrize(
    "changes",
    [
        {"anomaly_term": "alg1"},
        {"anomaly_term": "both"},
        {"reciprocal_of": "image"},
        {"detach_second_pass": True},
        {"contextual_adversarial": False},
        {"weight_adcon": 0.0},
        {"advprop": True},
        {"anomaly_pass": "frozen"},
        {"anomaly_pass": "mixed"},
        {"tanh_output": False},
        {"generator_norm": False},
        {"score_statistics": "image"},
    ],
    ids=lambda one: "-".join(map(str, one)),
)
def test_an_option_changes_the_scores_of_a_trained_detector(
    changes: dict[str, Any], make_detector: MakeDetector, make_images: MakeImages
) -> None:
    plain, changed = (
        make_detector(backbone="unet", lr=2e-3, num_updates=3, **one).score(make_images(8, seed=9))
        for one in ({}, changes)
    )
    assert not torch.allclose(plain, changed, rtol=1e-3)


def test_without_the_second_pass_anomalies_keep_the_term_of_equation_3(
    make_detector: MakeDetector, make_images: MakeImages
) -> None:
    with_it, without = make_detector(), make_detector(contextual_adversarial=False)
    found = []
    for detector in (with_it, without):
        anomalies = detector._pass(make_images(8, seed=1))
        found.append(detector._anomalous_losses(anomalies)[0].item())
    assert found[0] == found[1]


def test_without_its_weight_a_unet_passes_each_image_once(
    make_detector: MakeDetector, make_images: MakeImages
) -> None:
    detector = make_detector(backbone="unet", weight_adcon=0.0, anomaly_term="both")
    seen: list[Tensor] = []
    detector.generator.register_forward_hook(lambda _module, images, _out: seen.append(images[0]))
    normals, anomalies = make_images(16), make_images(8, seed=1)
    detector.update(normals, anomalies)
    assert len(seen) == 2
    torch.testing.assert_close(torch.cat(seen), torch.cat([normals, anomalies]))


@pytest.mark.parametrize("backbone", _BACKBONES)
def test_advprop_keeps_the_second_pass_out_of_the_main_statistics(
    backbone: str, make_detector: MakeDetector, make_images: MakeImages
) -> None:
    detector = make_detector(backbone=backbone, advprop=True)
    normals, anomalies = make_images(16), make_images(8, seed=1)
    expected, _ = _trained_on(detector.generator, normals, anomalies)
    detector.update(normals, anomalies)
    torch.testing.assert_close(
        _statistics(detector.generator), _statistics(expected), rtol=0, atol=0
    )


@pytest.mark.parametrize("backbone", _BACKBONES)
def test_advprops_auxiliary_statistics_are_those_of_the_second_pass(
    backbone: str, make_detector: MakeDetector, make_images: MakeImages
) -> None:
    detector = make_detector(backbone=backbone, advprop=True)
    normals = make_images(16)
    _, (x_hat,) = _trained_on(detector.generator, normals)
    # The two sets are equal before the first step, so a pass by the main one shows both.
    expected, _ = _trained_on(detector.generator, x_hat)
    detector.update(normals, make_images(8, seed=1))
    found = _statistics(detector.generator, auxiliary=True)
    main = _statistics(expected)
    assert len(found) == len(main) > 0
    torch.testing.assert_close(
        found, {name: main[name.replace(".auxiliary.", ".")] for name in found}
    )


def test_advprop_trains_both_sets(make_detector: MakeDetector, make_images: MakeImages) -> None:
    detector = make_detector(backbone="unet", advprop=True)
    detector.update(make_images(16), make_images(8, seed=1))
    gradients = [one.weight.grad for one in _norms(detector.generator)]
    assert all(one is not None and one.abs().max() > 0 for one in gradients)


def test_without_a_second_pass_advprop_moves_no_auxiliary_statistics(
    make_detector: MakeDetector, make_images: MakeImages
) -> None:
    detector = make_detector(backbone="unet", advprop=True, weight_adcon=0.0, max_grad_norm=1.0)
    before = _statistics(detector.generator, auxiliary=True)
    detector.update(make_images(16), make_images(8, seed=1))
    after = _statistics(detector.generator, auxiliary=True)
    torch.testing.assert_close(after, before, rtol=0, atol=0)


@pytest.mark.parametrize("score_statistics", ["running", "image"])
def test_scores_are_of_the_main_set_alone_with_advprop(
    score_statistics: str, make_detector: MakeDetector, make_images: MakeImages
) -> None:
    detector = make_detector(
        backbone="unet", advprop=True, score_statistics=score_statistics, num_updates=2
    )
    before = detector.score(make_images(4, seed=9))
    with torch.no_grad():
        for name, value in detector.generator.state_dict().items():
            if ".auxiliary." in name:
                value.fill_(3)
    torch.testing.assert_close(detector.score(make_images(4, seed=9)), before, rtol=0, atol=0)


@pytest.mark.parametrize("backbone", _BACKBONES)
def test_separate_anomalies_move_the_running_statistics_in_a_pass_of_their_own(
    backbone: str, make_detector: MakeDetector, make_images: MakeImages
) -> None:
    detector = make_detector(backbone=backbone, **_ALONE)
    normals, anomalies = make_images(16), make_images(8, seed=1)
    expected, (_, x_hat) = _trained_on(detector.generator, normals, anomalies)
    losses = detector.update(normals, anomalies)
    torch.testing.assert_close(_statistics(detector.generator), _statistics(expected))
    assert losses["anomalous_con"].item() == pytest.approx((anomalies - x_hat).abs().mean().item())


@pytest.mark.parametrize("backbone", _BACKBONES)
def test_mixed_anomalies_share_one_pass_and_its_statistics_with_the_normals(
    backbone: str, make_detector: MakeDetector, make_images: MakeImages
) -> None:
    detector = make_detector(backbone=backbone, anomaly_pass="mixed", **_ALONE)
    normals, anomalies = make_images(16), make_images(8, seed=1)
    expected, (x_hat,) = _trained_on(detector.generator, torch.cat([normals, anomalies]))
    losses = detector.update(normals, anomalies)
    torch.testing.assert_close(_statistics(detector.generator), _statistics(expected))
    assert losses["con"].item() == pytest.approx((normals - x_hat[:16]).abs().mean().item())
    found = losses["anomalous_con"].item()
    assert found == pytest.approx((anomalies - x_hat[16:]).abs().mean().item())


@pytest.mark.parametrize("backbone", _BACKBONES)
def test_frozen_anomalies_are_rebuilt_with_the_running_statistics(
    backbone: str, make_detector: MakeDetector, make_images: MakeImages
) -> None:
    detector = make_detector(backbone=backbone, anomaly_pass="frozen", **_ALONE)
    normals, anomalies = make_images(16), make_images(8, seed=1)
    seen, _ = _trained_on(detector.generator, normals)
    with torch.no_grad():
        x_hat = seen.eval()(anomalies)
    losses = detector.update(normals, anomalies)
    assert losses["anomalous_con"].item() == pytest.approx((anomalies - x_hat).abs().mean().item())


@pytest.mark.parametrize("advprop", [False, True], ids=["one-set", "advprop"])
@pytest.mark.parametrize("anomaly_term", ["eq3", "alg1", "both"])
@pytest.mark.parametrize("backbone", _BACKBONES)
def test_frozen_anomalies_move_no_running_statistics(
    backbone: str,
    anomaly_term: str,
    advprop: bool,
    make_detector: MakeDetector,
    make_images: MakeImages,
) -> None:
    options = {"backbone": backbone, "anomaly_term": anomaly_term, "advprop": advprop}
    normals = make_images(16)
    buffers = []
    for anomalies in (None, make_images(8, seed=1)):
        detector = make_detector(anomaly_pass="frozen", **options)
        detector.update(normals, anomalies)
        buffers.append(dict(detector.generator.named_buffers()))
    torch.testing.assert_close(buffers[0], buffers[1], rtol=0, atol=0)


@pytest.mark.parametrize("anomaly_term", ["eq3", "alg1"])
def test_frozen_anomalies_give_the_generator_gradients(
    anomaly_term: str, make_detector: MakeDetector, make_images: MakeImages
) -> None:
    detector = make_detector(backbone="unet", anomaly_pass="frozen", anomaly_term=anomaly_term)
    detector.generator.train()
    detector._anomalous_losses(detector._pass(make_images(8), "running"))[0].backward()  # type: ignore[no-untyped-call]
    gradients = [one.grad for one in detector.generator.parameters()]
    assert all(one is not None for one in gradients)
    assert _gradient_norm(detector.generator) > 0


def test_without_generator_norm_the_generator_rebuilds_each_image_alone_in_training(
    make_detector: MakeDetector, make_images: MakeImages
) -> None:
    detector, images = make_detector(backbone="unet", generator_norm=False), make_images(8)
    assert _norms(detector.generator) == []
    assert len(_norms(detector.discriminator)) > 0
    generator = detector.generator.train()
    torch.testing.assert_close(generator(images)[:1], generator(images[:1]))


def test_max_grad_norm_shortens_the_generators_gradient_and_keeps_its_direction(
    make_detector: MakeDetector, make_images: MakeImages
) -> None:
    free, short = (make_detector(max_grad_norm=norm) for norm in (None, 0.25))
    for detector in (free, short):
        detector.update(make_images(16), make_images(8, seed=1))
    length = _gradient_norm(free.generator)
    assert length > 1
    assert _gradient_norm(short.generator) == pytest.approx(0.25, rel=1e-4)
    for long, one in zip(free.generator.parameters(), short.generator.parameters(), strict=True):
        assert long.grad is not None
        torch.testing.assert_close(one.grad, long.grad * (0.25 / length), rtol=1e-3, atol=1e-7)


def test_max_grad_norm_leaves_a_shorter_gradient_and_the_discriminators_as_they_are(
    make_detector: MakeDetector, make_images: MakeImages
) -> None:
    free, short, wide = (make_detector(max_grad_norm=norm) for norm in (None, 1e-3, 1e6))
    for detector in (free, short, wide):
        detector.update(make_images(16), make_images(8, seed=1))
    assert _gradient_norm(wide.generator) == _gradient_norm(free.generator)
    assert _gradient_norm(short.discriminator) == _gradient_norm(free.discriminator)
