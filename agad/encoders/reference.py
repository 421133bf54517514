"""Which encoder a study means: known on the driver, the same on every worker, without a network."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import Any

from agad.encoders.architecture import Preprocessing, suited_px
from agad.errors import ConfigError

FILE_SUFFIX = ".safetensors"
TIMM = "timm:"
HUGGING_FACE = "hf:"


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderReference:
    """An encoder at one input size. Equal references stand for equal features."""

    name: str
    """The encoder's name on boards and in messages, such as ``efficientnet-lite0`` or
    ``timm:resnet18``; for a file, its name without its folders."""

    sha256: str
    """SHA-256 of a registered encoder's published file, of a user's own file, or of the tensors of
    a model of timm or Hugging Face."""

    image_px: int
    """Height and width at which the encoder is shown a picture."""

    native_px: int
    """Height and width of the pictures that the weights were trained on."""

    smallest_px: int
    """Smallest height and width that the network takes."""

    preprocessing: Preprocessing
    architecture: str = ""
    """The registered architecture; empty for a model of timm or Hugging Face."""

    version: int = 1
    """The architecture's version."""

    num_bytes: int = 0
    """Size of a user's own file of weights, which the store holds; 0 for other encoders."""

    external_data: str = ""
    """The data that the weights come from, such as ``ImageNet``; for weights of unknown origin,
    where they come from."""

    source: str = ""
    """Where the weights come from, for the card of a model; empty if it is not known."""

    licence: str = ""
    """The licence of the weights; empty if it is not known."""

    @property
    def decisive(self) -> dict[str, Any]:
        """What decides the features, as JSON values; names of encoders and files do not."""
        return {
            "encoder_sha256": self.sha256,
            "architecture": self.architecture,
            "architecture_version": self.version,
            "preprocessing": dataclasses.asdict(self.preprocessing),
            "image_px": self.image_px,
        }

    def suited_to(self, image_px: int) -> EncoderReference:
        """Return the encoder at the size at which pictures of a size are shown to it.

        A model of timm or Hugging Face keeps its size: its positions may be learnt for one size.

        Args:
            image_px: Height and width of the stored pictures.
        """
        if not self.architecture:
            return self
        size = suited_px(image_px, smallest_px=self.smallest_px, native_px=self.native_px)
        return replace(self, image_px=size)

    @property
    def is_stored(self) -> bool:
        """Whether the weights lie in the store, under their SHA-256."""
        return self.num_bytes > 0

    def __post_init__(self) -> None:
        if self.image_px < self.smallest_px:
            raise ConfigError(
                f"the size for the encoder {self.name} is {self.image_px} px, but must be at least "
                f"{self.smallest_px}."
            )


def check_encoder_name(name: str) -> None:
    """Refuse a text that cannot name an encoder. Nothing is imported, opened or searched.

    Raises:
        ConfigError: The text is empty, or names a hub without a model.
    """
    if not name or name in (TIMM, HUGGING_FACE, FILE_SUFFIX):
        raise ConfigError(
            f"the encoder is {name!r}, but must be a registered name, the path of a .safetensors "
            "file, timm:NAME or hf:NAME."
        )
