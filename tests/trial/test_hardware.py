"""What a trial takes of its worker's memory, measured anew for each."""

from __future__ import annotations

from pathlib import Path

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


def test_without_a_gpu_no_memory_of_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert PeakMemory("cpu").gpu_bytes is None
    assert PeakMemory("cuda").gpu_bytes is None
