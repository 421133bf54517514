"""What a trial takes of its worker's memory, measured anew for each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from agad.trial import PeakMemory

_BIG = 400 * 2**20


def _fill(num_bytes: int) -> None:
    """Hold so much memory for a moment."""
    np.ones(num_bytes, np.uint8)


def _peak_of(num_bytes: int) -> int:
    peak = PeakMemory("cpu")
    _fill(num_bytes)
    assert peak.resident_bytes is not None
    return peak.resident_bytes


def test_a_small_trial_after_a_big_one_has_a_peak_of_its_own() -> None:
    before, big, small = _peak_of(0), _peak_of(_BIG), _peak_of(2**20)
    assert big - before == pytest.approx(_BIG, rel=0.05)
    assert small < big - 0.9 * _BIG


def test_a_peak_is_of_all_the_time_since_the_start() -> None:
    peak = PeakMemory("cpu")
    _fill(_BIG)
    first = peak.resident_bytes
    _fill(2**20)
    assert peak.resident_bytes == first


def test_what_was_freed_before_the_start_does_not_count() -> None:
    _fill(_BIG)
    peak = PeakMemory("cpu")
    at_start = peak.resident_bytes
    assert at_start is not None
    _fill(_BIG)
    assert (peak.resident_bytes or 0) - at_start == pytest.approx(_BIG, rel=0.05)


def test_no_peak_is_told_where_it_cannot_be_measured_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    assert PeakMemory("cpu").resident_bytes is None


def test_a_trial_on_a_gpu_has_a_peak_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The GPU is one that only counts: what is kept, what is used, and the peak of that."""
    gpu = {"kept": 7, "used": 2, "peak": 6}
    answers: dict[str, Callable[..., object]] = {
        "is_available": lambda: True,
        "empty_cache": lambda: gpu.update(kept=gpu["used"]),
        "reset_peak_memory_stats": lambda _: gpu.update(peak=gpu["used"]),
        "max_memory_allocated": lambda _: gpu["peak"],
        "get_device_properties": lambda _: SimpleNamespace(total_memory=16),
    }
    for name, answer in answers.items():
        monkeypatch.setattr(f"torch.cuda.{name}", answer)
    peak = PeakMemory("cuda")
    assert (peak.gpu_bytes, peak.gpu_total_bytes, gpu["kept"]) == (2, 16, 2)
    gpu["peak"] = 3
    assert peak.gpu_bytes == 3


def test_without_a_gpu_no_memory_of_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert PeakMemory("cpu").gpu_bytes is None
    assert PeakMemory("cuda").gpu_bytes is None
    assert PeakMemory("cuda").gpu_total_bytes is None
