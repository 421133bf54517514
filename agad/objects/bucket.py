"""The requests that a remote bucket must answer; ``RemoteObjects`` is made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agad.errors import StoreError


class KeyTakenError(StoreError):
    """A conditional put found an object under its key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The facts about an object that are known without reading it."""

    num_bytes: int
    """Size of the object."""

    sha256: str
    """Digest of its bytes, in hexadecimal; empty if the object was put without a digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingPage:
    """A page of a listing. Names are relative to the bucket's prefix; some may be no keys."""

    sizes: dict[str, int]
    """Bytes of each object."""

    folders: tuple[str, ...]
    """The starts of names up to the delimiter, without the delimiter."""

    next_page: str
    """Start of the next page; empty after the last page."""


class Bucket(Protocol):
    """Requests to one bucket, below one prefix. A request never repeats itself; its caller may.

    Every method raises ``TransientError`` if it should be repeated, ``MissingObjectError`` if the
    key's object is missing, and ``StoreError`` if repeating does not help.
    """

    @property
    def uri(self) -> str:
        """See ``ObjectStore``."""

    @property
    def identity(self) -> str:
        """See ``ObjectStore``."""

    def check_reachable(self) -> None:
        """Ask for a listing, and wait 5 s at most for every step of it."""

    def head(self, key: str) -> Head:
        """Return what is known of an object."""

    def read(self, key: str, write: Callable[[bytes], object]) -> str:
        """Hand an object's bytes over, in order.

        Returns:
            The object's digest as in ``Head``; also empty if the bytes were compared with a digest
            already.
        """

    def read_range(self, key: str, start: int, end: int) -> bytes:
        """Return an object's bytes from ``start`` up to ``end``, without ``end``; at least one."""

    def send(self, key: str, data: bytes, sha256: str) -> None:
        """Put an object with its digest.

        Raises:
            KeyTakenError: The key has an object.
        """

    def overwrite(self, key: str, data: bytes, sha256: str) -> None:
        """Put an object with its digest, whether the key has an object or not."""

    def send_file(self, key: str, path: Path, sha256: str) -> None:
        """Put a file's bytes with their digest, never all of them in memory.

        Raises:
            KeyTakenError: The key has an object.
            StoreError: The file cannot be read.
        """

    def remove(self, key: str) -> None:
        """Remove an object; a missing object is fine."""

    def page(self, prefix: str, delimiter: str, page: str) -> ListingPage:
        """Return one page of the objects whose names start with a prefix.

        Args:
            prefix: Start of the names, may be empty.
            delimiter: Text at which names are cut to folders, or empty.
            page: Start of the page, which is the previous page's ``next_page``; empty for the first
                page.
        """
