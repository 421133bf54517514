"""The Git commit of a folder, and how it is told where no repository is."""

from __future__ import annotations

import logging
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

PACKAGE_COMMIT = "AGAD_COMMIT"
"""Variable with the commit that the installed package was made from, as an image has it."""

PROJECT_COMMIT = "AGAD_PROJECT_COMMIT"
"""Variable with the commit of the folder that a job was given, as its submission has it."""

_DIRTY = "-dirty"
_FORM = re.compile(rf"([0-9a-f]{{7,64}})({_DIRTY})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit, and whether the files are others than its own."""

    digest: str
    """7 to 64 hexadecimal digits."""

    is_dirty: bool

    def __str__(self) -> str:
        return self.digest + _DIRTY * self.is_dirty


def commit_of(folder: Path) -> Commit | None:
    """Return the commit that holds a folder; None where there is none, or no Git.

    A file of the folder that is changed, or new and not ignored, makes it dirty.
    """
    try:
        # The second name is the folder's own: it may lie in a repository that does not hold it.
        digest = _git(folder, "rev-parse", "HEAD", "HEAD:./").split()[0]
        changes = _git(folder, "status", "--porcelain", "--", ".")
    except (OSError, subprocess.SubprocessError):
        return None
    return Commit(digest=digest, is_dirty=bool(changes))


def told_commit(variable: str) -> Commit | None:
    """Return the commit that an environment variable tells; None where it tells none.

    Another text than a commit, with ``-dirty`` behind it or without, is ignored with a warning.
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
