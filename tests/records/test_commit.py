"""A folder's commit is found, and told by a variable in a form that is checked."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from agad.records import PACKAGE_COMMIT, Commit, commit_of, told_commit
from tests.repositories import committed

DIGEST = "0123456789abcdef0123456789abcdef01234567"


def test_a_folder_has_the_commit_of_its_repository(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/a.py").touch()
    digest = committed(tmp_path)
    assert commit_of(tmp_path) == Commit(digest=digest, is_dirty=False)
    assert commit_of(tmp_path / "sub") == Commit(digest=digest, is_dirty=False)


@pytest.mark.parametrize(
    ("name", "is_dirty"),
    [("project/a.py", True), ("project/new.py", True), ("project/a.log", False), ("b.py", False)],
    ids=["changed", "new", "ignored", "elsewhere"],
)
def test_a_folder_is_dirty_by_its_own_files_that_are_not_ignored(
    tmp_path: Path, name: str, is_dirty: bool
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / ".gitignore").write_text("*.log\n")
    (project / "a.py").touch()
    digest = committed(tmp_path)
    (tmp_path / name).write_text("x\n")
    assert commit_of(project) == Commit(digest=digest, is_dirty=is_dirty)


def test_a_folder_that_no_commit_holds_has_none(tmp_path: Path) -> None:
    assert commit_of(tmp_path) is None
    (tmp_path / "a.py").touch()
    committed(tmp_path)
    (tmp_path / "new").mkdir()
    (tmp_path / "new/b.py").touch()
    assert commit_of(tmp_path / "new") is None


@pytest.mark.parametrize(
    "commit",
    [
        Commit(digest=DIGEST, is_dirty=False),
        Commit(digest=DIGEST, is_dirty=True),
        Commit(digest=DIGEST[:7], is_dirty=False),
        Commit(digest=(DIGEST * 2)[:64], is_dirty=True),
    ],
    ids=str,
)
def test_a_commit_that_is_told_is_the_same_again(
    monkeypatch: pytest.MonkeyPatch, commit: Commit
) -> None:
    monkeypatch.setenv(PACKAGE_COMMIT, str(commit))
    assert told_commit(PACKAGE_COMMIT) == commit


@pytest.mark.parametrize("text", ["", None], ids=["empty", "unset"])
def test_no_commit_is_told_without_a_word(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, text: str | None
) -> None:
    monkeypatch.delenv(PACKAGE_COMMIT, raising=False)
    if text is not None:
        monkeypatch.setenv(PACKAGE_COMMIT, text)
    assert told_commit(PACKAGE_COMMIT) is None
    assert caplog.records == []


@pytest.mark.parametrize(
    "text", ["main", "v1.0-3-gabcdef1", DIGEST + "+", "abc", DIGEST + "\n", "-dirty", "a" * 65]
)
def test_what_is_told_and_is_no_commit_is_ignored_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    monkeypatch.setenv(PACKAGE_COMMIT, text)
    with caplog.at_level(logging.WARNING):
        assert told_commit(PACKAGE_COMMIT) is None
    (line,) = caplog.messages
    assert line.startswith(f"AGAD_COMMIT is {text!r}, but must be a Git commit of 7 to 64")
