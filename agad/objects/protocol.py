"""The interface of every object store, and the keys that a store takes."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol

from agad.errors import StoreError
from agad.records import is_key


class MissingObjectError(StoreError, FileNotFoundError):
    """No object has this key."""


class ObjectStore(Protocol):
    """Objects under one prefix. Only ``overwrite`` changes an object that is there.

    A key is segments joined by ``/`` (``is_key``), relative to the prefix. Every method raises
    ``StoreError`` for any other key, and if the store cannot be reached.
    """

    @property
    def uri(self) -> str:
        """Place of the objects: absolute, without secrets, and accepted by ``open_objects``."""

    @property
    def identity(self) -> str:
        """Text that differs for every store, without secrets: ``uri``, with the host for S3."""

    def get(self, key: str) -> bytes:
        """Return an object's bytes.

        Raises:
            MissingObjectError: No object has this key.
        """

    def open(self, key: str) -> BinaryIO:
        """Open an object as a seekable, read-only file that fetches only what is read.

        A remote object is fetched by 1 MiB or more at a time, and each request is repeated like any
        other. A read raises the errors of ``get``, for example if the object was removed after the
        opening.

        Raises:
            MissingObjectError: No object has this key.
        """

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write an object unless its key is taken; of several writers, one wins.

        Returns:
            Whether the object now holds ``data``: also True if it held exactly these bytes before.
            A put whose answer was lost is repeated, and then finds its own object. Writers that
            must be told apart put a token into their bytes.
        """

    def get_file(self, key: str, path: Path) -> None:
        """Write an object's bytes to a local file, never all of them in memory.

        The file must never be changed: in a local store it may be the object itself, by a second
        name. Removing it is allowed.

        Args:
            key: The object.
            path: The file, in a folder that exists. An existing file is replaced; if this fails
                midway, no file is left.

        Raises:
            MissingObjectError: No object has this key.
            StoreError: The file cannot be written.
        """

    def put_file_if_absent(self, key: str, path: Path) -> bool:
        """Write an object as ``put_if_absent`` does, its bytes those of a local file.

        Args:
            key: The object.
            path: The file, which is never wholly in memory and must not change meanwhile.

        Returns:
            Whether the object now holds the file's bytes.

        Raises:
            StoreError: The file cannot be read, or is larger than the store's limit.
        """

    def overwrite(self, key: str, data: bytes) -> None:
        """Write an object whether its key is taken or not; a reader sees the old or the new object.

        Used for the live status alone, which is worth nothing a minute later: the last of several
        writers wins, and a late put may bring back an older object. A key is used by
        ``put_if_absent`` or by ``overwrite``, never by both.
        """

    def delete(self, key: str) -> None:
        """Remove an object; a missing object is fine.

        Used for sources of a compaction, checkpoints and old leases, and to remove a whole study or
        data set on demand: a study itself never deletes a result. A deleted key must not be put
        again, since a writer that still repeats its put would take the key.
        """

    def sizes(self, prefix: str) -> dict[str, int]:
        """Return the keys of ``list``, in its order, each with its object's size in bytes."""

    def list_folders(self) -> list[str]:
        """Return the first segments of the keys with several segments, sorted, each once."""

    # The last method: after it, `list` means this method in the annotations of this class.
    def list(self, prefix: str) -> list[str]:
        """Return the keys that start with ``prefix``, sorted; it need not end at a ``/``."""


def check_key(key: str) -> None:
    """Refuse a text that cannot name an object.

    Raises:
        StoreError: ``key`` is no key, such as one that would leave the store's prefix.
    """
    if not is_key(key):
        raise StoreError(
            f"object key is {key!r}, but must be segments joined by '/', each of letters, digits, "
            "'.', '_', '=' and '-', not starting with '.' or '-', at most 200 characters."
        )


def check_prefix(prefix: str) -> None:
    """Refuse a text that no key can start with; an empty prefix is allowed.

    Raises:
        StoreError: ``prefix`` is neither empty nor a key, with or without a ``/`` at its end.
    """
    if prefix:
        check_key(prefix.removesuffix("/"))
