"""``agad plan``: what a study will take, without Ray; of a study nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from agad.objects import open_objects
from agad.store import list_studies

if TYPE_CHECKING:
    from tests.cli.conftest import Ended, FillStore, RunAgad, WriteStudy

_NARROW = (
    "Study(\n",
    'Study(detector=__import__("agad").Agad(backbone="naive", base_width=4, '
    "discriminator_width=4, batch_size=32, min_batch_anomalies=16),\n",
)


def test_a_plan_prints_the_cell_and_writes_no_study(
    run_agad: RunAgad, write_study: WriteStudy, tmp_path: Path
) -> None:
    ended = run_agad("plan", write_study(*_NARROW), "--measure", "--max-concurrent-trials", 2)
    assert (ended.code, ended.err) == (0, "")
    assert "tiny" in ended.out
    assert list_studies(open_objects(str(tmp_path / "store"))) == []
    kept = {path.name for path in (tmp_path / "store").iterdir()}
    assert kept == {"_datasets", "_probes"}
    assert not (tmp_path / "home").exists()


def test_a_plan_fetches_the_training_images_alone_into_the_cache_it_is_given(
    run_agad: RunAgad, write_study: WriteStudy, tmp_path: Path
) -> None:
    given = tmp_path / "given"
    assert run_agad("plan", write_study(*_NARROW), "--measure", "--cache", given).code == 0
    assert len(list(given.glob("*.arrow"))) == 1
    assert not (tmp_path / "cache").exists()


def test_a_relative_cache_is_one_of_this_folder(
    run_agad: RunAgad,
    write_study: WriteStudy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write_study(*_NARROW)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert run_agad("plan", path, "--measure", "--cache", "a-cache").code == 0
    assert (tmp_path / "here/a-cache").is_dir()


def test_agad_cache_is_the_default_cache_and_else_one_at_home(
    run_agad: RunAgad,
    write_study: WriteStudy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write_study(*_NARROW)
    assert run_agad("plan", path, "--measure").code == 0
    assert (tmp_path / "cache").is_dir()
    assert not (tmp_path / "home").exists()
    monkeypatch.delenv("AGAD_CACHE")
    assert run_agad("plan", path, "--measure").code == 0
    assert (tmp_path / "home/.agad/cache").is_dir()


def test_a_plan_of_a_leave_one_out_study_names_its_variant(
    run_agad: RunAgad, write_study: WriteStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    path = write_study("normal_class=0", "anomalous_class=0, pollution_ratio=0.05")
    path.write_text(path.read_text().replace(*_NARROW))
    out = " ".join(run_agad("plan", path).out.split())
    assert "digits class=0 ratio=0 leave-one-out pollution=0.05" in out


def test_a_reduced_plan_is_of_the_reduced_study(run_agad: RunAgad, write_study: WriteStudy) -> None:
    assert "tiny-reduced" in run_agad("plan", write_study(*_NARROW), "--reduced").out


def test_a_plan_of_an_empty_store_makes_no_seconds_up(
    run_agad: RunAgad, write_study: WriteStudy, tmp_path: Path
) -> None:
    ended = run_agad("plan", write_study(*_NARROW))
    assert (ended.code, ended.err) == (0, "")
    out = " ".join(ended.out.split())
    assert "seconds an epoch unknown: no trial of this kind in the store; --measure times" in out
    assert not (tmp_path / "cache").exists()


def test_a_plan_takes_its_seconds_from_the_trials_of_a_store(
    run_agad: RunAgad,
    write_study: WriteStudy,
    fill_store: FillStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    fill_store(tmp_path / "store", "another")
    out = run_agad("plan", write_study(), "--price-per-gpu-hour", 2).out
    # 10 s for 27 epochs of 140 normals: a step each.
    assert "0.370 s" in out
    assert "4 trials" in out
    assert "by what was timed on a processor on a host" in out
    assert "no cost by the GPU-hour" in out


@pytest.mark.parametrize(
    ("num_gpus", "flags", "told"),
    [
        (2, (), "on 4 trials at once"),
        (0, (), "on 1 trial at once"),
        (2, ("--max-concurrent-trials", 7), "on 7 trials at once"),
    ],
    ids=["two GPUs", "no GPU here", "as said"],
)
def test_a_plan_by_trials_of_half_a_gpu_counts_gpus_and_no_cores(  # noqa: PLR0913  Fixtures, and what they are given.
    num_gpus: int,
    flags: tuple[object, ...],
    told: str,
    run_agad: RunAgad,
    write_study: WriteStudy,
    fill_store: FillStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: num_gpus)
    fill_store(tmp_path / "store", "another", seconds=10.0, gpu_s=5.0)
    assert told in run_agad("plan", write_study(), *flags).out


@pytest.mark.parametrize("price", ["-1", "nan"])
def test_a_plan_refuses_a_price_that_is_none(
    price: str, run_agad: RunAgad, write_study: WriteStudy
) -> None:
    ended = run_agad("plan", write_study(), f"--price-per-gpu-hour={price}")
    assert ended.code == 2
    assert "must be a number from 0 up" in ended.err


@pytest.fixture
def planned(
    run_agad: RunAgad, write_study: WriteStudy, trained: str
) -> Callable[[str, str], Ended]:
    """Plan the trained study, with one text in its file replaced by another."""
    text = """\
