"""``agad plan``: what a study will take, with nothing written and no Ray."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import RunAgad, WriteStudy

_NARROW = (
    "Study(\n",
    'Study(detector=__import__("agad").Agad(backbone="naive", base_width=4, '
    "discriminator_width=4, batch_size=32, min_batch_anomalies=16),\n",
)


def test_a_plan_prints_the_cell_and_writes_nothing(
    run_agad: RunAgad, write_study: WriteStudy, tmp_path: Path
) -> None:
    ended = run_agad("plan", write_study(*_NARROW), "--max-concurrent-trials", 2)
    assert (ended.code, ended.err) == (0, "")
    assert "tiny" in ended.out
    assert not (tmp_path / "store").exists()
    assert not (tmp_path / "home").exists()


def test_a_reduced_plan_is_of_the_reduced_study(run_agad: RunAgad, write_study: WriteStudy) -> None:
    assert "tiny-reduced" in run_agad("plan", write_study(*_NARROW), "--reduced").out
