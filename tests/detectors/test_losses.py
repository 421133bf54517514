"""The losses against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from agad.detectors.losses import (
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
def test_adversarial_loss_is_the_mean_log_likelihood_of_the_target(is_real: bool) -> None:
    chances = [1 / (1 + math.exp(-logit)) for logit in _LOGITS]
    expected = -sum(math.log(chance if is_real else 1 - chance) for chance in chances) / 4
    logits = torch.tensor(_LOGITS, dtype=torch.float64)
    assert adversarial_loss(logits, is_real=is_real).item() == pytest.approx(expected)


@pytest.mark.parametrize("is_real", [True, False], ids=["real", "not-real"])
def test_adversarial_loss_stays_finite_where_a_probability_rounds_to_0(is_real: bool) -> None:
    logits = torch.tensor([-500.0, 500.0])
    assert adversarial_loss(logits, is_real=is_real).item() == pytest.approx(250)


def test_contextual_loss_is_the_mean_absolute_difference() -> None:
    assert contextual_loss(_images(0.5, -1.0), _images(0.25, 1.0)).item() == pytest.approx(1.125)


def test_latent_loss_is_the_mean_squared_difference() -> None:
    z, z_hat = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[1.0, 0.0], [3.0, 0.0]])
    assert latent_loss(z, z_hat).item() == pytest.approx(13 / 4)


def test_latent_loss_takes_the_latent_of_the_real_image_as_constant() -> None:
    z = torch.tensor([[1.0, 2.0]], requires_grad=True)
    z_hat = torch.tensor([[0.0, 0.0]], requires_grad=True)
    latent_loss(z, z_hat).backward()  # type: ignore[no-untyped-call]
    assert z.grad is None
    assert z_hat.grad is not None


def test_contextual_adversarial_loss_is_minus_the_mean_absolute_difference() -> None:
    x_hat, again = _images(0.5, -1.0), _images(0.25, 1.0)
    assert contextual_adversarial_loss(x_hat, again).item() == pytest.approx(-1.125)


def test_contextual_adversarial_loss_lets_gradients_through_both_images() -> None:
    x_hat, again = _images(0.5, -1.0), _images(0.25, 1.0)
    contextual_adversarial_loss(x_hat, again).backward()  # type: ignore[no-untyped-call]
    assert x_hat.grad is not None
    assert again.grad is not None
    torch.testing.assert_close(x_hat.grad, -again.grad)
    assert x_hat.grad.abs().min() > 0


@pytest.mark.parametrize(("loss", "eps", "expected"), [(4.0, 0.0, 0.25), (0.0, 1e-6, 1e6)])
def test_reciprocal_adds_eps_to_the_loss(loss: float, eps: float, expected: float) -> None:
    value = reciprocal(torch.tensor(loss, dtype=torch.float64), eps)
    assert value.item() == pytest.approx(expected)
