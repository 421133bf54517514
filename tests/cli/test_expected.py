"""``agad run`` says first how long a new study takes on this machine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

import agad.cli.studies
import agad.executor.tune

if TYPE_CHECKING:
    from tests.cli.conftest import RunAgad, WriteStudy

_NARROW = (
    "Study(\n",
    'Study(detector=__import__("agad").Agad(backbone="naive", base_width=4, '
    "discriminator_width=4, batch_size=32, min_batch_anomalies=16),\n",
)


@pytest.fixture(autouse=True)
def _no_study_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agad.executor.tune, "run_study", lambda *_, **__: None)


def test_a_run_on_this_machine_says_first_how_long_it_takes(
    run_agad: RunAgad, write_study: WriteStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agad.cli.studies, "_ESTIMATE_S", 60.0)
    ended = run_agad("run", write_study(*_NARROW), "--max-concurrent-trials", 2)
    assert re.search(
        r"^Expected time: about [\d.]+ (s|min) \(5 trials, 2 at once\)\.$", ended.out, re.M
    )


def test_on_a_cluster_nothing_is_timed_here(run_agad: RunAgad, write_study: WriteStudy) -> None:
    ended = run_agad("run", write_study(*_NARROW), "--address", "a-cluster")
    assert "Expected time" not in ended.out
