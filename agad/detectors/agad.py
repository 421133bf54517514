"""AGAD: Algorithm 1 and the score.

Axes: B images in a batch, C channels, H rows, W columns.

Source: "AGAD: Adversarial Generative Anomaly Detection", arXiv 2304.04211.
"""

from __future__ import annotations

import torch
from torch import Tensor

from agad.config import Agad
from agad.detectors.losses import (
    adversarial_loss,
    contextual_adversarial_loss,
    contextual_loss,
    latent_loss,
    reciprocal,
)
from agad.detectors.networks import Discriminator, NaiveGenerator, UNetPlusPlus, initialise

_GENERATORS: dict[str, type[NaiveGenerator] | type[UNetPlusPlus]] = {
    "naive": NaiveGenerator,
    "unet++": UNetPlusPlus,
}


class AgadDetector:
    """A generator that rebuilds normal images well and anomalous ones badly.

    The threshold to reset the discriminator, which Algorithm 1 declares and no line of it uses, is
    not applied.
    """

    def __init__(
        self,
        config: Agad,
        image_shape: tuple[int, int, int],
        rng: torch.Generator,
        device: torch.device,
    ) -> None:
        """Build both networks on the CPU, so that a seed gives equal weights on every device.

        Args:
            config: Networks, loss weights, learning rate.
            image_shape: Channels, height and width.
            rng: Source of the initial weights, on the CPU.
            device: Where to train.
        """
        channels, image_px, _ = image_shape
        self.config = config
        self.device = device
        generator_type = _GENERATORS[config.backbone]
        self.generator = generator_type(channels, image_px, config.generator_width)
        self.discriminator = Discriminator(channels, image_px, config.discriminator_width)
        initialise(self.generator, rng, he=config.backbone == "unet++")
        initialise(self.discriminator, rng, he=False)
        self.generator.to(device)
        self.discriminator.to(device)
        betas = (config.beta1, 0.999)
        self._weights_g = list(self.generator.parameters())
        self._weights_d = list(self.discriminator.parameters())
        self._adam_g = torch.optim.Adam(self._weights_g, lr=config.lr, betas=betas)
        self._adam_d = torch.optim.Adam(self._weights_d, lr=config.lr, betas=betas)

    def update(self, normals: Tensor, anomalies: Tensor | None) -> dict[str, Tensor]:
        """Take one step of Algorithm 1: the generator's, then the discriminator's.

        Normals and anomalies go through the networks separately, each with its own batch
        statistics: in one shared pass the over-sampled anomalies own the statistics.

        Args:
            normals: Shape ``(B, C, H, W)``, in [-1, 1].
            anomalies: The same of labelled anomalies, or None at ratio 0.

        Returns:
            The losses by name, on the device.
        """
        self.generator.train()
        self.discriminator.train()
        loss_g, loss_d, losses = self._normal_losses(normals)
        if anomalies is not None:
            anomalous_g, anomalous_d, more = self._anomalous_losses(anomalies)
            loss_g = loss_g + anomalous_g
            loss_d = loss_d + anomalous_d
            losses |= more

        # Both gradients come from the same forward passes, before either network moves; the
        # rebuilt image is a constant to the discriminator, since only its own weights are asked.
        self._adam_g.zero_grad(set_to_none=True)
        self._adam_d.zero_grad(set_to_none=True)
        torch.autograd.backward(loss_g, inputs=self._weights_g, retain_graph=True)
        torch.autograd.backward(loss_d, inputs=self._weights_d)
        self._adam_g.step()
        self._adam_d.step()
        losses |= {"loss_g": loss_g.detach(), "loss_d": loss_d.detach()}
        return losses

    def _normal_losses(self, x: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """L_g and L_d of normal images. Source: equation 9; Algorithm 1."""
        config = self.config
        x_hat = self.generator(x)
        logit, z = self.discriminator(x)
        logit_hat, z_hat = self.discriminator(x_hat)
        adv = adversarial_loss(logit_hat, is_real=True)
        con = contextual_loss(x, x_hat)
        lat = latent_loss(z, z_hat)
        losses = {"adv": adv.detach(), "con": con.detach(), "lat": lat.detach()}
        loss_g = config.weight_adv * adv + config.weight_con * con + config.weight_lat * lat
        if config.weight_adcon > 0:
            adcon = contextual_adversarial_loss(x_hat, self.generator(x_hat))
            loss_g = loss_g + config.weight_adcon * adcon
            losses["adcon"] = adcon.detach()
        loss_d = adversarial_loss(logit_hat, is_real=False) + adversarial_loss(logit, is_real=True)
        return loss_g, loss_d, losses

    def _anomalous_losses(self, x: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """L_g and L_d of labelled anomalies: reciprocals, so that they are rebuilt badly.

        The middle term takes |x - x_hat|, as equation 3, figure 1b and the text of equation 8
        have it; Algorithm 1 prints |x_hat - G(x_hat)|. The discriminator sees the anomaly itself
        as not real, and never its reconstruction.

        Source: equations 3 and 10; Algorithm 1.
        """
        config = self.config
        x_hat = self.generator(x)
        logit, z = self.discriminator(x)
        logit_hat, z_hat = self.discriminator(x_hat)
        adv = adversarial_loss(logit_hat, is_real=False)
        con = contextual_loss(x, x_hat)
        lat = latent_loss(z, z_hat)
        eps = config.reciprocal_eps
        loss_g = (
            config.weight_adv * reciprocal(adv, eps)
            + config.weight_adcon * reciprocal(con, eps)
            + config.weight_lat * reciprocal(lat, eps)
        )
        losses = {"anomalous_con": con.detach(), "anomalous_lat": lat.detach()}
        return loss_g, adversarial_loss(logit, is_real=False), losses

    @torch.no_grad()
    def score(self, images: Tensor) -> Tensor:
        """Return ||x - G(x)||_2 of each image, in ``eval()``: higher is more anomalous.

        Running statistics alone are used, so a score depends on its image only.

        Args:
            images: Shape ``(B, C, H, W)``, in [-1, 1].

        Returns:
            Shape ``(B,)``.
        """
        self.generator.eval()
        rebuilt: Tensor = self.generator(images)
        scores: Tensor = torch.linalg.vector_norm(images - rebuilt, dim=(1, 2, 3))
        return scores
