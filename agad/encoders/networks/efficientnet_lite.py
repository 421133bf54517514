"""EfficientNet-Lite 0, 1 and 2 without their classifiers.

Axes: B images in a batch, C channels, H rows, W columns.

Source: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
2019, table 1 and equation 3. The Lite form has no squeeze-and-excitation, ReLU6 in place of Swish,
and a stem, a head and end stages that do not grow.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from agad.encoders.networks.protocol import GLOBAL

_BATCH_NORM_EPS = 1e-3


class _Stage(NamedTuple):
    """Blocks in a row; only the first changes the size and the width."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    width: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
_STEM_WIDTH = 32
_HEAD_WIDTH = 1280


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's padding ``SAME``: ``ceil(size / stride)`` places come out.

    The padding depends on the input's size. An odd number of rows or columns of zeros is split so
    that the larger part lies below and to the right.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to ``(B, C', ceil(H / stride), ceil(W / stride))``."""
        top, bottom = _same_padding(images.shape[2], self.kernel_size[0], self.stride[0])
        left, right = _same_padding(images.shape[3], self.kernel_size[1], self.stride[1])
        padded = functional.pad(images, (left, right, top, bottom))
        filtered: Tensor = super().forward(padded)
        return filtered


def _same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the zeros before and after a row of ``size`` values."""
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class _Block(nn.Module):
    """An inverted residual: widen, filter each channel, narrow; added to its input if that fits.

    The names of the parts are those of the published files of weights.
    """

    def __init__(self, in_width: int, stage: _Stage, stride: int) -> None:
        super().__init__()
        width = in_width * stage.expansion
        self._is_widened = stage.expansion != 1
        self._is_added = stride == 1 and in_width == stage.width
        if self._is_widened:
            self._expand_conv = SameConv2d(in_width, width, 1, bias=False)
            self._bn0 = _norm(width)
        self._depthwise_conv = SameConv2d(
            width, width, stage.kernel, stride, groups=width, bias=False
        )
        self._bn1 = _norm(width)
        self._project_conv = SameConv2d(width, stage.width, 1, bias=False)
        self._bn2 = _norm(stage.width)

    def forward(self, images: Tensor) -> Tensor:
        x = images
        if self._is_widened:
            x = functional.relu6(self._bn0(self._expand_conv(x)))
        x = functional.relu6(self._bn1(self._depthwise_conv(x)))
        x = self._bn2(self._project_conv(x))
        done: Tensor = x + images if self._is_added else x
        return done


class EfficientNetLite(nn.Module):
    """The network from the stem to the head, without the classifier.

    Its layers are ``stem``, ``stage1`` to ``stage7`` and ``head``, of strides 2, 2, 4, 8, 16, 16,
    32, 32 and 32. The global features are the mean of the head's map over its places.
    """

    layers = ("stem", *(f"stage{number}" for number in range(1, len(_STAGES) + 1)), "head")

    def __init__(self, width: float = 1.0, depth: float = 1.0) -> None:
        """Build the network with arbitrary weights.

        Args:
            width: Factor of the widths of the stages.
            depth: Factor of the repeats of all stages but the first and the last.
        """
        super().__init__()
        self._conv_stem = SameConv2d(3, _STEM_WIDTH, 3, 2, bias=False)
        self._bn0 = _norm(_STEM_WIDTH)
        blocks: list[_Block] = []
        self._ends: dict[int, str] = {}  # The last block of each stage.
        in_width = _STEM_WIDTH
        for number, published in enumerate(_STAGES, 1):
            is_end = number in (1, len(_STAGES))
            repeats = published.repeats if is_end else math.ceil(depth * published.repeats)
            stage = published._replace(width=_scaled(published.width, width))
            for repeat in range(repeats):
                blocks.append(_Block(in_width, stage, stage.stride if repeat == 0 else 1))
                in_width = stage.width
            self._ends[len(blocks) - 1] = f"stage{number}"
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv2d(in_width, _HEAD_WIDTH, 1, bias=False)
        self._bn1 = _norm(_HEAD_WIDTH)

    def forward(self, images: Tensor, outputs: Collection[str]) -> dict[str, Tensor]:
        """Return some layers' maps ``(B, C, H', W')`` and the global features ``(B, 1280)``.

        Nothing is computed after the last layer that is asked for.

        Args:
            images: ``(B, 3, H, W)``, preprocessed.
            outputs: Names of ``layers``, or ``global``.
        """
        found: dict[str, Tensor] = {}
        wanted = set(outputs)
        x = functional.relu6(self._bn0(self._conv_stem(images)))
        if "stem" in wanted:
            found["stem"] = x
        for number, block in enumerate(self._blocks):
            if found.keys() == wanted:
                return found
            x = block(x)
            layer = self._ends.get(number)
            if layer in wanted:
                found[layer] = x
        if found.keys() == wanted:
            return found
        x = functional.relu6(self._bn1(self._conv_head(x)))
        if "head" in wanted:
            found["head"] = x
        if GLOBAL in wanted:
            found[GLOBAL] = x.mean(dim=(2, 3))
        return found


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=_BATCH_NORM_EPS)


def _scaled(width: int, factor: float) -> int:
    """Return a multiple of 8 near ``factor x width``, at most a tenth below it."""
    wanted = width * factor
    nearest = max(8, int(wanted + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * wanted else nearest


def lite0() -> EfficientNetLite:
    """Return the network of 224 px, 3.4 million parameters without the classifier."""
    return EfficientNetLite()


def lite1() -> EfficientNetLite:
    """Return the network of 240 px, 4.1 million parameters without the classifier."""
    return EfficientNetLite(depth=1.1)


def lite2() -> EfficientNetLite:
    """Return the network of 260 px, 4.8 million parameters without the classifier."""
    return EfficientNetLite(width=1.1, depth=1.2)
