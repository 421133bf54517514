"""Trials that share a GPU and do not fit it."""

from __future__ import annotations

import logging

import pytest

from agad.study.packing import Packing
from agad.trial import Runtime


def test_a_share_doubles_up_to_a_whole_gpu(caplog: pytest.LogCaptureFixture) -> None:
    packing = Packing(Runtime(store="/nowhere", gpus=0.3))
    shares = []
    with caplog.at_level(logging.WARNING):
        while packing.grow(packing.runtime.gpus):
            shares.append(packing.runtime.gpus)
    assert shares == [0.6, 1.0]
    assert "did not fit 0.3 of a GPU's memory; from now on each trial gets 0.6" in caplog.text


def test_trials_that_were_packed_alike_raise_the_share_once() -> None:
    packing = Packing(Runtime(store="/nowhere", gpus=0.25))
    assert [packing.grow(0.25) for _ in range(4)] == [True] * 4
    assert packing.runtime.gpus == 0.5


@pytest.mark.parametrize("gpus", [0.0, 1.0, 2.0])
def test_whole_gpus_and_none_stay_as_they_are(gpus: float) -> None:
    packing = Packing(Runtime(store="/nowhere", gpus=gpus))
    assert not packing.grow(gpus)
    assert packing.runtime.gpus == gpus
