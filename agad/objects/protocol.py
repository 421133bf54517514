"""What every object store does, and which keys it takes."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol

from agad.errors import StoreError
from agad.records import is_key


class MissingObjectError(StoreError, FileNotFoundError):
    """No object has this key."""


class ObjectStore(Protocol):
    """Objects under one prefix. An object, once there, never changes, but by ``overwrite``.

    A key is segments joined by ``/`` (``is_key``), relative to the prefix. Every method raises
    ``StoreError`` for another key, and where the store cannot be reached.
    """

    @property
    def uri(self) -> str:
        """Where the objects are: absolute, without secrets, and accepted by ``open_objects``."""

    @property
    def identity(self) -> str:
        """What tells this store from every other, without secrets: ``uri``, and of S3 the host."""

    def get(self, key: str) -> bytes:
        """Return an object's bytes.

        Raises:
            MissingObjectError: No object has this key.
        """

    def open(self, key: str) -> BinaryIO:
        """Open an object as a seekable, read-only file that fetches what is read, not all of it.

        A remote object is fetched by 1 MiB or more at a time, each request repeated as any other.
        A read raises as ``get`` does; so it may find an object gone that was there at first.

        Raises:
            MissingObjectError: No object has this key.
        """

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write an object unless its key is taken; of several writers, one wins.

        Returns:
            Whether the object now holds ``data``. So it is True too where it held exactly these
            bytes before: a put whose answer was lost is repeated, and then finds its own object.
            Writers that must tell themselves apart put a token into their bytes.
        """

    def get_file(self, key: str, path: Path) -> None:
        """Write an object's bytes to a local file, never all of them in memory.

        The file must never be changed: in a local store it may be the object itself, by a second
        name. Removing it is allowed.

        Args:
            key: The object.
            path: The file, in a folder that exists. A file that is there already is replaced;
                where this fails midway, none is left.

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
        """Write an object whether its key is taken or not; a reader sees the old or the new one.

        For the live status alone, which is worth nothing a minute later: of several writers the
        last one stays, and a put that is late may bring an older object back. A key is used by
        ``put_if_absent`` or by this, never by both.
        """

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is fine.

        For sources of a compaction, checkpoints and old leases: a study never deletes a result.
        A key must not be put anew, since a writer that is still repeating its put would take it.
        """

    def sizes(self, prefix: str) -> dict[str, int]:
        """Return what ``list`` returns, in its order, each key with its object's bytes."""

    def list_folders(self) -> list[str]:
        """Return the first segments of the keys that have several, sorted, each once."""

    # The last method, because after it the word means itself in this class's annotations.
    def list(self, prefix: str) -> list[str]:
        """Return the keys that start with ``prefix``, sorted; it need not end at a ``/``."""


def check_key(key: str) -> None:
    """Refuse what cannot name an object.

    Raises:
        StoreError: ``key`` is no key, such as one that would leave the store's prefix.
    """
    if not is_key(key):
        raise StoreError(
            f"object key is {key!r}, but must be segments joined by '/', each of letters, digits, "
            "'.', '_', '=' and '-', not starting with '.' or '-', at most 200 characters."
        )


def check_prefix(prefix: str) -> None:
    """Refuse what no key can start with; an empty prefix is allowed.

    Raises:
        StoreError: ``prefix`` is neither empty nor a key, with or without a ``/`` at its end.
    """
    if prefix:
        check_key(prefix.removesuffix("/"))
