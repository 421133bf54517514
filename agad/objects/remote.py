"""Objects in a bucket: requests are repeated while that may help, and every byte is compared."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from agad.errors import StoreError
from agad.objects.bucket import Bucket, KeyTakenError, ListingPage
from agad.objects.files import read_chunks, replaced, synced
from agad.objects.protocol import MissingObjectError, check_key, check_prefix
from agad.objects.ranged import ranged_file
from agad.objects.retry import Backoff, TransientError, retry
from agad.records import is_key

_BACKOFF = Backoff(deadline_s=120.0)
"""Eight stalls of 30 s each would keep a trial waiting for four minutes."""

_OPEN_BACKOFF = Backoff(attempts=2)
"""With a bucket's short timeouts, a server that is not there is reported within about 10 s."""

_FILE_BACKOFF = Backoff(deadline_s=1800.0)
"""A file may take long, and then break off in its last second."""


_OVERWRITE_BACKOFF = Backoff(attempts=3)
"""An overwritten object is soon old: the next one is worth more than many repetitions."""


class _DamagedError(StoreError):
    """The received bytes differ from those that were put: damaged on the way, or for good."""


_PASSING = (TransientError, _DamagedError)
"""Errors that may pass when an object is read anew."""


class RemoteObjects:
    """An ``ObjectStore`` on any ``Bucket``.

    An object carries the SHA-256 of its bytes, and every complete read is compared with it. An
    object that another program put without a digest is read as it is.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    @property
    def uri(self) -> str:
        return self._bucket.uri

    @property
    def identity(self) -> str:
        return self._bucket.identity

    def check_reachable(self) -> None:
        """Refuse a bucket that cannot be listed, within about 10 s.

        Raises:
            StoreError: Nothing answers, the bucket is missing, or it may not be listed.
        """
        retry(self._bucket.check_reachable, backoff=_OPEN_BACKOFF)

    def get(self, key: str) -> bytes:
        check_key(key)

        def read() -> bytes:
            data = bytearray()
            self._read(key, data.extend)
            return bytes(data)

        return retry(read, _PASSING, backoff=_BACKOFF)

    def open(self, key: str) -> BinaryIO:
        check_key(key)
        head = retry(lambda: self._bucket.head(key), backoff=_BACKOFF)
        return ranged_file(
            head.num_bytes,
            lambda start, end: retry(
                lambda: self._bucket.read_range(key, start, end), backoff=_BACKOFF
            ),
        )

    def put_if_absent(self, key: str, data: bytes) -> bool:
        check_key(key)
        sha256 = hashlib.sha256(data).hexdigest()
        return self._put(key, sha256, lambda: self._bucket.send(key, data, sha256), _BACKOFF)

    def get_file(self, key: str, path: Path) -> None:
        check_key(key)

        def read() -> None:
            with replaced(path), synced(path) as file:
                self._read(key, file.write)

        retry(read, _PASSING, backoff=_FILE_BACKOFF)

    def put_file_if_absent(self, key: str, path: Path) -> bool:
        check_key(key)
        digest = hashlib.sha256()
        for chunk in read_chunks(path):
            digest.update(chunk)
        sha256 = digest.hexdigest()
        return self._put(
            key, sha256, lambda: self._bucket.send_file(key, path, sha256), _FILE_BACKOFF
        )

    def _put(self, key: str, sha256: str, send: Callable[[], None], backoff: Backoff) -> bool:
        """Send an object; if its key is taken, see whether the object there is equal."""
        try:
            retry(send, backoff=backoff)
        except KeyTakenError:
            # The key was taken, so a missing object is read again too: it will appear.
            return retry(
                lambda: self._sha256(key) == sha256,
                (TransientError, MissingObjectError),
                backoff=backoff,
            )
        return True

    def _sha256(self, key: str) -> str:
        kept = self._bucket.head(key).sha256
        if kept:
            return kept
        digest = hashlib.sha256()
        self._bucket.read(key, digest.update)
        return digest.hexdigest()

    def _read(self, key: str, write: Callable[[bytes], object]) -> None:
        """Hand an object's bytes over, and compare them with its digest at the end."""
        digest = hashlib.sha256()

        def take(chunk: bytes) -> None:
            digest.update(chunk)
            write(chunk)

        kept = self._bucket.read(key, take)
        if kept not in ("", digest.hexdigest()):
            raise _DamagedError(
                f"{self.uri}/{key} holds other bytes than the digest that it was put with; check "
                "the network and the server's disks, or remove the object."
            )

    def overwrite(self, key: str, data: bytes) -> None:
        check_key(key)
        sha256 = hashlib.sha256(data).hexdigest()
        retry(lambda: self._bucket.overwrite(key, data, sha256), backoff=_OVERWRITE_BACKOFF)

    def delete(self, key: str) -> None:
        check_key(key)
        retry(lambda: self._bucket.remove(key), backoff=_BACKOFF)

    def sizes(self, prefix: str) -> dict[str, int]:
        check_prefix(prefix)
        sizes: dict[str, int] = {}
        for page in self._pages(prefix, ""):
            sizes |= {key: size for key, size in page.sizes.items() if is_key(key)}
        return dict(sorted(sizes.items()))

    def list_folders(self) -> list[str]:
        return sorted(
            folder for page in self._pages("", "/") for folder in page.folders if is_key(folder)
        )

    def _pages(self, prefix: str, delimiter: str) -> Iterator[ListingPage]:
        """Yield the pages of a listing, each requested by itself, so that each can be repeated."""
        start = ""
        while True:
            page = retry(partial(self._bucket.page, prefix, delimiter, start), backoff=_BACKOFF)
            yield page
            if not page.next_page:
                return
            start = page.next_page

    def list(self, prefix: str) -> list[str]:
        return list(self.sizes(prefix))
