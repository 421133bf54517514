"""How a detector's networks are computed: the device, and what makes it faster there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from agad.errors import ConfigError

Precision: TypeAlias = Literal["float32", "bfloat16"]

PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")

_Network = TypeVar("_Network", bound=nn.Module)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """One device and its settings. All but the device change results in rounding alone."""

    device: str = "cpu"
    """A torch device: ``cpu``, ``cuda`` or ``mps``."""

    precision: Precision = "float32"
    """``bfloat16`` trains under autocast; weights, losses and scores stay in float32."""

    channels_last: bool = False
    """Whether images and weights are laid out with the channels last."""

    is_compiled: bool = False
    """Whether the networks are compiled by torch, which takes a minute before the first step."""

    def __post_init__(self) -> None:
        kind, _, number = self.device.partition(":")
        is_number = number.isdecimal() or kind == self.device
        if kind not in ("cpu", "cuda", "mps") or not is_number:
            raise ConfigError(f"--device is {self.device!r}, but must be cpu, cuda or mps.")
        if self.precision not in PRECISIONS:
            raise ConfigError(
                f"--precision is {self.precision!r}, but must be one of: {', '.join(PRECISIONS)}."
            )

    @property
    def torch_device(self) -> torch.device:
        """The device as torch has it."""
        return torch.device(self.device)

    def check_available(self) -> None:
        """Refuse a device that this machine does not have.

        Raises:
            ConfigError: There is none of it.
        """
        kind = self.torch_device.type
        is_there = {
            "cpu": True,
            "cuda": (self.torch_device.index or 0) < torch.cuda.device_count(),
            "mps": torch.backends.mps.is_available(),
        }
        if not is_there[kind]:
            raise ConfigError(
                f"--device is {self.device}, but this machine has no {self.device} device."
            )

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Return the block in which networks and losses are computed in training."""
        if self.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.torch_device.type, torch.bfloat16)

    @contextlib.contextmanager
    def exactly(self) -> Iterator[None]:
        """Compute inside the block in full float32: NVIDIA's TF32 has 10 bits of it.

        Scores of one image alone and in a batch take other convolution kernels, and would differ by
        more than rounding.
        """
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            yield

    def placed(self, network: _Network) -> _Network:
        """Move a network to the device, in the layout that is asked for."""
        network.to(self.torch_device)
        if self.channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network

    def laid_out(self, images: Tensor) -> Tensor:
        """Return images ``(B, C, H, W)`` in the layout that is asked for."""
        if self.channels_last:
            return images.contiguous(memory_format=torch.channels_last)
        return images

    def compiled(self, network: nn.Module) -> nn.Module:
        """Return a network that computes the same, compiled where that is asked for."""
        if not self.is_compiled:
            return network
        # One forward pass serves the gradients of two losses, so its buffers live on.
        torch._functorch.config.donated_buffer = False
        compiled: nn.Module = torch.compile(network)  # type: ignore[assignment]
        return compiled
