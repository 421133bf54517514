"""Files and folders that a command writes: whole, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from agad.errors import AgadError, ConfigError


def check_writable(path: Path) -> None:
    """Refuse a file that ``write_file`` could not write, before there is anything to write.

    Raises:
        ConfigError: It is a folder, or in none.
    """
    if os.path.isdir(path):  # noqa: PTH112 (Path's raises where a folder above is closed to us)
        raise ConfigError(f"{path} cannot be written, since it is a folder; name a file in it.")
    if not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        raise ConfigError(
            f"{path} cannot be written, since its folder does not exist or is closed; name another "
            "file."
        )


def is_new_folder(path: Path) -> bool:
    """Tell whether ``write_folder`` can write a folder: it is empty or not there."""
    try:
        is_new = not path.exists() or (path.is_dir() and not any(path.iterdir()))
    except OSError:
        return False
    return is_new and os.access(path.parent, os.W_OK | os.X_OK)


def write_folder(path: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write a new folder of files in one piece, or nothing.

    Args:
        path: The folder; it does not exist, or is empty.
        files: The name and the bytes of each.

    Raises:
        ConfigError: It cannot be written.
    """
    path = path.resolve()
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.mkdir()
        for name, data in files:
            (beside / name).write_bytes(data)
        beside.rename(path)
    except AgadError:
        raise
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written ({error.strerror}); name another folder."
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def write_file(path: Path, data: bytes) -> None:
    """Write a file in one piece, or leave the one before.

    Raises:
        ConfigError: It cannot be written.
    """
    if path.is_dir():
        raise ConfigError(f"{path} cannot be written, since it is a folder; name a file in it.")
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise ConfigError(
            f"{path} cannot be written ({error.strerror}); name another file."
        ) from error
