"""What an encoder's architecture is, without its network: facts that need no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agad.errors import ConfigError

ENLARGEMENT = 3
"""Times that a small picture is enlarged for an encoder: 32 px pictures are shown at 96 px."""

_SMALLEST_SUITED_PX = 96
_NAME = re.compile(r"[a-z][a-z0-9.-]{0,59}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """The scaling of an encoder's input: (level - mean) / scale, for grey levels in [0, 255].

    Before the scaling, a picture is resized to the encoder's size: bilinear, and antialiased where
    it shrinks. A picture of one channel is repeated in all three.
    """

    mean: tuple[float, float, float] = (127.0, 127.0, 127.0)
    """Grey level of red, green and blue that becomes 0."""

    scale: tuple[float, float, float] = (128.0, 128.0, 128.0)
    """Grey levels of red, green and blue that become 1; above 0."""

    version: int = 1
    """Grows when the same pixels and numbers give another input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretrained:
    """Weights that come in a Python package, as a file that ``torch.save`` wrote."""

    package: str
    """Name of the importable package; it is found, but never imported."""

    file: str
    """Path of the file below the package's folder."""

    sha256: str
    """SHA-256 of the file, in hexadecimal."""

    install: str
    """What installs the package, such as ``pip install 'agad[features]'``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A kind of encoder, under the name by which studies ask for it.

    Example:
        >>> Architecture(
        ...     name="my-encoder", network="my_package.network:MyEncoder", native_px=224
        ... ).smallest_px
        32
    """

    name: str
    """Lower-case letters, digits, ``.`` and ``-``."""

    network: str
    """Module and callable without arguments that returns an ``EncoderNetwork``, such as
    ``my_package.network:MyEncoder``; its module is imported when the network is built."""

    native_px: int
    """Height and width of the pictures that the weights were trained on."""

    smallest_px: int = 32
    """Smallest height and width that the network takes."""

    version: int = 1
    """Must grow when the same weights and input give other features."""

    preprocessing: Preprocessing = Preprocessing()
    pretrained: Pretrained | None = None
    """The weights that the name alone stands for; None if every user brings weights."""

    external_data: str = ""
    """The data that ``pretrained`` was trained on, such as ``ImageNet``."""

    source: str = ""
    """Where ``pretrained`` comes from, for the card of a model that holds the weights."""

    licence: str = ""
    """The licence of ``pretrained``, such as ``Apache-2.0``; empty if it is not known."""

    ignored: tuple[str, ...] = ()
    """Tensors of a file of weights that the network has no use for, such as those of a
    classifier."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"encoder name is {self.name!r}, but must start with a lower-case letter and hold "
                "lower-case letters, digits, '.' and '-', at most 60 of them."
            )
        if not 1 <= self.smallest_px <= self.native_px:
            raise ConfigError(
                f"{self.name}.smallest_px is {self.smallest_px}, but must be from 1 to native_px, "
                f"{self.native_px}."
            )


def suited_px(image_px: int, *, smallest_px: int, native_px: int) -> int:
    """Return the size at which an encoder is shown pictures: enlarged, and at most native.

    Example:
        >>> suited_px(32, smallest_px=32, native_px=224)
        96

    Args:
        image_px: Height and width of the stored pictures.
        smallest_px: As ``Architecture.smallest_px``.
        native_px: As ``Architecture.native_px``.
    """
    return min(native_px, max(_SMALLEST_SUITED_PX, smallest_px, ENLARGEMENT * image_px))
