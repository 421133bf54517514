"""A frozen encoder on a device.

Axes: B images in a batch, C channels, H rows, W columns, D features of an image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from agad.encoders.networks.protocol import GLOBAL, layers_of
from agad.encoders.reference import EncoderReference
from agad.errors import ConfigError

BATCH_SIZE = 64
"""Images that go through the network at once."""


class PictureEncoder(nn.Module):
    """A network behind its preprocessing, from pictures to what a detector takes of it."""

    mean: Tensor
    scale: Tensor

    def __init__(self, reference: EncoderReference, network: nn.Module) -> None:
        """Take a network over, and freeze it.

        Args:
            reference: How the encoder takes pictures.
            network: An ``EncoderNetwork``.
        """
        super().__init__()
        self.image_px = reference.image_px
        self.network = network
        # Numbers of the reference, no weights.
        self.register_buffer("mean", _by_channel(reference.preprocessing.mean), persistent=False)
        self.register_buffer("scale", _by_channel(reference.preprocessing.scale), persistent=False)
        self.eval().requires_grad_(requires_grad=False)

    def outputs(self, images: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """Return maps of layers and ``global`` features of pictures, by name.

        Args:
            images: ``(B, C, H, W)``, C 1 or 3, in [-1, 1].
            names: What to compute.
        """
        found: dict[str, Tensor] = self.network(self._preprocessed(images), names)
        return found

    def forward(self, images: Tensor, output: str) -> Tensor:
        """Return what a detector takes in place of pictures ``(B, C, H, W)`` in [-1, 1].

        Args:
            images: The pictures.
            output: As ``output_of`` names it.

        Returns:
            ``(B, D, 1, 1)`` for ``global``; else maps ``(B, C, H', W')`` on the grid of the first
            layer, concatenated over the channels.
        """
        names = layers_of(output)
        return joined(self.outputs(images, names), names)

    def _preprocessed(self, images: Tensor) -> Tensor:
        levels = images.float().add(1.0).mul(127.5)
        size = (self.image_px, self.image_px)
        if tuple(levels.shape[2:]) != size:
            levels = functional.interpolate(
                levels, size=size, mode="bilinear", align_corners=False, antialias=True
            )
        scaled = levels.expand(-1, 3, -1, -1).sub(self.mean).div(self.scale)
        if scaled.device.type == "cpu":
            return scaled.contiguous(memory_format=torch.channels_last)
        return scaled


def joined(outputs: dict[str, Tensor], names: Sequence[str]) -> Tensor:
    """Return outputs of an encoder as one tensor, as ``InputSpec.layers`` says.

    Args:
        outputs: Maps ``(B, C, H', W')`` and global features ``(B, D)``, by name.
        names: Their order; the first gives the grid.

    Returns:
        ``(B, C, H', W')``; for ``global`` alone ``(B, D, 1, 1)``.
    """
    maps = [outputs[name] for name in names]
    maps = [one[:, :, None, None] if one.ndim == 2 else one for one in maps]
    grid = tuple(maps[0].shape[2:])
    return torch.cat(
        [
            one
            if tuple(one.shape[2:]) == grid
            else functional.interpolate(one, size=grid, mode="bilinear", align_corners=False)
            for one in maps
        ],
        dim=1,
    ).contiguous()


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
        self.module = PictureEncoder(reference, network).to(device)
        """From pictures to features, for a scorer."""

        if device.type == "cpu":
            self.module.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def name(self) -> str:
        """What boards and messages call the encoder."""
        return self.reference.name

    def features(self, images: Tensor) -> Tensor:
        """Return the features of whole images, ``(B, D)``, float32 on the encoder's device.

        Args:
            images: ``(B, C, H, W)``, C 1 or 3, grey levels in [-1, 1] as ``agad.data`` gives them,
                of any size and on any device.

        Raises:
            ConfigError: The images have other axes, another type or another number of channels.
        """
        return self.outputs(images, [GLOBAL])[GLOBAL]

    def outputs(self, images: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """Return maps of layers and ``global`` features, by name, in one pass of the network.

        Args:
            images: As for ``features``.
            names: Some of ``layers``, for maps ``(B, C, H', W')``; or ``global``, for ``(B, D)``.
                Nothing is computed after the last of them.

        Raises:
            ConfigError: A layer is unknown, or the images are not as ``features`` takes them.
        """
        self.check_outputs(names)
        _check_images(images)
        parts = list(self._batches(images, names))
        return {name: torch.cat([part[name] for part in parts]) for name in names}

    def weights(self) -> dict[str, Tensor]:
        """Return the tensors of the network, as ``opened`` takes them, on the CPU."""
        return {
            name: one.detach().cpu().contiguous()
            for name, one in self.module.network.state_dict().items()
        }

    def check_outputs(self, names: Sequence[str]) -> None:
        """Refuse what the encoder does not return.

        Raises:
            ConfigError: A name is neither ``global`` nor a layer, or there is none.
        """
        check_outputs(self.name, self.layers, names)

    def _batches(self, images: Tensor, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        # NVIDIA's TF32 would make the features of an image depend on the size of its batch.
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        with torch.no_grad(), exact:
            for batch in torch.split(images, BATCH_SIZE):
                yield self.module.outputs(batch.to(self.device), names)


def check_outputs(name: str, layers: Sequence[str], names: Sequence[str]) -> None:
    """Refuse what an encoder does not return.

    Args:
        name: The encoder's name, for the error.
        layers: The encoder's layers.
        names: What is asked for.

    Raises:
        ConfigError: A name is neither ``global`` nor a layer, or there is none.
    """
    known = (GLOBAL, *layers)
    unknown = [one for one in names if one not in known]
    if unknown or not names:
        raise ConfigError(
            f"layers of {name} are {', '.join(unknown) or 'none'}, but must be among: "
            f"{', '.join(known)}."
        )


def _by_channel(values: tuple[float, float, float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(1, 3, 1, 1)


def _check_images(images: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not images.is_floating_point():
        raise ConfigError(
            f"images of an encoder are {images.dtype} of shape {tuple(images.shape)}, but must be "
            "floats (B, C, H, W) in [-1, 1], of 1 or 3 channels."
        )
    if len(images) == 0:
        raise ConfigError("images of an encoder are none, but must be at least one.")
