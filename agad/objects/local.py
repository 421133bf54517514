"""Objects as files in a folder."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from agad.objects.files import errors_named, holds, read_chunks, replaced, write_synced
from agad.objects.protocol import MissingObjectError, check_key, check_prefix
from agad.records import is_key


class LocalObjects:
    """Objects in a folder, which the first put creates. A file is one object, named by its key."""

    def __init__(self, path: Path) -> None:
        self._root = path.expanduser().absolute()

    @property
    def uri(self) -> str:
        return str(self._root)

    @property
    def identity(self) -> str:
        return self.uri

    def get(self, key: str) -> bytes:
        check_key(key)
        path = self._root / key
        with _errors_named(path, "read"):
            return path.read_bytes()

    def open(self, key: str) -> BinaryIO:
        check_key(key)
        path = self._root / key
        with _errors_named(path, "read"):
            return path.open("rb")

    def put_if_absent(self, key: str, data: bytes) -> bool:
        return self._put(key, lambda: iter((data,)))

    def get_file(self, key: str, path: Path) -> None:
        """See ``ObjectStore``. On one file system, both names are of one file (a hard link)."""
        check_key(key)
        source = self._root / key
        with _errors_named(source, "read"):
            source.stat()
        with replaced(path):
            try:
                path.hardlink_to(source)
            except OSError:  # Another file system, say; the copy tells other errors.
                write_synced(path, read_chunks(source))

    def put_file_if_absent(self, key: str, path: Path) -> bool:
        return self._put(key, lambda: read_chunks(path))

    def _put(self, key: str, chunks: Callable[[], Iterator[bytes]]) -> bool:
        """Link a file to its name when its bytes are on the disk.

        Args:
            key: The object.
            chunks: Returns the object's bytes, from the first byte at every call.
        """
        check_key(key)
        path = self._root / key
        with _errors_named(path, "written"):
            _make_folder(path.parent)
            with _temporary_beside(path) as temporary:
                try:
                    write_synced(temporary, chunks())
                    # A rename would replace an existing file.
                    path.hardlink_to(temporary)
                    _sync_folder(path.parent)
                except FileExistsError:
                    with path.open("rb") as file:
                        return holds(file, chunks())
        return True

    def overwrite(self, key: str, data: bytes) -> None:
        check_key(key)
        path = self._root / key
        with _errors_named(path, "written"):
            _make_folder(path.parent)
            with _temporary_beside(path) as temporary:
                write_synced(temporary, (data,))
                temporary.replace(path)

    def delete(self, key: str) -> None:
        check_key(key)
        path = self._root / key
        with _errors_named(path, "removed"):
            path.unlink(missing_ok=True)

    def sizes(self, prefix: str) -> dict[str, int]:
        paths = {key: self._root / key for key in self.list(prefix)}
        with _errors_named(self._root, "listed"):
            return {key: size for key, path in paths.items() if (size := _size(path)) is not None}

    def list_folders(self) -> list[str]:
        with _errors_named(self._root, "listed"):
            if not self._root.exists():
                return []
            # The last object of a folder may have been deleted; the folder then stays.
            return sorted(
                path.name
                for path in self._root.iterdir()
                if path.is_dir() and is_key(path.name) and any(map(is_key, _names_below(path)))
            )

    def list(self, prefix: str) -> list[str]:
        check_prefix(prefix)
        folder, _, name = prefix.rpartition("/")
        with _errors_named(self._root / folder, "listed"):
            paths = list(_files_in(self._root / folder, name))
        keys = (path.relative_to(self._root).as_posix() for path in paths)
        return sorted(key for key in keys if is_key(key))


def _size(path: Path) -> int | None:
    """Return a file's bytes, or None if it was removed meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _names_below(folder: Path) -> Iterator[str]:
    return (path.relative_to(folder).as_posix() for path in _files_in(folder, ""))


def _files_in(folder: Path, start: str) -> Iterator[Path]:
    """Yield the files below the entries of a folder whose names begin with ``start``."""
    if not folder.exists():
        return
    for path in folder.iterdir():
        if path.is_dir() and path.name.startswith(start):
            yield from _files_in(path, "")
        elif path.name.startswith(start):
            yield path


@contextmanager
def _temporary_beside(path: Path) -> Iterator[Path]:
    """Yield a name for a file beside another; a file that still has it at the end is removed."""
    temporary = path.parent / f".{uuid.uuid4().hex}.tmp"
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    """Create a folder and those above it so that a power cut does not undo it."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _errors_named(path: Path, done: str) -> Iterator[None]:
    """Turn the system's errors into one line that names the object's file."""
    check = "the folder's permissions, its free space, and that its file system has hard links"
    with errors_named(path, done, check):
        try:
            yield
        except FileNotFoundError as error:
            raise MissingObjectError(f"{path} does not exist.") from error
