"""The networks of AGAD: three generators and the discriminator.

Axes: B images in a batch, C channels, H rows, W columns (H = W, a power of two, at least 16),
Z latent units.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from agad.detectors.agad.batch_norm import BatchNorm

LATENT_UNITS = 100
"""Z, in every network of the lineage."""

_SLOPE = 0.2
"""LeakyReLU's slope below 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorShape:
    """What a generator is built for, and how."""

    channels: int
    image_px: int
    width: int
    """Channels of the first level."""

    has_norm: bool = True
    """Whether a UNet or UNet++ normalises over batches; without, its convolutions have biases."""

    has_auxiliary_norm: bool = False
    """Whether every batch normalisation has a second set of weights and statistics."""

    bottleneck_px: int = 1
    """Height and width of the naive generator's latent: 1, or 2 as AGAD's table 7 captions it."""

    is_bounded: bool = True
    """Whether the output passes through a tanh."""

    def norm(self, width: int) -> BatchNorm:
        """Return a batch normalisation of so many channels."""
        return BatchNorm(width, has_auxiliary=self.has_auxiliary_norm)

    @property
    def head(self) -> nn.Module:
        """What the output passes through."""
        return nn.Tanh() if self.is_bounded else nn.Identity()


def _log2(image_px: int) -> int:
    return image_px.bit_length() - 1


def _strided_widths(image_px: int, width: int) -> list[int]:
    """Widths of the stride-2 blocks that bring an image down to 4 x 4: doubling, up to 8 times."""
    return [width * min(2**level, 8) for level in range(_log2(image_px) - 2)]


def _encoder(shape: GeneratorShape) -> nn.Sequential:
    """Map ``(B, C, H, W)`` to the latent, ``(B, Z, 1, 1)`` or ``(B, Z, 2, 2)``."""
    layers: list[nn.Module] = []
    previous = shape.channels
    for level, width in enumerate(_strided_widths(shape.image_px, shape.width)):
        layers.append(nn.Conv2d(previous, width, 4, stride=2, padding=1, bias=False))
        if level > 0:
            layers.append(shape.norm(width))
        layers.append(nn.LeakyReLU(_SLOPE))
        previous = width
    stride, padding = (1, 0) if shape.bottleneck_px == 1 else (2, 1)
    layers.append(nn.Conv2d(previous, LATENT_UNITS, 4, stride=stride, padding=padding, bias=False))
    return nn.Sequential(*layers)


class NaiveGenerator(nn.Module):
    """Rebuild an image through a bottleneck of Z units: the backbone of the MNIST rows.

    Source: AGAD, Table 7, with the bottleneck of GANomaly (4 x 4, stride 1, no padding) or, at
    ``bottleneck_px`` 2, that of the table's caption (stride 2, padding 1).
    """

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__()
        self.encode = _encoder(shape)
        widths = _strided_widths(shape.image_px, shape.width)[::-1]
        stride, padding = (1, 0) if shape.bottleneck_px == 1 else (2, 1)
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(
                LATENT_UNITS, widths[0], 4, stride=stride, padding=padding, bias=False
            ),
            shape.norm(widths[0]),
            nn.ReLU(),
        ]
        for previous, block_width in itertools.pairwise(widths):
            layers += [
                nn.ConvTranspose2d(previous, block_width, 4, stride=2, padding=1, bias=False),
                shape.norm(block_width),
                nn.ReLU(),
            ]
        layers += [
            nn.ConvTranspose2d(widths[-1], shape.channels, 4, stride=2, padding=1, bias=False),
            shape.head,
        ]
        self.decode = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to the same shape."""
        rebuilt: Tensor = self.decode(self.encode(x))
        return rebuilt


def _node(in_width: int, width: int, shape: GeneratorShape) -> nn.Sequential:
    """Return twice 3 x 3 convolution, batch normalisation, ReLU."""
    layers: list[nn.Module] = []
    for previous in (in_width, width):
        layers.append(nn.Conv2d(previous, width, 3, padding=1, bias=not shape.has_norm))
        if shape.has_norm:
            layers.append(shape.norm(width))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def _level_widths(shape: GeneratorShape) -> list[int]:
    return [shape.width * 2**level for level in range(_log2(shape.image_px))]


class UNet(nn.Module):
    """Rebuild an image with a skip connection a level; log2(H) levels, the last of 2 x 2.

    Source: Ronneberger et al., "U-Net", MICCAI 2015; widths and nodes of the UNet++ public code,
    with batch normalisation (AGAD, figure 5) and a tanh head, without dropout.
    """

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__()
        widths = _level_widths(shape)
        self.num_levels = len(widths)
        self.descent = nn.ModuleList(
            _node(above, width, shape)
            for above, width in zip([shape.channels, *widths], widths, strict=False)
        )
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(below, width, 2, stride=2)
            for width, below in itertools.pairwise(widths)
        )
        self.ascent = nn.ModuleList(_node(2 * width, width, shape) for width in widths[:-1])
        self.down = nn.MaxPool2d(2)
        self.last = nn.Conv2d(shape.width, shape.channels, 1)
        self.head = shape.head

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to the same shape."""
        skips: list[Tensor] = []
        for level, node in enumerate(self.descent):
            x = node(x if level == 0 else self.down(x))
            skips.append(x)
        for level in reversed(range(self.num_levels - 1)):
            x = self.ascent[level](torch.cat([skips[level], self.ups[level](x)], dim=1))
        rebuilt: Tensor = self.head(self.last(x))
        return rebuilt


