"""Every command takes its store as ``STORE`` and as ``--store STORE``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import FillStore, RunAgad, WriteStudy

READING = {
    "report": ("report",),
    "store info": ("store", "info"),
    "store verify": ("store", "verify"),
    "store files": ("store", "files"),
    "data list": ("data", "list"),
    "data show": ("data", "show", "digits"),
    "watch": ("watch", "--once"),
    "dashboard": ("dashboard", "--study", "none"),
    "export": ("export", "--out", "model"),
    "diagnose": ("diagnose",),
}


@pytest.mark.parametrize("command", READING.values(), ids=READING.keys())
def test_both_ways_to_name_a_store_do_the_same(
    run_agad: RunAgad,
    fill_store: FillStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    store = fill_store(tmp_path / "named")
    first = run_agad(*command, store)
    told = first.out + first.err
    assert store in told or "tiny" in told or "digits" in told
    assert run_agad(*command, "--store", store) == first


@pytest.mark.parametrize(
    "words",
    [("STORE",), ("--store", "STORE"), ("--reduced", "STORE"), ("STORE", "--reduced")],
    ids=" ".join,
)
def test_a_plan_takes_a_store_before_and_after_its_flags(
    run_agad: RunAgad, write_study: WriteStudy, tmp_path: Path, words: tuple[str, ...]
) -> None:
    store = str(tmp_path / "named")
    ended = run_agad("plan", write_study(), *(store if word == "STORE" else word for word in words))
    assert (ended.code, ended.err) == (0, "")
    assert Path(store).is_dir()
    assert not (tmp_path / "store").exists()


def test_a_data_set_is_imported_into_a_store_at_its_place(
    run_agad: RunAgad, tmp_path: Path
) -> None:
    ended = run_agad("data", "import", "digits", "--size", 16, tmp_path / "named")
    assert f"imported into {tmp_path / 'named'}" in ended.out


@pytest.mark.parametrize("command", [("report",), ("plan", "a_study.py"), ("data", "list")])
def test_two_stores_are_refused(
    run_agad: RunAgad, write_study: WriteStudy, command: tuple[str, ...]
) -> None:
    write_study()
    ended = run_agad(*command, "a", "--store", "b")
    assert ended.code == 2
    assert "the stores a and b are given, but a command takes one; leave one out" in ended.err


def test_a_word_too_many_is_refused(run_agad: RunAgad) -> None:
    ended = run_agad("data", "list", "a", "b")
    assert ended.code == 2
    assert "unrecognized arguments: b" in ended.err


def test_a_store_that_a_job_is_given_at_its_place_is_passed_on(
    run_agad: RunAgad, write_study: WriteStudy, tmp_path: Path
) -> None:
    ended = run_agad("submit", write_study(), tmp_path / "named")
    assert ended.code == 2
    assert "--address is not given" in ended.err  # Without a store, --store would be asked for.
