"""What made a row: the code and the libraries."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from agad.records.commit import PACKAGE_COMMIT, PROJECT_COMMIT, Commit, commit_of, told_commit
from agad.version import __version__

_LIBRARIES = ("torch", "numpy", "ray", "optuna")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The code and the libraries of the driver, which its workers share."""

    commit: str
    """Git commit of the code, empty where it is in no checkout and none is told."""

    is_dirty: bool
    versions: str
    """JSON object: by name, and the commit of a job's own files as ``project``."""


def find_provenance() -> Provenance:
    """Look at where the package is imported from, at what is installed, and what a job was told.

    The commit is the package's: of its checkout, else, where the package is among the files that a
    job was given, of these, else of what an image was made from. The commit of a job's files, and
    so of its study file, stands among the versions as ``project``.
    """
    folder = Path(__file__).resolve().parents[2]
    project = told_commit(PROJECT_COMMIT)
    commit = _commit_of_package(folder, project)
    versions = {"agad": __version__, "python": platform.python_version()}
    versions |= {name: version(name) for name in _LIBRARIES}
    if project is not None:
        versions["project"] = str(project)
    return Provenance(
        commit=commit.digest if commit else "",
        is_dirty=commit is not None and commit.is_dirty,
        versions=json.dumps(versions),
    )


def _commit_of_package(folder: Path, project: Commit | None) -> Commit | None:
    if (folder / ".git").exists():  # Else installed, or inside somebody else's checkout.
        return commit_of(folder)
    if project is not None and folder.is_relative_to(Path.cwd()):
        return project
    return told_commit(PACKAGE_COMMIT)