from agad import Agad, Asha, Confirm, Grid, Labelled, LogUniform, Search, Study

STUDY = Study(
    name="tiny",
    cells=Grid(dataset="digits", normal_class=0),
    detector=Agad(
        backbone="naive", base_width=4, discriminator_width=4, batch_size=32, min_batch_anomalies=16
    ),
    search=Search(space={"lr": LogUniform(1e-3, 1e-2)}, trials_per_cell=2),
    scheduler=Asha(max_epochs=2, grace_period=1, reduction_factor=2),
    confirm=Confirm(seeds=2),
    selection=Labelled(num_anomalies=30, val_share=0.25),
)
"""

    def plan(old: str = "", new: str = "") -> Ended:
        path = write_study()
        path.write_text(text.replace(old, new) if old else text)
        return run_agad("plan", path, trained, "--max-concurrent-trials", 1)

    return plan


def test_a_plan_of_a_finished_study_has_nothing_left(planned: Callable[..., Ended]) -> None:
    ended = planned()
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "Study tiny: 4 of 4 trials done, nothing left.\n"


def test_a_plan_of_an_extended_study_counts_what_is_left(planned: Callable[..., Ended]) -> None:
    out = planned("trials_per_cell=2", "trials_per_cell=5").out
    assert "Study tiny: what is left, nothing was run" in out
    assert "So far: 2 of 7 trials done" in out or "So far: 4 of 7 trials done" in out
    assert "Trials: 3 to search, " in out


def test_a_plan_of_a_changed_study_is_refused_as_run_refuses_it(
    planned: Callable[..., Ended], run_agad: RunAgad, trained: str, tmp_path: Path
) -> None:
    ended = planned("max_epochs=2", "max_epochs=3")
    assert (ended.code, ended.out) == (2, "")
    assert "scheduler.max_epochs was 2 and is now 3" in ended.err
    assert run_agad("run", tmp_path / "a_study.py", trained).err == ended.err


def test_a_plan_prices_the_wall_time_without_a_gpu(
    run_agad: RunAgad, write_study: WriteStudy, fill_store: FillStore, tmp_path: Path
) -> None:
    fill_store(tmp_path / "store", "another")
    words = ("--price-per-hour", 3600, "--max-concurrent-trials", 2)
    out = run_agad("plan", write_study(), *words).out
    # Two search trials and three confirm trials of 10 s each, two at once.
    assert "Cost at 3,600.00 an hour of all machines together: about " in out
    assert "or 25.00 where none is stopped" in out
    assert "Wall time on 2 trials at once: about" in out
    assert "the workers' time is" in out


def test_a_plan_refuses_two_prices(run_agad: RunAgad, write_study: WriteStudy) -> None:
    ended = run_agad("plan", write_study(), "--price-per-hour=1", "--price-per-gpu-hour=1")
    assert ended.code == 2
    assert "leave one out" in ended.err
