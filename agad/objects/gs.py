"""Requests to a Google Cloud Storage bucket."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.api_core.exceptions import GoogleAPIError, NotFound
from google.auth.exceptions import GoogleAuthError
from google.cloud import storage  # type: ignore[import-untyped]
from google.cloud.storage.exceptions import DataCorruption  # type: ignore[import-untyped]
from requests import RequestException
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from agad.errors import StoreError
from agad.objects.bucket import Head, ListingPage
from agad.objects.environment import check_endpoint
from agad.objects.files import errors_named
from agad.objects.gs_errors import store_error

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_CONNECT_TIMEOUT_S = 5
_OPEN_READ_TIMEOUT_S = 5
_NUM_CONNECTIONS = 32
_ERRORS = (GoogleAPIError, GoogleAuthError, RequestException, HTTPError, DataCorruption)


class GoogleBucket:
    """A bucket and a prefix in it, which may be empty.

    Credentials are found in Google's usual ways (``GOOGLE_APPLICATION_CREDENTIALS``, a host's
    service account and so on); ``STORAGE_EMULATOR_HOST`` names another server. Building a
    ``GoogleBucket`` sends no request to the bucket.

    Every put but ``overwrite``, of any size, has the condition that the key has no object
    (generation 0). The library compares a CRC32C in both directions, so an object is read without
    asking for its digest.
    """

    def __init__(self, bucket: str, prefix: str, *, read_timeout_s: float = 30.0) -> None:
        self._name = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        # Only `agad.objects.retry` repeats; otherwise the repetitions would multiply.
        self._how: dict[str, Any] = {
            "retry": None,
            "timeout": (_CONNECT_TIMEOUT_S, read_timeout_s),
        }
        _check_environment()
        with self._errors_named():
            self._client = storage.Client()
        adapter = HTTPAdapter(pool_maxsize=_NUM_CONNECTIONS)
        for scheme in ("https://", "http://"):
            self._client._http.mount(scheme, adapter)
        self._bucket = self._client.bucket(bucket)

    @property
    def uri(self) -> str:
        return f"gs://{self._name}/{self._prefix}".rstrip("/")

    @property
    def identity(self) -> str:
        return self.uri

    def check_reachable(self) -> None:
        with self._errors_named():
            pages = self._client.list_blobs(
                self._bucket,
                prefix=self._prefix,
                max_results=1,
                retry=None,
                timeout=(_CONNECT_TIMEOUT_S, _OPEN_READ_TIMEOUT_S),
            ).pages
            next(pages)

    def head(self, key: str) -> Head:
        blob = self._blob(key)
        with self._errors_named(key):
            blob.reload(**self._how)
        return Head(num_bytes=blob.size, sha256=(blob.metadata or {}).get("sha256", ""))

    def read(self, key: str, write: Callable[[bytes], object]) -> str:
        with self._errors_named(key):
            self._blob(key).download_to_file(
                _Sink(write), raw_download=True, checksum="crc32c", **self._how
            )
        return ""

    def read_range(self, key: str, start: int, end: int) -> bytes:
        with self._errors_named(key):
            data: bytes = self._blob(key).download_as_bytes(
                start=start, end=end - 1, raw_download=True, checksum=None, **self._how
            )
        return data

    def send(self, key: str, data: bytes, sha256: str) -> None:
        with self._errors_named(key):
            self._blob(key, sha256).upload_from_string(
                data,
                "application/octet-stream",
                if_generation_match=0,
                checksum="crc32c",
                **self._how,
            )

    def overwrite(self, key: str, data: bytes, sha256: str) -> None:
        with self._errors_named(key):
            self._blob(key, sha256).upload_from_string(
                data, "application/octet-stream", checksum="crc32c", **self._how
            )

    def send_file(self, key: str, path: Path, sha256: str) -> None:
        with errors_named(path, "read"), path.open("rb") as file, self._errors_named(key):
            self._blob(key, sha256).upload_from_file(
                file,
                size=path.stat().st_size,
                content_type="application/octet-stream",
                if_generation_match=0,
                checksum="crc32c",
                **self._how,
            )

    def remove(self, key: str) -> None:
        try:
            self._blob(key).delete(**self._how)
        except NotFound:
            return
        except _ERRORS as error:
            raise store_error(error, f"{self.uri}/{key}") from None

    def page(self, prefix: str, delimiter: str, page: str) -> ListingPage:
        with self._errors_named():
            listing = self._client.list_blobs(
                self._bucket,
                prefix=self._prefix + prefix,
                delimiter=delimiter or None,
                page_token=page or None,
                fields="items(name,size),prefixes,nextPageToken",
                **self._how,
            )
            blobs = list(next(listing.pages))
        return ListingPage(
            sizes={blob.name.removeprefix(self._prefix): blob.size for blob in blobs},
            folders=tuple(
                name.removeprefix(self._prefix).removesuffix("/") for name in listing.prefixes
            ),
            next_page=listing.next_page_token or "",
        )

    def _blob(self, key: str, sha256: str = "") -> storage.Blob:
        blob = self._bucket.blob(self._prefix + key)
        if sha256:
            blob.metadata = {"sha256": sha256}
        return blob

    @contextmanager
    def _errors_named(self, key: str = "") -> Iterator[None]:
        try:
            yield
        except _ERRORS as error:
            # Not `from error`: a traceback would show its text, which may hold a token.
            raise store_error(error, f"{self.uri}/{key}" if key else self.uri) from None


def _check_environment() -> None:
    """Refuse variables that lead nowhere, before any request."""
    server = os.environ.get("STORAGE_EMULATOR_HOST")
    if server:
        check_endpoint("STORAGE_EMULATOR_HOST", server)
        return  # Another server needs no credentials.
    file = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    if file and not Path(file).is_file():
        raise StoreError(
            f"GOOGLE_APPLICATION_CREDENTIALS is {file!r}, but must name a file that exists; "
            "correct it, or unset it to use other credentials."
        )


class _Sink(io.RawIOBase):
    """A file, as the library wants it, that hands over every byte written to it."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer) -> int:
        chunk = bytes(data)
        self._write(chunk)
        return len(chunk)
