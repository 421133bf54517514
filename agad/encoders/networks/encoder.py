"""A frozen encoder on a device.

Axes: B images in a batch, C channels, H rows, W columns, D features of an image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from agad.encoders.networks.protocol import GLOBAL
from agad.encoders.reference import EncoderReference
from agad.errors import ConfigError

BATCH_SIZE = 64
"""Images that go through the network at once."""


class Encoder:
    """A network whose weights never change, with the scaling that they were trained with.

    Features of an image depend on this image alone, but for rounding: other batch sizes take other
    kernels.
    """

    def __init__(
        self,
        reference: EncoderReference,
        network: nn.Module,
        layers: Sequence[str],
        device: torch.device,
    ) -> None:
        """Freeze a network and move it to a device.

        Args:
            reference: What the encoder is called, and how it takes pictures.
            network: An ``EncoderNetwork``, which the encoder takes over.
            layers: Names of the layers whose maps can be asked for.
            device: Where features are computed, and where they are returned.
        """
        self.reference = reference
        self.layers = tuple(layers)
        self.device = device
        self._network = network.eval().requires_grad_(False).to(device)
        if device.type == "cpu":
            self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._mean = _by_channel(reference.preprocessing.mean, device)
        self._scale = _by_channel(reference.preprocessing.scale, device)

    @property
    def name(self) -> str:
        """What boards and messages call the encoder."""
        return self.reference.name

    @property
    def sha256(self) -> str:
        """See ``EncoderReference.sha256``."""
        return self.reference.sha256

    def features(self, images: Tensor) -> Tensor:
        """Return the features of whole images, ``(B, D)``, float32 on the encoder's device.

        Args:
            images: ``(B, C, H, W)``, C 1 or 3, grey levels in [-1, 1] as ``agad.data`` gives them,
                of any size and on any device.

        Raises:
            ConfigError: The images have other axes, another type or another number of channels.
        """
        return self.outputs(images, [GLOBAL])[GLOBAL]

    def maps(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Return the maps of some layers, each ``(B, C, H', W')``, by the layer's name.

        Args:
            images: As for ``features``.
            layers: Some of ``layers``. Nothing is computed after the last of them.

        Raises:
            ConfigError: A layer is unknown, or the images are not as ``features`` takes them.
        """
        return self.outputs(images, layers)

    def outputs(self, images: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """Return maps of layers and ``global`` features, by name, in one pass of the network."""
        self.check_outputs(names)
        _check_images(images)
        parts = list(self._batches(images, names))
        return {name: torch.cat([part[name] for part in parts]) for name in names}

    def check_outputs(self, names: Sequence[str]) -> None:
        """Refuse what the encoder does not return.

        Raises:
            ConfigError: A name is neither ``global`` nor a layer, or there is none.
        """
        known = (GLOBAL, *self.layers)
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            raise ConfigError(
                f"layers of {self.name} are {', '.join(unknown) or 'none'}, but must be among: "
                f"{', '.join(known)}."
            )

    def _batches(self, images: Tensor, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        # NVIDIA's TF32 would make the features of an image depend on the size of its batch.
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        with torch.no_grad(), exact:
            for batch in torch.split(images, BATCH_SIZE):
                yield self._network(self._preprocessed(batch.to(self.device)), names)

    def _preprocessed(self, images: Tensor) -> Tensor:
        levels = images.float().add(1.0).mul(127.5)
        size = (self.reference.image_px, self.reference.image_px)
        if tuple(levels.shape[2:]) != size:
            levels = functional.interpolate(
                levels, size=size, mode="bilinear", align_corners=False, antialias=True
            )
        scaled = levels.expand(-1, 3, -1, -1).sub(self._mean).div(self._scale)
        if self.device.type == "cpu":
            return scaled.contiguous(memory_format=torch.channels_last)
        return scaled


def _by_channel(values: tuple[float, float, float], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device).reshape(1, 3, 1, 1)


def _check_images(images: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not images.is_floating_point():
        raise ConfigError(
            f"images of an encoder are {images.dtype} of shape {tuple(images.shape)}, but must be "
            "floats (B, C, H, W) in [-1, 1], of 1 or 3 channels."
        )
    if len(images) == 0:
        raise ConfigError("images of an encoder are none, but must be at least one.")
