"""What a remote bucket must do: the single requests of which ``RemoteObjects`` is made."""

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
    """What is known of an object without reading it."""

    num_bytes: int
    """Size of the object."""

    sha256: str
    """Digest of its bytes, in hexadecimal; empty where it was put without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingPage:
    """One page of a listing. Names are relative to the bucket's prefix; some may be no keys."""

    sizes: dict[str, int]
    """Bytes of each object."""

    folders: tuple[str, ...]
    """What the names up to the delimiter are, without it."""

    next_page: str
    """Where the next page starts; empty after the last one."""


class Bucket(Protocol):
    """Requests to one bucket, below one prefix. None repeats itself, and each may be repeated.

    Every method raises ``TransientError`` where it should be repeated, ``MissingObjectError``
    where the key's object is missing, and ``StoreError`` where repeating is of no use.
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
            Its digest as in ``Head``; empty too where the bytes were compared with one already.
        """

    def read_range(self, key: str, start: int, end: int) -> bytes:
        """Return an object's bytes from ``start`` to ``end``, which it excludes; at least one."""

    def send(self, key: str, data: bytes, sha256: str) -> None:
        """Put an object with its digest.

        Raises:
            KeyTakenError: The key has an object.
        """

    def overwrite(self, key: str, data: bytes, sha256: str) -> None:
        """Put an object with its digest, whether the key has one or not."""

    def send_file(self, key: str, path: Path, sha256: str) -> None:
        """Put a file's bytes with their digest, never all of them in memory.

        Raises:
            KeyTakenError: The key has an object.
            StoreError: The file cannot be read.
        """

    def remove(self, key: str) -> None:
        """Remove an object; one that is not there is fine."""

    def page(self, prefix: str, delimiter: str, page: str) -> ListingPage:
        """Return one page of the objects whose names start with a prefix.

        Args:
            prefix: Start of the names, may be empty.
            delimiter: Where names are cut to folders, or empty.
            page: Where the page starts, as the page before says; empty for the first.
        """
