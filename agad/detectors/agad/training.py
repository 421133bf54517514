"""AGAD: Algorithm 1 and the score.

Axes: B images in a batch, C channels, H rows, W columns, Z latent units.

Source: "AGAD: Adversarial Generative Anomaly Detection", arXiv 2304.04211.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from agad.detectors.agad.batch_norm import BatchNorm, Statistics, statistics_of
from agad.detectors.agad.configuration import Agad
from agad.detectors.agad.losses import (
    adversarial_loss,
    contextual_adversarial_loss,
    contextual_loss,
    latent_loss,
    reciprocal,
)
from agad.detectors.agad.networks import (
    Discriminator,
    GeneratorShape,
    NaiveGenerator,
    UNet,
    UNetPlusPlus,
    initialise,
)
from agad.detectors.compute import Compute
from agad.detectors.protocol import StepwiseDetector

_GENERATORS: dict[str, type[NaiveGenerator] | type[UNet] | type[UNetPlusPlus]] = {
    "naive": NaiveGenerator,
    "unet": UNet,
    "unet++": UNetPlusPlus,
}
_TINY = 1e-12
"""Keeps a ratio finite where an image is rebuilt exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    """Images and what the networks make of them."""

    x: Tensor
    x_hat: Tensor
    """G(x), ``(B, C, H, W)``."""

    logit: Tensor
    z: Tensor
    logit_hat: Tensor
    z_hat: Tensor
    """The discriminator's answers to x and to G(x): ``(B,)`` and ``(B, Z)``."""

    def __getitem__(self, part: slice) -> _Pass:
        return _Pass(**{name: getattr(self, name)[part] for name in self.__slots__})


def build_generator(config: Agad, image_shape: tuple[int, int, int]) -> nn.Module:
    """Return the generator for images of ``(channels, height, width)``, its weights by chance."""
    channels, image_px, _ = image_shape
    shape = GeneratorShape(
        channels=channels,
        image_px=image_px,
        width=config.generator_width,
        has_norm=config.generator_norm,
        has_auxiliary_norm=config.advprop,
        bottleneck_px=config.bottleneck_px,
        is_bounded=config.tanh_output,
    )
    return _GENERATORS[config.backbone](shape)


