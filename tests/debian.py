"""Programs that tests run, from Debian's packages, which need no rights to be unpacked."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path


class ProgramError(RuntimeError):
    """A program cannot be had or run here; the text says why."""


def unpack(packages: Sequence[str], home: Path) -> None:
    """Unpack packages, and all that they need and this machine lacks, into ``home/root``.

    Args:
        packages: Debian's names.
        home: Made where it is missing.

    Raises:
        ProgramError: This is no Debian, or its packages cannot be downloaded.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise ProgramError("there is no apt-get")
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home) as folder:
        run(["apt-get", "update", "-q"], folder)
        plan = run(["apt-get", "install", "-s", "--no-install-recommends", *packages], folder)
        names = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]
        run(["apt-get", "download", "-q", *names], folder)
        root = Path(folder) / "root"
        for package in Path(folder).glob("*.deb"):
            run(["dpkg", "-x", str(package), str(root)], folder)
        root.rename(home / "root")


def library_folders(root: Path) -> list[Path]:
    """Return the folders of libraries below an unpacked root."""
    return [path for usr in ("usr/lib", "lib") for path in sorted((root / usr).glob("*-linux-gnu"))]


def run(command: list[str], folder: str, environment: dict[str, str] | None = None) -> str:
    """Return what a program printed: five minutes for it, 20 s in an environment of its own.

    Raises:
        ProgramError: It failed, or took longer.
    """
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=300 if environment is None else 20,
        )
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or [f"exit status {error.returncode}"]
        raise ProgramError(f"{Path(command[0]).name} failed: {lines[-1]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProgramError(f"{Path(command[0]).name} failed: {error}") from error
    return done.stdout
