"""What a trial is trained on."""

from __future__ import annotations

import platform
from pathlib import Path

import torch


def describe_hardware(device: str) -> str:
    """Name the GPU or processor that this process trains on."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    name = _processor()
    return f"{name} (mps)" if device == "mps" else name


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
