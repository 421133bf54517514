"""The losses of AGAD, one function an equation.

Axes: B images in a batch, C channels, H rows, W columns, Z latent units. Every loss has one value
an image, shape ``(B,)``; a batch's loss is their mean.

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
    return functional.binary_cross_entropy_with_logits(logit, target, reduction="none")


def contextual_loss(x: Tensor, x_hat: Tensor) -> Tensor:
    """Mean |x - x_hat| of each image, both ``(B, C, H, W)``. Source: equation 6."""
    return (x_hat - x).abs().flatten(1).mean(1)


def latent_loss(z: Tensor, z_hat: Tensor) -> Tensor:
    """Mean squared difference of two latents, ``(B, Z)``; ``z`` is taken as constant.

    Source: equation 7, which prints a norm; the mean square is what its lineage computes.
    """
    return (z_hat - z.detach()).square().mean(1)


def contextual_adversarial_loss(x_hat: Tensor, x_hat_again: Tensor) -> Tensor:
    """Minus mean |x_hat - G(x_hat)|: negative, so that a positive weight drives them apart.

    The gradient flows through both. Source: equation 8.
    """
    return -contextual_loss(x_hat, x_hat_again)


def reciprocal(loss: Tensor, eps: float, *, of_each: bool) -> Tensor:
    """1 / (loss + eps), which makes the loss grow as it falls. Source: equation 10.

    Args:
        loss: At least 0, shape ``(B,)``.
        eps: Bounds the result by 1 / eps.
        of_each: Take it of each image, then the mean; otherwise of the batch's mean.

    Returns:
        A tensor without axes.
    """
    if of_each:
        return (loss + eps).reciprocal().mean()
    return (loss.mean() + eps).reciprocal()
