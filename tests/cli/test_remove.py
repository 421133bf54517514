"""`agad data remove` and `agad store remove`: they ask, they refuse what is needed."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agad.data import Library, find_manifest
from agad.objects import open_objects
from agad.store import list_studies

if TYPE_CHECKING:
    from tests.cli.conftest import FillStore, RunAgad


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def store(fill_store: FillStore, tmp_path: Path) -> str:
    """A store with digits and a study of them."""
    uri = fill_store(tmp_path / "store")
    find_manifest(Library(open_objects(uri)), "digits")
    return uri


def _names(store: str) -> list[str]:
    return Library(open_objects(store)).names()


def test_a_data_set_that_a_study_names_is_not_removed(run_agad: RunAgad, store: str) -> None:
    ended = run_agad("data", "remove", "digits", "--yes")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"agad: data set 'digits' is needed by tiny in {store}, to go on")
    assert _names(store) == ["digits"]


def test_a_study_and_then_its_data_set_are_removed(run_agad: RunAgad, store: str) -> None:
    ended = run_agad("store", "remove", "tiny", "--yes")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.endswith(f"objects removed from {store}.\n")
    assert list_studies(open_objects(store)) == []
    ended = run_agad("data", "remove", "digits", "--yes")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"digits: removed from {store}, ")
    assert _names(store) == []
    assert run_agad("data", "show", "digits").code == 0


def test_without_a_terminal_nothing_is_removed_without_yes(run_agad: RunAgad, store: str) -> None:
    ended = run_agad("store", "remove", "tiny")
    assert ended.code == 2
    assert ended.err.startswith("agad: --yes is missing, but must be given to remove study tiny")
    assert list_studies(open_objects(store)) == ["tiny"]


@pytest.mark.parametrize(
    ("answer", "left"), [("y", []), ("Yes", []), ("", ["tiny"]), ("n", ["tiny"])]
)
def test_an_answer_decides(
    run_agad: RunAgad, store: str, monkeypatch: pytest.MonkeyPatch, answer: str, left: list[str]
) -> None:
    monkeypatch.setattr("sys.stdin", _Terminal(f"{answer}\n"))
    ended = run_agad("store", "remove", "tiny", "--store", store)
    assert (ended.code, ended.err) == (0, "")
    assert "Remove study tiny with 9 objects from" in ended.out
    assert ("Nothing was removed." in ended.out) == bool(left)
    assert list_studies(open_objects(store)) == left


@pytest.mark.parametrize(
    ("command", "match"),
    [
        (("data", "remove", "digit"), "data set 'digit' is not in .*; do you mean 'digits'?"),
        (("store", "remove", "tin"), "STUDY is 'tin', but .* holds: tiny"),
        (("data", "remove", "../tiny"), "data set name is '../tiny', but must start with"),
    ],
    ids=["data", "study", "path"],
)
def test_what_is_not_there_is_named(
    run_agad: RunAgad, store: str, command: tuple[str, ...], match: str
) -> None:
    import re

    ended = run_agad(*command, "--yes", "--store", store)
    assert ended.code == 2
    assert re.search(match, ended.err)
