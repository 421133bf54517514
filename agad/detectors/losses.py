"""The losses of AGAD, one function an equation.

Axes: B images in a batch, C channels, H rows, W columns, Z latent units. Every loss is the mean
over the batch, a tensor without axes.

Source: "AGAD: Adversarial Generative Anomaly Detection", arXiv 2304.04211.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def adversarial_loss(logit: Tensor, *, is_real: bool) -> Tensor:
    """Binary cross-entropy of the discriminator's logit, shape ``(B,)``, against one target.

    Source: equation 5, in the explicit form of Algorithm 1.
    """
    target = torch.full_like(logit, float(is_real))
    return functional.binary_cross_entropy_with_logits(logit, target)


def contextual_loss(x: Tensor, x_hat: Tensor) -> Tensor:
    """Mean |x - x_hat|, both ``(B, C, H, W)``. Source: equation 6."""
    return functional.l1_loss(x_hat, x)


def latent_loss(z: Tensor, z_hat: Tensor) -> Tensor:
    """Mean squared difference of two latents, ``(B, Z)``; ``z`` is taken as constant.

    Source: equation 7, which prints a norm; the mean square is what its lineage computes.
    """
    return functional.mse_loss(z_hat, z.detach())


def contextual_adversarial_loss(x_hat: Tensor, x_hat_again: Tensor) -> Tensor:
    """Minus mean |x_hat - G(x_hat)|: negative, so that a positive weight drives them apart.

    The gradient flows through both. Source: equation 8.
    """
    return -functional.l1_loss(x_hat_again, x_hat)


def reciprocal(loss: Tensor, eps: float) -> Tensor:
    """1 / (loss + eps): minimising it makes the loss grow. Source: equation 10."""
    return 1.0 / (loss + eps)
