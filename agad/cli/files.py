"""Writing a file or a folder completely or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agad.errors import AgadError, ConfigError


def check_writable(path: Path) -> None:
    """Refuse a path that ``write_file`` could not write, before there is anything to write.

    Raises:
        ConfigError: The path is a folder, or its folder cannot be written to.
    """
    if os.path.isdir(path):  # noqa: PTH112 (Path's raises where a folder above is closed to us)
        raise ConfigError(f"{path} cannot be written, since it is a folder; name a file in it.")
    if not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        raise ConfigError(
            f"{path} cannot be written, since its folder does not exist or is closed; name another "
            "file."
        )


def is_new_folder(path: Path) -> bool:
    """Whether ``write_folder`` can write a folder: it is empty or does not exist."""
    try:
        is_new = not path.exists() or (path.is_dir() and not any(path.iterdir()))
    except OSError:
        return False
    return is_new and os.access(path.parent, os.W_OK | os.X_OK)


def write_folder(path: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write a folder with all its files, or nothing.

    Args:
        path: The folder; it is empty or does not exist.
        files: The name and the bytes of each file.

    Raises:
        ConfigError: The folder cannot be written.
    """
    path = path.resolve()
    with _beside(path, "folder") as beside:
        try:
            beside.mkdir()
            for name, data in files:
                (beside / name).write_bytes(data)
            beside.rename(path)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def write_file(path: Path, data: bytes) -> None:
    """Write a whole file, or leave the old file as it is.

    Raises:
        ConfigError: The file cannot be written.
    """
    if path.is_dir():
        raise ConfigError(f"{path} cannot be written, since it is a folder; name a file in it.")
    with _beside(path, "file") as beside:
        try:
            beside.write_bytes(data)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


@contextmanager
def _beside(path: Path, kind: str) -> Iterator[Path]:
    """Yield a path in the same folder, to write first and then rename.

    Raises:
        ConfigError: The path cannot be written.
    """
    try:
        yield path.with_name(f".{path.name}.{os.getpid()}")
    except AgadError:
        raise
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written ({error.strerror}); name another {kind}."
        ) from error
