"""How a detector's networks are computed: the device, and what makes it faster there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

import torch
from torch import Tensor, nn
from torch._functorch import config as functorch_config

from agad.errors import ConfigError

Precision: TypeAlias = Literal["float32", "bfloat16"]

PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")

Compilation: TypeAlias = Literal["off", "default", "cuda-graphs"]

COMPILATIONS: tuple[Compilation, ...] = ("off", "default", "cuda-graphs")

_RECOMPILE_LIMIT = 64
"""Forms of one network that a process compiles before it goes on without. Torch's own limit of 8 is
reached by the third or fourth width, as trials of several widths follow each other in a process."""

_Network = TypeVar("_Network", bound=nn.Module)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """One device and its settings. All but the device change results in rounding alone."""

    device: str = "cpu"
    """A torch device: ``cpu``, ``cuda`` or ``mps``."""

    precision: Precision = "float32"
    """``bfloat16`` trains under autocast; weights, losses and scores stay in float32."""

    channels_last: bool | None = None
    """Whether images and weights are laid out with the channels last; None is what was measured to
    be fastest: yes on the CPU, no elsewhere, where nothing was measured."""

    compilation: Compilation = "off"
    """``default``: torch compiles the networks, which takes a minute before the first step.
    ``cuda-graphs``: their kernels are recorded too and started as one, where starting them one by
    one takes longer than they do; ``cuda`` alone. Written by torch's documentation: no test runs
    it on a GPU."""

    def __post_init__(self) -> None:
        kind, _, number = self.device.partition(":")
        is_number = number.isdecimal() or kind == self.device
        if kind not in ("cpu", "cuda", "mps") or not is_number:
            raise ConfigError(f"--device is {self.device!r}, but must be cpu, cuda or mps.")
        if self.precision not in PRECISIONS:
            raise ConfigError(
                f"--precision is {self.precision!r}, but must be one of: {', '.join(PRECISIONS)}."
            )
        if self.compilation not in COMPILATIONS:
            raise ConfigError(
                f"--compile is {self.compilation!r}, but must be one of: {', '.join(COMPILATIONS)}."
            )
        if self.compilation == "cuda-graphs" and kind != "cuda":
            raise ConfigError(
                f"--compile is cuda-graphs, but the device is {self.device}, and only cuda has "
                "them; use --compile default there."
            )

    @property
    def torch_device(self) -> torch.device:
        """The device as torch has it."""
        return torch.device(self.device)

    @property
    def is_channels_last(self) -> bool:
        """Whether the channels are laid out last, asked for or by the device."""
        if self.channels_last is None:
            return self.torch_device.type == "cpu"
        return self.channels_last

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
        """Move a network to the device, in its layout there."""
        network.to(self.torch_device)
        if self.is_channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network

    def laid_out(self, images: Tensor) -> Tensor:
        """Return images ``(B, C, H, W)`` in the layout of the networks."""
        if self.is_channels_last:
            return images.contiguous(memory_format=torch.channels_last)
        return images

    def compiled(self, network: nn.Module) -> nn.Module:
        """Return a network that computes the same, compiled where that is asked for."""
        if self.compilation == "off":
            return network
        # One forward pass serves the gradients of two losses, so its buffers live on.
        functorch_config.donated_buffer = False
        mode = None
        if self.compilation == "cuda-graphs":
            mode = "reduce-overhead"
            torch.compiler.reset()  # Frees the graphs of the trial before, and their memory.
        compiled: nn.Module = torch.compile(  # type: ignore[call-overload]
            network, mode=mode, recompile_limit=_RECOMPILE_LIMIT
        )
        return compiled

    def begin_step(self) -> None:
        """Let go of what the compiled networks returned in the step before.

        CUDA graphs write each step's outputs and gradients into the same memory. Without this call,
        torch takes every pass of a network for a step of its own.
        """
        if self.compilation == "cuda-graphs":
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
