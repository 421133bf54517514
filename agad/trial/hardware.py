"""The hardware of a trial, and how much of its memory the trial takes."""

from __future__ import annotations

import ctypes
import platform
from pathlib import Path

import torch


def describe_hardware(device: str) -> str:
    """Name the GPU or processor that this process trains on."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    name = _processor()
    return f"{name} (mps)" if device == "mps" else name


def num_gpus() -> int:
    """Count the GPUs that this process could train on."""
    return torch.cuda.device_count()


class PeakMemory:
    """The most memory that this process holds since this object was made."""

    def __init__(self, device: str) -> None:
        """Start anew; an earlier object's figures end here.

        Args:
            device: The device of the training, as torch names it.
        """
        self._device = device
        self._has_gpu = device.startswith("cuda") and torch.cuda.is_available()
        if self._has_gpu:
            # The allocator keeps what the last trial freed, so other processes could not use it.
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
        self._is_known = _reset_peak()

    @property
    def resident_bytes(self) -> int | None:
        """Peak memory of the host, mapped images included; None if Linux does not tell."""
        return _peak_bytes() if self._is_known else None

    @property
    def gpu_bytes(self) -> int | None:
        """Peak memory of tensors on the GPU; None without a GPU."""
        return torch.cuda.max_memory_allocated(self._device) if self._has_gpu else None

    @property
    def gpu_total_bytes(self) -> int | None:
        """Total memory of the GPU; None without a GPU."""
        if not self._has_gpu:
            return None
        return int(torch.cuda.get_device_properties(self._device).total_memory)


def _reset_peak() -> bool:
    """Let the kernel measure the peak anew; False if it cannot."""
    # The C library keeps what the last trial freed: the next trial's peak would include it.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # No Linux, or a sandbox without this file.
        return False
    return True


def _peak_bytes() -> int | None:
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            return 1024 * int(value.split()[0])
    return None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
