"""Rows name the commit of the code that made them, wherever it runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agad.records import PACKAGE_COMMIT, PROJECT_COMMIT, find_provenance, provenance
from tests.repositories import committed

IMAGE = "a" * 40
PROJECT = "b" * 40


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the package seems to be imported from, in no repository yet."""
    folder = tmp_path / "checkout"
    file = folder / "agad/records/provenance.py"
    file.parent.mkdir(parents=True)
    file.touch()
    monkeypatch.setattr(provenance, "__file__", str(file))
    for name in (PACKAGE_COMMIT, PROJECT_COMMIT):
        monkeypatch.delenv(name, raising=False)
    return folder


def found() -> tuple[str, bool, str | None]:
    """Return the commit, whether it is dirty, and the project's."""
    one = find_provenance()
    return one.commit, one.is_dirty, json.loads(one.versions).get("project")


def test_a_checkout_tells_its_own_commit_whatever_the_environment_says(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = committed(checkout)
    monkeypatch.setenv(PACKAGE_COMMIT, IMAGE)
    assert found() == (digest, False, None)
    (checkout / "agad/new.py").touch()
    assert found() == (digest, True, None)


def test_a_package_without_a_repository_and_untold_has_no_commit(checkout: Path) -> None:
    assert checkout.exists()
    assert found() == ("", False, None)


def test_a_repository_around_an_installed_package_is_not_its_own(checkout: Path) -> None:
    committed(checkout.parent)
    assert found() == ("", False, None)


@pytest.mark.parametrize("mark", ["", "-dirty"], ids=["clean", "dirty"])
def test_an_installed_package_has_the_commit_of_its_image(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, mark: str
) -> None:
    assert checkout.exists()
    monkeypatch.setenv(PACKAGE_COMMIT, IMAGE + mark)
    assert found() == (IMAGE, bool(mark), None)


def test_the_code_is_the_images_and_the_study_the_submissions(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checkout.exists()
    (tmp_path / "job").mkdir()
    monkeypatch.chdir(tmp_path / "job")
    monkeypatch.setenv(PACKAGE_COMMIT, IMAGE)
    monkeypatch.setenv(PROJECT_COMMIT, PROJECT + "-dirty")
    assert found() == (IMAGE, False, PROJECT + "-dirty")
    monkeypatch.delenv(PACKAGE_COMMIT)
    assert found() == ("", False, PROJECT + "-dirty")


def test_a_job_that_was_given_the_package_too_runs_that_one(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout)
    monkeypatch.setenv(PACKAGE_COMMIT, IMAGE)
    monkeypatch.setenv(PROJECT_COMMIT, PROJECT + "-dirty")
    assert found() == (PROJECT, True, PROJECT + "-dirty")
