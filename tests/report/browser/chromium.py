"""A real Chromium for tests: $CHROMIUM, else one on PATH, else one unpacked from Debian's packages.

``python -m tests.report.browser.chromium`` unpacks it into $CHROMIUM_HOME (else ~/.cache/chromium),
which takes some 500 MB and no rights; where one is installed, it does nothing. It needs no package
of the project.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.debian import ProgramError, library_folders, unpack

_PACKAGES = ("chromium", "fonts-dejavu-core")
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>/usr/share/fonts</dir><dir>{fonts}</dir><cachedir>{cache}</cachedir></fontconfig>
"""


@dataclass(frozen=True, slots=True)
class Chromium:
    """Where it is, and what it needs around it."""

    program: Path
    environment: dict[str, str] = field(default_factory=dict)


def installed_chromium() -> Chromium | None:
    """Return the one to test with, None where there is none."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if found:
        return Chromium(Path(found))
    root = _home() / "root"
    program = root / "usr/lib/chromium/chromium"
    if not program.exists():
        return None
    # The unpacked libraries know nothing of the folder that they are in.
    folders = [one for usr in library_folders(root) for one in (usr, usr / "pulseaudio")]
    libraries = ":".join(map(str, folders))
    return Chromium(
        program, {"LD_LIBRARY_PATH": libraries, "FONTCONFIG_FILE": str(_home() / "fonts.conf")}
    )


def fetch() -> None:
    """Unpack its packages, unless there is one.

    Raises:
        ProgramError: This is no Debian, or its packages cannot be downloaded.
    """
    if installed_chromium() is None:
        unpack(_PACKAGES, _home())
        places = {"fonts": _home() / "root/usr/share/fonts", "cache": _home() / "fonts"}
        (_home() / "fonts.conf").write_text(_FONTS.format(**places))


def _home() -> Path:
    return Path(os.environ.get("CHROMIUM_HOME") or Path.home() / ".cache" / "chromium")


if __name__ == "__main__":
    try:
        fetch()
    except ProgramError as reason:
        sys.exit(f"No Chromium for the tests: {reason}; they are skipped.")
