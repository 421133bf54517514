"""The Git commit of a folder, and the variables that give the commit without a repository."""

from __future__ import annotations

import logging
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

PACKAGE_COMMIT = "AGAD_COMMIT"
"""Environment variable with the commit that the installed package was built from, as in an image.
"""

PROJECT_COMMIT = "AGAD_PROJECT_COMMIT"
"""Environment variable with the commit of the folder that a job received when it was submitted."""

_DIRTY = "-dirty"
_FORM = re.compile(rf"([0-9a-f]{{7,64}})({_DIRTY})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit, and whether the files differ from it."""

    digest: str
    """7 to 64 hexadecimal digits."""

    is_dirty: bool

    def __str__(self) -> str:
        return self.digest + _DIRTY * self.is_dirty


def commit_of(folder: Path) -> Commit | None:
    """Return the commit that holds a folder; None without a commit or without Git.

    The commit is dirty if a file of the folder is changed, or is new and not ignored.
    """
    try:
        # "HEAD:./" fails if the folder lies in a repository that does not hold the folder.
        digest = _git(folder, "rev-parse", "HEAD", "HEAD:./").split()[0]
        changes = _git(folder, "status", "--porcelain", "--", ".")
    except (OSError, subprocess.SubprocessError):
        return None
    return Commit(digest=digest, is_dirty=bool(changes))


def told_commit(variable: str) -> Commit | None:
    """Return the commit in an environment variable; None if the variable is unset or empty.

    The text is a commit, with or without ``-dirty`` at its end. Any other text is ignored with a
    warning.
    """
    text = os.environ.get(variable, "")
    if not text:
        return None
    found = _FORM.fullmatch(text)
    if found is None:
        logger.warning(
            "%s is %.70r, but must be a Git commit of 7 to 64 hexadecimal digits, with %s behind "
            "it where files were changed; it is ignored.",
            variable,
            text,
            _DIRTY,
        )
        return None
    return Commit(digest=found[1], is_dirty=found[2] is not None)


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
