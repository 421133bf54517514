"""The networks, the training and the score of Deep SVDD.

Axes: B images in a batch, C channels, H rows, W columns, Z units of the embedding.

Source: Ruff et al., "Deep One-Class Classification", ICML 2018, and the networks of the authors'
code: no layer has a bias, and batch normalisation has no weights, since either could map every
image to the centre.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from agad.config import Stage
from agad.detectors.compute import Compute, take_weights
from agad.detectors.deep_svdd.configuration import DeepSvdd
from agad.detectors.protocol import StepwiseDetector

if TYPE_CHECKING:
    from agad.data import FitBatches

_EPS = 1e-4
"""Of every batch normalisation, as in the authors' code."""

_LEAST_CENTRE = 0.1
"""Units of the centre nearer to 0 are moved there: a unit at 0 is matched by weights of 0."""

_DROP_EPOCH = 50
"""The encoder's learning rate falls to a tenth after so many epochs, as in the paper."""


def _widths(channels: int) -> tuple[tuple[int, ...], int]:
    """Widths of the blocks and Z: the authors' network of MNIST for grey images, or of CIFAR-10."""
    return ((8, 4), 32) if channels == 1 else ((32, 64, 128), 128)


class Encoder(nn.Module):
    """Maps images to embeddings ``(B, Z)``: 5 x 5 convolutions, each halved by a maximum."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, image_px, _ = image_shape
        widths, num_units = _widths(channels)
        blocks: list[nn.Module] = []
        for before, width in zip((channels, *widths), widths, strict=False):
            blocks += [
                nn.Conv2d(before, width, 5, padding=2, bias=False),
                nn.BatchNorm2d(width, eps=_EPS, affine=False),
                nn.LeakyReLU(),
                nn.MaxPool2d(2),
            ]
        self.blocks = nn.Sequential(*blocks)
        self.side_px = image_px // 2 ** len(widths)
        self.head = nn.Linear(widths[-1] * self.side_px**2, num_units, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to ``(B, Z)``."""
        embedded: Tensor = self.head(self.blocks(x).flatten(1))
        return embedded


class Decoder(nn.Module):
    """Maps embeddings ``(B, Z)`` back to images; the mirror of ``Encoder``."""

    def __init__(self, image_shape: tuple[int, int, int], side_px: int) -> None:
        super().__init__()
        channels, self.image_px, _ = image_shape
        widths, num_units = _widths(channels)
        self.width, self.side_px = widths[-1], side_px
        self.spread = nn.Linear(num_units, self.width * side_px**2, bias=False)
        outputs = (*reversed(widths[:-1]), channels)
        self.blocks = nn.ModuleList(
            nn.Conv2d(before, width, 5, padding=2, bias=False)
            for before, width in zip(reversed(widths), outputs, strict=True)
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(width, eps=_EPS, affine=False) for width in reversed(widths)
        )

    def forward(self, z: Tensor) -> Tensor:
        """Map ``(B, Z)`` to ``(B, C, H, W)``, in [0, 1]."""
        x = self.spread(z).reshape(-1, self.width, self.side_px, self.side_px)
        for norm, block in zip(self.norms, self.blocks, strict=True):
            grown = functional.interpolate(functional.leaky_relu(norm(x)), scale_factor=2.0)
            x = block(grown)
        if x.shape[-1] != self.image_px:  # An odd size was halved downwards.
            x = functional.interpolate(x, size=(self.image_px, self.image_px))
        return torch.sigmoid(x)


class DeepSvddScorer(nn.Module):
    """The extremes that bring an image to [0, 1], the encoder and the centre."""

    low: Tensor
    """Least value of the normal images of the fit split, scalar."""

    high: Tensor
    """Greatest value of them, scalar."""

    centre: Tensor
    """c, ``(Z,)``."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.encoder = Encoder(image_shape)
        self.register_buffer("low", torch.tensor(0.0))
        self.register_buffer("high", torch.tensor(1.0))
        self.register_buffer("centre", torch.zeros(self.encoder.head.out_features))

    def scaled(self, images: Tensor) -> Tensor:
        """Bring contrast-normalised images ``(B, C, H, W)`` to about [0, 1]."""
        return (images - self.low) / (self.high - self.low)

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``(B, C, H, W)`` to squared distances from the centre, ``(B,)``."""
        embedded = self.encoder(self.scaled(images))
        distances: Tensor = (embedded - self.centre).square().sum(dim=1)
        return distances


def build(
    config: DeepSvdd, image_shape: tuple[int, int, int], rng: torch.Generator, compute: Compute
) -> DeepSvddDetector:
    """Return the autoencoder before its first step."""
    return DeepSvddDetector(config, image_shape, rng, compute)


def build_scorer(
    config: DeepSvdd,  # noqa: ARG001  The image's shape tells all.
    image_shape: tuple[int, int, int],
    weights: Mapping[str, Tensor] | None,
) -> DeepSvddScorer:
    """Return what scores with ``DeepSvddDetector.scoring_weights``, which it takes over.

    Raises:
        ValueError: The weights are not those of images of this shape.
    """
    with torch.device("meta"):
        scorer = DeepSvddScorer(image_shape)
    if weights is not None:
        take_weights(scorer, weights)
    return scorer.eval().requires_grad_(requires_grad=False)


