"""What a network must offer to be an encoder.

Axes: B images in a batch, C channels, H rows, W columns, D features of an image.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from torch import Tensor

GLOBAL = "global"
"""The name of the features of a whole image, beside the names of the layers."""

_JOINT = "+"


def output_of(layers: Sequence[str]) -> str:
    """Return the name of what a detector takes of an encoder, such as ``stage2+stage3``.

    Args:
        layers: Names of layers, in order; none for the features of the whole image.
    """
    return _JOINT.join(layers) or GLOBAL


def layers_of(output: str) -> list[str]:
    """Return the names that ``output_of`` joined; ``global`` alone for the whole image."""
    return output.split(_JOINT)


class EncoderNetwork(Protocol):
    """A ``torch.nn.Module`` with this ``forward``; no other method is called."""

    layers: tuple[str, ...]
    """Names of the layers whose maps can be asked for, from the input to the output."""

    def forward(self, images: Tensor, outputs: Collection[str]) -> dict[str, Tensor]:
        """Return what is asked for, and nothing else.

        Args:
            images: ``(B, 3, H, W)``, float32, preprocessed.
            outputs: Names of ``layers``, for maps ``(B, C, H', W')``; or ``global``, for the
                features ``(B, D)`` of the whole image.
        """