class AgadDetector(StepwiseDetector):
    """A generator that rebuilds normal images well and anomalous ones badly.

    The discriminator starts anew, with its optimizer, where its mean loss over an epoch falls below
    ``reset_threshold``: the paper declares such a threshold and uses it in no line of Algorithm 1;
    its lineage looks at every step, which would make each step wait for the device.
    """

    def __init__(
        self,
        config: Agad,
        image_shape: tuple[int, int, int],
        rng: torch.Generator,
        compute: Compute,
    ) -> None:
        """Build both networks on the CPU, so that a seed gives equal weights on every device.

        Args:
            config: Networks, loss weights, learning rate.
            image_shape: Channels, height and width.
            rng: Source of the initial weights, and of those of every reset; on the CPU.
            compute: Where to train, and how.
        """
        channels, image_px, _ = image_shape
        self.config = config
        self.compute = compute
        self._rng = rng
        self.generator = build_generator(config, image_shape)
        self.discriminator = Discriminator(channels, image_px, config.discriminator_width)
        initialise(self.generator, rng, he=config.backbone != "naive")
        initialise(self.discriminator, rng, he=False)
        compute.placed(self.generator)
        compute.placed(self.discriminator)
        self._generate = compute.compiled(self.generator)
        self._discriminate = compute.compiled(self.discriminator)
        self._weights_g = list(self.generator.parameters())
        self._weights_d = list(self.discriminator.parameters())
        self._adam_g = self._adam(self._weights_g)
        self._adam_d = self._adam(self._weights_d)

    def _adam(self, weights: list[nn.Parameter]) -> torch.optim.Adam:
        return torch.optim.Adam(weights, lr=self.config.lr, betas=(self.config.beta1, 0.999))

    def update(self, normals: Tensor, anomalies: Tensor | None) -> dict[str, Tensor]:
        """Take one step of Algorithm 1: the generator's, then the discriminator's.

        Args:
            normals: Shape ``(B, C, H, W)``, in [-1, 1].
            anomalies: The same of labelled anomalies, or None at ratio 0.

        Returns:
            The losses by name, on the device; they stay what they are in later steps.
        """
        self.generator.train()
        self.discriminator.train()
        # Before the forward passes: gradients of CUDA graphs lie in memory that these write to.
        self._adam_g.zero_grad(set_to_none=True)
        self._adam_d.zero_grad(set_to_none=True)
        self.compute.begin_step()
        with self.compute.autocast():
            loss_g, loss_d, losses = self._losses(normals, anomalies)

        # Both gradients come from the same forward passes, before either network moves; the
        # rebuilt image is a constant to the discriminator, since only its own weights are asked.
        torch.autograd.backward(loss_g, inputs=self._weights_g, retain_graph=True)
        torch.autograd.backward(loss_d, inputs=self._weights_d)
        if self.config.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(self._weights_g, self.config.max_grad_norm)
        self._adam_g.step()
        self._adam_d.step()
        return losses | {"loss_g": loss_g.detach(), "loss_d": loss_d.detach()}

    def _losses(
        self, normals: Tensor, anomalies: Tensor | None
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """L_g and L_d of a batch, and their parts by name. Source: equation 11."""
        if anomalies is None:
            return self._normal_losses(self._pass(normals))
        if self.config.anomaly_pass == "mixed":
            # In one pass the statistics are those of both; the losses stay apart.
            both = self._pass(torch.cat([normals, anomalies]))
            normal, anomalous = both[: len(normals)], both[len(normals) :]
        else:
            is_frozen = self.config.anomaly_pass == "frozen"
            normal = self._pass(normals)
            anomalous = self._pass(anomalies, "running" if is_frozen else "default")
        loss_g, loss_d, losses = self._normal_losses(normal)
        anomalous_g, anomalous_d, more = self._anomalous_losses(anomalous)
        return loss_g + anomalous_g, loss_d + anomalous_d, losses | more

    def _pass(self, images: Tensor, statistics: Statistics = "default") -> _Pass:
        x = self.compute.laid_out(images)
        with statistics_of(self.generator, statistics):
            x_hat = self._generate(x)
        logit, z = self._discriminate(x)
        logit_hat, z_hat = self._discriminate(x_hat)
        made = {"x_hat": x_hat, "logit": logit, "z": z, "logit_hat": logit_hat, "z_hat": z_hat}
        # Out of autocast's bfloat16, in which a loss would have three decimal digits.
        return _Pass(x=x, **{name: one.to(x.dtype) for name, one in made.items()})

    def _normal_losses(self, images: _Pass) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """L_g and L_d of normal images. Source: equation 9; Algorithm 1."""
        config = self.config
        adv = adversarial_loss(images.logit_hat, is_real=True).mean()
        con = contextual_loss(images.x, images.x_hat).mean()
        lat = latent_loss(images.z, images.z_hat).mean()
        losses = {"adv": adv.detach(), "con": con.detach(), "lat": lat.detach()}
        loss_g = config.weight_adv * adv + config.weight_con * con + config.weight_lat * lat
        if config.contextual_adversarial and config.weight_adcon > 0:
            adcon = self._contextual_adversarial_losses(images.x_hat).mean()
            loss_g = loss_g + config.weight_adcon * adcon
            # Where it exceeds weight_con / weight_adcon, rebuilding badly pays.
            expansion = -adcon.detach() / (con.detach() + _TINY)
            losses |= {"adcon": adcon.detach(), "expansion": expansion}
        fake = adversarial_loss(images.logit_hat, is_real=False).mean()
        return loss_g, fake + adversarial_loss(images.logit, is_real=True).mean(), losses

    def _anomalous_losses(self, images: _Pass) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """L_g and L_d of labelled anomalies: reciprocals, so that they are rebuilt badly.

        The discriminator sees the anomaly itself as not real, and never its reconstruction.

        Source: equations 3 and 10; Algorithm 1.
        """
        config = self.config
        con = contextual_loss(images.x, images.x_hat)
        lat = latent_loss(images.z, images.z_hat)
        loss_g = config.weight_adv * self._reciprocal(
            adversarial_loss(images.logit_hat, is_real=False)
        )
        loss_g = loss_g + config.weight_lat * self._reciprocal(lat)
        if config.weight_adcon > 0 and config.anomaly_term in ("eq3", "both"):
            loss_g = loss_g + config.weight_adcon * self._reciprocal(con)
        if config.weight_adcon > 0 and config.anomaly_term in ("alg1", "both"):
            is_frozen = config.anomaly_pass == "frozen"
            again = -self._contextual_adversarial_losses(images.x_hat, is_frozen=is_frozen)
            loss_g = loss_g + config.weight_adcon * self._reciprocal(again)
        losses = {
            "anomalous_con": con.mean().detach(),
            "anomalous_lat": lat.mean().detach(),
        }
        return loss_g, adversarial_loss(images.logit, is_real=False).mean(), losses

    def _contextual_adversarial_losses(self, x_hat: Tensor, *, is_frozen: bool = False) -> Tensor:
        """Let rebuilt images pass the generator again; return equation 8 of each, ``(B,)``."""
        if self.config.detach_second_pass:
            x_hat = x_hat.detach()
        statistics: Statistics = "running" if is_frozen else "default"
        if self.config.advprop:
            statistics = "auxiliary-running" if is_frozen else "auxiliary"
        with statistics_of(self.generator, statistics):
            again = self._generate(x_hat)
        return contextual_adversarial_loss(x_hat, again.to(x_hat.dtype))

    def _reciprocal(self, losses: Tensor) -> Tensor:
        of_each = self.config.reciprocal_of == "image"
        return reciprocal(losses, self.config.reciprocal_eps, of_each=of_each)

    def end_epoch(self, losses: Mapping[str, float]) -> dict[str, float]:
        """Start the discriminator anew where its mean loss fell below the threshold.

        Args:
            losses: Means over the epoch, as ``update`` names them.

        Returns:
            ``resets``, 1 or 0.
        """
        if losses["loss_d"] >= self.config.reset_threshold:
            return {"resets": 0.0}
        # On the CPU and in the usual layout, as the first time: a seed gives equal weights
        # wherever, and however, a trial is computed.
        self.discriminator.to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        initialise(self.discriminator, self._rng, he=False)
        self.compute.placed(self.discriminator)
        self._adam_d = self._adam(self._weights_d)
        return {"resets": 1.0}

    def rebuild(self, images: Tensor) -> Tensor:
        """Return G(x) of images ``(B, C, H, W)``, each of its own image alone, in float32."""
        per_image = self.config.score_statistics == "image"
        return self._rebuilt(images, "image" if per_image else "default")

    def score(self, images: Tensor) -> Tensor:
        """Return ||x - G(x)||_2 of each image: higher is more anomalous.

        Args:
            images: Shape ``(B, C, H, W)``, in [-1, 1].

        Returns:
            Shape ``(B,)``.
        """
        return distance(images, self.rebuild(images))

    def score_with_batch_statistics(self, images: Tensor) -> Tensor | None:
        """Return what the lineage's evaluation gives: scores that leak from the batch around.

        Its ``test()`` never calls ``eval()``, so batch normalisation takes the statistics of the
        test batch. For diagnostics alone; arguments and result are those of ``score``, but None
        of a generator without batch normalisation.
        """
        if not any(isinstance(layer, BatchNorm) for layer in self.generator.modules()):
            return None
        return distance(images, self._rebuilt(images, "batch"))

    @torch.no_grad()
    def _rebuilt(self, images: Tensor, statistics: Statistics) -> Tensor:
        self.generator.eval()
        with self.compute.exactly(), statistics_of(self.generator, statistics):
            rebuilt: Tensor = self.generator(self.compute.laid_out(images))
        return rebuilt

    def scoring_weights(self) -> dict[str, Tensor]:
        """Return the tensors that scoring needs, by name: the generator's, in the usual layout."""
        weights = self.generator.state_dict()
        return {name: tensor.contiguous() for name, tensor in weights.items()}

    def state(self) -> dict[str, Any]:
        """Return all that a later ``restore`` needs to go on: tensors, numbers and containers."""
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "adam_g": self._adam_g.state_dict(),
            "adam_d": self._adam_d.state_dict(),
            "rng": self._rng.get_state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` returned."""
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        # Adam would train on in the very tensors of the state.
        self._adam_g.load_state_dict(copy.deepcopy(state["adam_g"]))
        self._adam_d.load_state_dict(copy.deepcopy(state["adam_d"]))
        self._rng.set_state(state["rng"])


def distance(images: Tensor, rebuilt: Tensor) -> Tensor:
    """Return ||x - G(x)||_2 of each image, ``(B,)``."""
    distances: Tensor = torch.linalg.vector_norm(images - rebuilt, dim=(1, 2, 3))
    return distances
