"""A GPU that is not there, as a worker's torch tells of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

ALL_BYTES = 16 * 2**30


def pretend(peak_bytes: int) -> None:
    """Let this process, which ends with its worker, have a GPU on which its trial takes so much."""
    answers: dict[str, Any] = {
        "is_available": True,
        "empty_cache": None,
        "reset_peak_memory_stats": None,
        "max_memory_allocated": peak_bytes,
        "get_device_name": "Fake GPU",
        "get_device_properties": SimpleNamespace(total_memory=ALL_BYTES),
    }
    for name, answer in answers.items():
        setattr(torch.cuda, name, lambda *_, answer=answer: answer)
