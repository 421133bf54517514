"""Batch normalisation whose statistics can be chosen for a pass.

Axes: B images in a batch, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

from torch import Tensor, nn
from torch.nn import functional

Statistics: TypeAlias = Literal[
    "default", "running", "auxiliary", "auxiliary-running", "image", "batch"
]
"""``default``: the batch's in ``train()``, the running ones in ``eval()``; ``running``: the running
ones, which stay as they are; ``auxiliary`` and ``auxiliary-running``: as these two, of a second set
of weights and statistics, where there is one; ``image``: each image's own; ``batch``: the batch's,
in ``eval()`` too, the running ones staying."""


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation, with a second set of weights and statistics where asked for.

    Source: Xie et al., "Adversarial Examples Improve Image Recognition", CVPR 2020 (AdvProp), for
    the auxiliary set; AGAD, table 5.
    """

    def __init__(self, width: int, *, has_auxiliary: bool = False) -> None:
        super().__init__(width)
        self.auxiliary = nn.BatchNorm2d(width) if has_auxiliary else None
        self.statistics: Statistics = "default"

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to the same shape."""
        if self.statistics == "auxiliary" and self.auxiliary is not None:
            rescaled: Tensor = self.auxiliary(x)
            return rescaled
        if self.statistics in ("running", "auxiliary-running"):
            return _by_running(self if self.statistics == "running" else self.auxiliary or self, x)
        if self.statistics == "image":
            # What batch normalisation in train() gives for a batch of one.
            return functional.instance_norm(x, None, None, self.weight, self.bias, eps=self.eps)
        if self.statistics == "batch":
            return functional.batch_norm(
                x, None, None, self.weight, self.bias, training=True, eps=self.eps
            )
        return super().forward(x)


def _by_running(layer: nn.BatchNorm2d, x: Tensor) -> Tensor:
    return functional.batch_norm(
        x, layer.running_mean, layer.running_var, layer.weight, layer.bias, eps=layer.eps
    )


@contextmanager
def statistics_of(network: nn.Module, statistics: Statistics) -> Iterator[None]:
    """Choose the statistics of every ``BatchNorm`` of a network inside the block."""
    layers = [module for module in network.modules() if isinstance(module, BatchNorm)]
    for layer in layers:
        layer.statistics = statistics
    try:
        yield
    finally:
        for layer in layers:
            layer.statistics = "default"
