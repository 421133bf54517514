"""Git repositories of a test's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

_NOBODY = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")


def committed(folder: Path) -> str:
    """Make a folder a repository, all of its files in one commit; return the commit's digest."""
    for arguments in (["init", "-q"], ["add", "."], [*_NOBODY, "commit", "-qm", "All of it"]):
        _git(folder, *arguments)
    return _git(folder, "rev-parse", "HEAD")


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()
