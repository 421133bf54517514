"""The code and the libraries that made a row."""

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
    """Git commit of the code; empty if the code is in no checkout and no variable gives a commit.
    """

    is_dirty: bool
    versions: str
    """JSON object of versions by name, with the commit of a job's own files as ``project``."""


def find_provenance() -> Provenance:
    """Find the commit of the package and the versions of the installed libraries.

    The commit is that of the package's checkout. If the package is in no checkout but among the
    files of a job, the commit is that of these files. Otherwise, the commit is the one that an
    image was made from. The commit of a job's files, and so of its study file, is in the versions
    as ``project``.
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
    if (folder / ".git").exists():  # If not: installed, or inside somebody else's checkout.
        return commit_of(folder)
    if project is not None and folder.is_relative_to(Path.cwd()):
        return project
    return told_commit(PACKAGE_COMMIT)
