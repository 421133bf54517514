"""Local files as streams: read, written to the disk and compared. Errors name the file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from agad.errors import AgadError, StoreError

CHUNK_BYTES = 2**20
"""How much of a file is in memory at once."""


@contextmanager
def errors_named(
    path: Path, done: str, check: str = "its folder, its permissions and the free space"
) -> Iterator[None]:
    """Turn the system's errors into one line that names the file.

    Args:
        path: The file.
        done: What cannot be done to it, such as ``"read"``.
        check: What the user should look at.
    """
    try:
        yield
    except AgadError:  # The error names its file; a StoreError is an OSError too.
        raise
    except OSError as error:
        reason = error.strerror or error
        raise StoreError(f"{path} cannot be {done}: {reason}; check {check}.") from error


@contextmanager
def replaced(path: Path) -> Iterator[None]:
    """Remove the file at a path before the block writes it anew, and again if the block fails.

    The file is removed, not emptied: it may be a second name of a file that must not change.
    """
    with errors_named(path, "written"):
        path.unlink(missing_ok=True)
        try:
            yield
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def read_chunks(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes in order.

    Raises:
        StoreError: The file cannot be read.
    """
    with errors_named(path, "read"), path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


@contextmanager
def synced(path: Path) -> Iterator[BinaryIO]:
    """Create a file for the block to write; when the block is left, its bytes are on the disk."""
    with path.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def write_synced(path: Path, chunks: Iterable[bytes]) -> None:
    """Create a file, and return when its bytes are on the disk."""
    with synced(path) as file:
        file.writelines(chunks)


def holds(file: BinaryIO, chunks: Iterable[bytes]) -> bool:
    """Whether the rest of an open file is exactly these bytes; stops at the first difference."""
    return all(file.read(len(chunk)) == chunk for chunk in chunks) and not file.read(1)
