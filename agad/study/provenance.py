"""What made a row: the code and the libraries."""

from __future__ import annotations

import json
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from agad.version import __version__

_LIBRARIES = ("torch", "numpy", "ray", "optuna")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The code and the libraries of the driver, which its workers share."""

    commit: str
    """Git commit of the code, empty where it is not in a checkout."""

    is_dirty: bool
    versions: str
    """JSON object."""


def find_provenance() -> Provenance:
    """Look at the checkout that the package is imported from, and at what is installed."""
    commit = _git("rev-parse", "HEAD")
    versions = {"agad": __version__, "python": platform.python_version()}
    versions |= {name: version(name) for name in _LIBRARIES}
    return Provenance(
        commit=commit,
        is_dirty=bool(commit and _git("status", "--porcelain")),
        versions=json.dumps(versions),
    )


def _git(*arguments: str) -> str:
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():  # Installed, or inside somebody else's checkout.
        return ""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