class DeepSvddDetector(StepwiseDetector):
    """An autoencoder in its first stage, an encoder with a centre in its second."""

    def __init__(
        self,
        config: DeepSvdd,
        image_shape: tuple[int, int, int],
        rng: torch.Generator,
        compute: Compute,
    ) -> None:
        """Build both networks on the CPU, so that a seed gives equal weights on every device.

        Args:
            config: Learning rates and weight decays.
            image_shape: Channels, height and width of a prepared picture.
            rng: Source of the initial weights, on the CPU.
            compute: Where to train, and how.
        """
        self._config = config
        self._compute = compute
        self._scorer = DeepSvddScorer(image_shape)
        self._decoder = Decoder(image_shape, self._scorer.encoder.side_px)
        for network in (self._scorer, self._decoder):
            _initialise(network, rng)
            compute.placed(network)
        self._stage = config.stages[0].name
        self._num_epochs = 0
        """Epochs of the current stage."""

        self._adam = self._fresh_adam()

    def _fresh_adam(self) -> torch.optim.Adam:
        config, encoder = self._config, self._scorer.encoder
        if self._stage == "pretrain":
            weights = [*encoder.parameters(), *self._decoder.parameters()]
            lr, decay = config.pretrain_lr, config.pretrain_weight_decay
        else:
            weights = list(encoder.parameters())
            lr, decay = config.lr, config.weight_decay
        return torch.optim.Adam(weights, lr=lr, weight_decay=decay)

    def begin_stage(self, stage: Stage, batches: FitBatches) -> None:
        """Take the extremes of the normal images first, and the centre before the last stage."""
        self._stage, self._num_epochs = stage.name, 0
        self._adam = self._fresh_adam()
        with torch.no_grad():
            if stage == self._config.stages[0]:
                lows, highs = zip(*(torch.aminmax(x) for x in batches.all_normals()), strict=True)
                self._scorer.low.copy_(torch.stack(lows).min())
                self._scorer.high.copy_(torch.stack(highs).max())
            if stage.epochs is None:
                self._scorer.centre.copy_(self._mean_embedding(batches))

    def _mean_embedding(self, batches: FitBatches) -> Tensor:
        """Return the centre. Source: section 3.3 of the paper, and the authors' code."""
        encoder = self._scorer.encoder.eval()
        embedded = [
            encoder(self._compute.laid_out(self._scorer.scaled(x))) for x in batches.all_normals()
        ]
        centre = torch.cat(embedded).mean(dim=0)
        away = torch.where(centre < 0, -_LEAST_CENTRE, _LEAST_CENTRE)
        return torch.where(centre.abs() < _LEAST_CENTRE, away, centre)

    def update(self, normals: Tensor, anomalies: Tensor | None) -> dict[str, Tensor]:  # noqa: ARG002
        """Take one step of the stage's loss; labelled anomalies are not used."""
        encoder = self._scorer.encoder.train()
        self._decoder.train()
        self._adam.zero_grad(set_to_none=True)
        with self._compute.autocast():
            x = self._compute.laid_out(self._scorer.scaled(normals))
            z = encoder(x)
            if self._stage == "pretrain":
                loss = (self._decoder(z) - x).square().sum(dim=(1, 2, 3)).mean()
                name = "loss_pretrain"
            else:
                # Equation 4; Adam's weight decay is its regulariser.
                loss = (z - self._scorer.centre).square().sum(dim=1).mean()
                name = "loss"
        loss.backward()
        self._adam.step()
        return {name: loss.detach()}

    def end_epoch(self, losses: Mapping[str, float]) -> dict[str, float]:  # noqa: ARG002
        """Lower the learning rate to a tenth after epoch 50 of the last stage."""
        self._num_epochs += 1
        if self._stage != "pretrain" and self._num_epochs == _DROP_EPOCH:
            for group in self._adam.param_groups:
                group["lr"] = self._config.lr / 10
        return {}

    def score(self, images: Tensor) -> Tensor:
        """Return the squared distance of each image from the centre, ``(B,)``."""
        self._scorer.eval()
        with torch.no_grad(), self._compute.exactly():
            scores: Tensor = self._scorer(self._compute.laid_out(images))
        return scores

    def scoring_weights(self) -> dict[str, Tensor]:
        """Return the encoder, the centre and the extremes, in the usual layout."""
        weights = self._scorer.state_dict()
        return {name: tensor.contiguous() for name, tensor in weights.items()}

    def state(self) -> dict[str, Any]:
        """Return both networks, Adam, the stage and its epochs."""
        return {
            "scorer": self._scorer.state_dict(),
            "decoder": self._decoder.state_dict(),
            "adam": self._adam.state_dict(),
            "stage": self._stage,
            "num_epochs": self._num_epochs,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` returned."""
        self._stage, self._num_epochs = state["stage"], state["num_epochs"]
        self._scorer.load_state_dict(state["scorer"])
        self._decoder.load_state_dict(state["decoder"])
        self._adam = self._fresh_adam()
        # Adam would train on in the very tensors of the state.
        self._adam.load_state_dict(copy.deepcopy(state["adam"]))


def _initialise(network: nn.Module, rng: torch.Generator) -> None:
    """Draw every weight anew, as torch's layers do by default, from one generator."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            fan_in = layer.weight[0].numel()
            bound = 1 / math.sqrt(fan_in)
            with torch.no_grad():
                layer.weight.uniform_(-bound, bound, generator=rng)
