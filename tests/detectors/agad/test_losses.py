"""The losses against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from agad.detectors.agad.losses import (
    adversarial_loss,
    contextual_adversarial_loss,
    contextual_loss,
    latent_loss,
    reciprocal,
)

_LOGITS = [-3.0, -0.5, 0.0, 2.0]


def _images(*greys: float) -> Tensor:
    """One 1 x 2 x 2 image for each grey."""
    values = torch.tensor(greys, dtype=torch.float64)
    return values.view(-1, 1, 1, 1).expand(-1, 1, 2, 2).clone().requires_grad_()


@pytest.mark.parametrize("is_real", [True, False], ids=["real", "not-real"])
def test_adversarial_loss_is_minus_the_log_likelihood_of_the_target_in_each_image(
    is_real: bool,
) -> None:
    chances = [1 / (1 + math.exp(-logit)) for logit in _LOGITS]
    expected = [-math.log(chance if is_real else 1 - chance) for chance in chances]
    logits = torch.tensor(_LOGITS, dtype=torch.float64)
    assert adversarial_loss(logits, is_real=is_real).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("is_real", "expected"), [(True, [500, 0]), (False, [0, 500])])
def test_adversarial_loss_stays_finite_where_a_probability_rounds_to_0(
    is_real: bool, expected: list[float]
) -> None:
    logits = torch.tensor([-500.0, 500.0])
    assert adversarial_loss(logits, is_real=is_real).tolist() == pytest.approx(expected)


def test_contextual_loss_is_the_mean_absolute_difference_of_each_image() -> None:
    losses = contextual_loss(_images(0.5, -1.0), _images(0.25, 1.0))
    assert losses.tolist() == pytest.approx([0.25, 2.0])


def test_contextual_loss_is_a_mean_over_pixels_and_channels_alike() -> None:
    x = torch.zeros(1, 3, 2, 2)
    x_hat = torch.zeros(1, 3, 2, 2)
    x_hat[0, 1, 0, 1] = -6.0
    assert contextual_loss(x, x_hat).tolist() == pytest.approx([0.5])


def test_latent_loss_is_the_mean_squared_difference_of_each_image() -> None:
    z, z_hat = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[1.0, 0.0], [3.0, 0.0]])
    assert latent_loss(z, z_hat).tolist() == pytest.approx([2, 4.5])


def test_latent_loss_takes_the_latent_of_the_real_image_as_constant() -> None:
    z = torch.tensor([[1.0, 2.0]], requires_grad=True)
    z_hat = torch.tensor([[0.0, 0.0]], requires_grad=True)
    latent_loss(z, z_hat).sum().backward()  # type: ignore[no-untyped-call]
    assert z.grad is None
    assert z_hat.grad is not None


def test_contextual_adversarial_loss_is_minus_the_mean_absolute_difference_of_each_image() -> None:
    losses = contextual_adversarial_loss(_images(0.5, -1.0), _images(0.25, 1.0))
    assert losses.tolist() == pytest.approx([-0.25, -2.0])


def test_contextual_adversarial_loss_lets_gradients_through_both_images() -> None:
    x_hat, again = _images(0.5, -1.0), _images(0.25, 1.0)
    contextual_adversarial_loss(x_hat, again).sum().backward()  # type: ignore[no-untyped-call]
    assert x_hat.grad is not None
    assert again.grad is not None
    torch.testing.assert_close(x_hat.grad, -again.grad)
    assert x_hat.grad.abs().min() > 0


@pytest.mark.parametrize(
    ("of_each", "expected"), [(False, 1 / 2.5), (True, (1 / 1 + 1 / 4) / 2)], ids=["batch", "image"]
)
def test_reciprocal_is_of_the_batchs_mean_or_of_each_image(of_each: bool, expected: float) -> None:
    losses = torch.tensor([1.0, 4.0], dtype=torch.float64)
    assert reciprocal(losses, 0.0, of_each=of_each).item() == pytest.approx(expected)


@pytest.mark.parametrize("of_each", [False, True], ids=["batch", "image"])
def test_reciprocal_adds_eps_to_the_loss(of_each: bool) -> None:
    value = reciprocal(torch.zeros(2, dtype=torch.float64), 1e-6, of_each=of_each)
    assert value.item() == pytest.approx(1e6)


@pytest.mark.parametrize("of_each", [False, True], ids=["batch", "image"])
def test_reciprocal_falls_as_the_loss_of_any_image_grows(of_each: bool) -> None:
    losses = torch.tensor([1.0, 4.0], requires_grad=True)
    reciprocal(losses, 1e-6, of_each=of_each).backward()  # type: ignore[no-untyped-call]
    assert losses.grad is not None
    assert losses.grad.max() < 0
