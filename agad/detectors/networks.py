"""The networks of AGAD: two generators and the discriminator.

Axes: B images in a batch, C channels, H rows, W columns (H = W, a power of two, at least 16),
Z latent units.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

LATENT_UNITS = 100
"""Z, in every network of the lineage."""

_SLOPE = 0.2
"""LeakyReLU's slope below 0."""


def _log2(image_px: int) -> int:
    return image_px.bit_length() - 1


def _strided_widths(image_px: int, width: int) -> list[int]:
    """Widths of the stride-2 blocks that bring an image down to 4 x 4: doubling, up to 8 times."""
    return [width * min(2**level, 8) for level in range(_log2(image_px) - 2)]


def _encoder(channels: int, image_px: int, width: int) -> nn.Sequential:
    """Map ``(B, C, H, W)`` to the latent ``(B, Z, 1, 1)``."""
    layers: list[nn.Module] = []
    previous = channels
    for level, block_width in enumerate(_strided_widths(image_px, width)):
        layers.append(nn.Conv2d(previous, block_width, 4, stride=2, padding=1, bias=False))
        if level > 0:
            layers.append(nn.BatchNorm2d(block_width))
        layers.append(nn.LeakyReLU(_SLOPE))
        previous = block_width
    layers.append(nn.Conv2d(previous, LATENT_UNITS, 4, bias=False))
    return nn.Sequential(*layers)


class NaiveGenerator(nn.Module):
    """Rebuild an image through a bottleneck of Z units: the backbone of the MNIST rows.

    Source: AGAD, Table 7, with the bottleneck of GANomaly (4 x 4, stride 1, no padding).
    """

    def __init__(self, channels: int, image_px: int, width: int) -> None:
        super().__init__()
        self.encode = _encoder(channels, image_px, width)
        widths = _strided_widths(image_px, width)[::-1]
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(LATENT_UNITS, widths[0], 4, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        ]
        for previous, block_width in itertools.pairwise(widths):
            layers += [
                nn.ConvTranspose2d(previous, block_width, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(block_width),
                nn.ReLU(),
            ]
        layers += [
            nn.ConvTranspose2d(widths[-1], channels, 4, stride=2, padding=1, bias=False),
            nn.Tanh(),
        ]
        self.decode = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to the same shape, in [-1, 1]."""
        rebuilt: Tensor = self.decode(self.encode(x))
        return rebuilt


class _Node(nn.Sequential):
    """Twice 3 x 3 convolution, batch normalisation, ReLU."""

    def __init__(self, in_width: int, width: int) -> None:
        super().__init__(
            nn.Conv2d(in_width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )


class UNetPlusPlus(nn.Module):
    """Rebuild an image through nested skip connections; log2(H) levels, the last of 2 x 2.

    Node X(i, j) of level i takes X(i, 0), ..., X(i, j-1) and X(i+1, j-1) upsampled.

    Source: Zhou et al., "UNet++", DLMIA 2018, figure 1; widths of its public code, with batch
    normalisation (AGAD, figure 5) and a tanh head, without dropout or deep supervision.
    """

    def __init__(self, channels: int, image_px: int, width: int) -> None:
        super().__init__()
        self.num_levels = _log2(image_px)
        widths = [width * 2**level for level in range(self.num_levels)]
        self.nodes = nn.ModuleDict()
        self.ups = nn.ModuleDict()
        for level, level_width in enumerate(widths):
            above = channels if level == 0 else widths[level - 1]
            self.nodes[f"{level}_0"] = _Node(above, level_width)
            for column in range(1, self.num_levels - level):
                name = f"{level}_{column}"
                self.ups[name] = nn.ConvTranspose2d(widths[level + 1], level_width, 2, stride=2)
                self.nodes[name] = _Node((column + 1) * level_width, level_width)
        self.down = nn.MaxPool2d(2)
        self.head = nn.Sequential(nn.Conv2d(width, channels, 1), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to the same shape, in [-1, 1]."""
        done: list[list[Tensor]] = []
        for level in range(self.num_levels):
            done.append([self.nodes[f"{level}_0"](x if level == 0 else self.down(done[-1][0]))])
        for column in range(1, self.num_levels):
            for level in range(self.num_levels - column):
                name = f"{level}_{column}"
                risen = self.ups[name](done[level + 1][column - 1])
                done[level].append(self.nodes[name](torch.cat([*done[level], risen], dim=1)))
        rebuilt: Tensor = self.head(done[0][-1])
        return rebuilt


class Discriminator(nn.Module):
    """Tell real images from rebuilt ones, and give the latent that both are compared in.

    Source: AGAD, section 3.3.1; the ``BasicDiscriminator`` of Skip-GANomaly.
    """

    def __init__(self, channels: int, image_px: int, width: int) -> None:
        super().__init__()
        self.encode = _encoder(channels, image_px, width)
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
        he: Convolutions draw from He's normal distribution (UNet++), otherwise from N(0, .02) and
            batch normalisation from N(1, .02) (the lineage of GANomaly).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            if he:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            else:
                nn.init.normal_(module.weight, 0.0, 0.02, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
            if not he:
                nn.init.normal_(module.weight, 1.0, 0.02, generator=generator)