class UNetPlusPlus(nn.Module):
    """Rebuild an image through nested skip connections; log2(H) levels, the last of 2 x 2.

    Node X(i, j) of level i takes X(i, 0), ..., X(i, j-1) and X(i+1, j-1) upsampled.

    Source: Zhou et al., "UNet++", DLMIA 2018, figure 1; widths of its public code, with batch
    normalisation (AGAD, figure 5) and a tanh head, without dropout or deep supervision.
    """

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__()
        widths = _level_widths(shape)
        self.num_levels = len(widths)
        self.nodes = nn.ModuleDict()
        self.ups = nn.ModuleDict()
        for level, width in enumerate(widths):
            above = shape.channels if level == 0 else widths[level - 1]
            self.nodes[f"{level}_0"] = _node(above, width, shape)
            for column in range(1, self.num_levels - level):
                name = f"{level}_{column}"
                self.ups[name] = nn.ConvTranspose2d(widths[level + 1], width, 2, stride=2)
                self.nodes[name] = _node((column + 1) * width, width, shape)
        self.down = nn.MaxPool2d(2)
        self.last = nn.Conv2d(shape.width, shape.channels, 1)
        self.head = shape.head

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to the same shape."""
        done: list[list[Tensor]] = []
        for level in range(self.num_levels):
            done.append([self.nodes[f"{level}_0"](x if level == 0 else self.down(done[-1][0]))])
        for column in range(1, self.num_levels):
            for level in range(self.num_levels - column):
                name = f"{level}_{column}"
                risen = self.ups[name](done[level + 1][column - 1])
                done[level].append(self.nodes[name](torch.cat([*done[level], risen], dim=1)))
        rebuilt: Tensor = self.head(self.last(done[0][-1]))
        return rebuilt


class Discriminator(nn.Module):
    """Tell real images from rebuilt ones, and give the latent that both are compared in.

    Source: AGAD, section 3.3.1; the ``BasicDiscriminator`` of Skip-GANomaly.
    """

    def __init__(self, channels: int, image_px: int, width: int) -> None:
        super().__init__()
        self.encode = _encoder(GeneratorShape(channels=channels, image_px=image_px, width=width))
        self.classify = nn.Conv2d(LATENT_UNITS, 1, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map ``(B, C, H, W)`` to the logit of "real", ``(B,)``, and the latent, ``(B, Z)``."""
        z = self.encode(x)
        return self.classify(z).flatten(), z.flatten(1)


def initialise(network: nn.Module, generator: torch.Generator, *, he: bool) -> None:
    """Draw every weight anew; biases become 0, batch statistics start afresh.

    Args:
        network: Any of this module's networks, on the CPU.
        generator: Source of every draw.
        he: Convolutions draw from He's normal distribution (UNet and UNet++), otherwise from
            N(0, .02) and batch normalisation from N(1, .02) (the lineage of GANomaly).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            if he:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            else:
                nn.init.normal_(module.weight, 0.0, 0.02, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, BatchNorm):
            _initialise_norm(module, generator, he=he)


def _initialise_norm(layer: BatchNorm, generator: torch.Generator, *, he: bool) -> None:
    layer.reset_running_stats()
    nn.init.ones_(layer.weight)
    nn.init.zeros_(layer.bias)
    if not he:
        nn.init.normal_(layer.weight, 1.0, 0.02, generator=generator)
    if layer.auxiliary is not None:
        # A copy, without a draw: every other weight is the one it is without the second set.
        values = {name: getattr(layer, name) for name in layer.auxiliary.state_dict()}
        layer.auxiliary.load_state_dict(values)
