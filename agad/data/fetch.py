"""Official files, downloaded once and checked."""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from agad.errors import DataError
from agad.objects import Backoff, retry
from agad.version import __version__

_STALL_LIMIT_S = 30.0
"""Longest wait for a connection, an answer, or the next bytes of a file."""

_DOWNLOAD_LIMIT_S = 2 * 3600.0
"""Longest time for one file, even if its bytes keep coming slowly."""

_SIZE_LIMIT_BYTES = 4 * 2**30
"""More than any official file holds: a server that sends more sends something else."""

_BACKOFF = Backoff(attempts=5, first_s=1.0, limit_s=15.0)
_CHUNK_BYTES = 2**20
_LOOPBACK_HOSTS = {"127.0.0.1", "::1", "localhost"}
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_MD5 = re.compile(r"[0-9A-Fa-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialFile:
    """A file that its publisher offers.

    Raises:
        DataError: One of the values is not as its description says.
    """

    name: str
    """Name in the user's folder, such as ``train-images-idx3-ubyte.gz``."""

    url: str
    """Address of the file, by https; http is allowed on this host alone."""

    md5: str
    """Published checksum, 32 hex digits."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise DataError(
                f"official file is named {self.name!r}, but must be named by letters, digits, "
                "'.', '_' and '-', not starting with '.' or '-', at most 200 characters."
            )
        if not _is_allowed(self.url):
            raise DataError(
                f"{self.name} has the URL {self.url!r}, but must have an https URL; http is "
                "allowed on this host (127.0.0.1) alone."
            )
        if not _MD5.fullmatch(self.md5):
            raise DataError(f"{self.name} has the MD5 {self.md5!r}, but must have 32 hex digits.")


def fetch_files(
    files: Sequence[OfficialFile], folder: Path, *, notify: Callable[[str], None]
) -> None:
    """Download the files that are not in a folder yet.

    A file gets its name only when it is whole and checked; an existing file is never replaced.

    Args:
        files: The files that the folder is to hold.
        folder: Created if it is missing.
        notify: Takes one line for each file that is there, before each download and after it.

    Raises:
        DataError: An existing file is a different file, a download fails for good or is not the
            published file, or the folder cannot be written.
    """
    with _file_errors_named(folder, "written"):
        folder.mkdir(parents=True, exist_ok=True)
    missing = [file for file in files if not _is_there(file, folder / file.name, notify)]
    for file in missing:
        notify(f"{file.name}: downloading {file.url}")
        num_bytes = _fetch(file, folder / file.name)
        notify(f"{file.name}: {num_bytes / 2**20:.1f} MiB, checksum ok")


class _PassingError(DataError):
    """A download failed in a way that may pass: worth another attempt."""


class _Redirects(HTTPRedirectHandler):
    """Follow redirects, but only to places that a file may come from."""

    def redirect_request(  # noqa: PLR0913  The overridden method's.
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        is_downgrade = req.type == "https" and urlsplit(newurl).scheme != "https"
        if is_downgrade or not _is_allowed(newurl):
            fp.close()
            raise DataError(
                f"{req.full_url} redirects to {newurl}, but must stay at https; the publisher has "
                "changed something, so get the file by hand."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _is_allowed(url: str) -> bool:
    """Whether a URL is https, or http on this host."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # Both are read only now, and may be malformed.
    except ValueError:
        return False
    is_plain = re.fullmatch(r"[!-~]+", url) is not None
    return is_plain and (
        (parts.scheme == "https" and bool(host))
        or (parts.scheme == "http" and host in _LOOPBACK_HOSTS)
    )


def _is_there(file: OfficialFile, path: Path, notify: Callable[[str], None]) -> bool:
    with _file_errors_named(path, "read"):
        if not path.exists():
            return False
        with path.open("rb") as stream:
            md5 = hashlib.file_digest(stream, _new_md5).hexdigest()
    if md5 != file.md5.lower():
        raise DataError(
            f"{path} has the MD5 {md5}, but must have {file.md5}, as {file.url} is published; "
            "remove it, or name another folder."
        )
    notify(f"{file.name}: there already, checksum ok")
    return True


def _fetch(file: OfficialFile, path: Path) -> int:
    """Download one file, and return how many bytes it holds."""
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with _file_errors_named(path, "written"):
            num_bytes = retry(lambda: _download(file, temporary), _PassingError, backoff=_BACKOFF)
            temporary.replace(path)
            _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return num_bytes


def _download(file: OfficialFile, path: Path) -> int:
    """Download one file under a temporary name, in one attempt."""
    md5 = _new_md5()
    with closing(_received(file)) as chunks, path.open("wb") as stream:
        for chunk in chunks:
            md5.update(chunk)
            stream.write(chunk)
        stream.flush()
        os.fsync(stream.fileno())
        num_bytes = stream.tell()
    if md5.hexdigest() != file.md5.lower():
        raise _failure(file, f"it has the MD5 {md5.hexdigest()}, but must have {file.md5}")
    return num_bytes


def _received(file: OfficialFile) -> Generator[bytes]:
    """Request a file, and yield its bytes as they come."""
    request = Request(file.url, headers={"User-Agent": f"agad/{__version__}"})
    end_s = time.monotonic() + _DOWNLOAD_LIMIT_S
    num_bytes = 0
    with (
        _transfer_errors_named(file),
        build_opener(_Redirects).open(request, timeout=_STALL_LIMIT_S) as answer,
    ):
        promised: int | None = answer.length
        _check_size(file, promised or 0)
        # One piece as it comes: `read` would wait for a whole chunk, however slowly it drips.
        while num_bytes != promised and (chunk := answer.read1(_CHUNK_BYTES)):
            num_bytes += len(chunk)
            _check_size(file, num_bytes)
            if time.monotonic() > end_s:
                raise _failure(file, f"it takes longer than {_DOWNLOAD_LIMIT_S:.0f} s")
            yield chunk
    if promised is not None and num_bytes < promised:
        reason = f"the connection broke off after {num_bytes} of {promised} bytes"
        raise _failure(file, reason, _PassingError)


def _check_size(file: OfficialFile, num_bytes: int) -> None:
    if num_bytes > _SIZE_LIMIT_BYTES:
        raise _failure(file, f"the server sends more than {_SIZE_LIMIT_BYTES} bytes")


@contextmanager
def _transfer_errors_named(file: OfficialFile) -> Iterator[None]:
    """Turn errors of the network and the server into one line, passing or lasting."""
    try:
        yield
    except HTTPError as error:
        error.close()
        kind = _PassingError if error.code >= 500 or error.code == 429 else DataError
        raise _failure(file, f"the server answers {error.code} {error.reason}", kind) from error
    except (HTTPException, OSError) as error:
        cause = error.reason if isinstance(error, URLError) else error
        kind = DataError if isinstance(cause, ssl.SSLCertVerificationError) else _PassingError
        raise _failure(file, str(cause) or type(cause).__name__, kind) from error


def _failure(file: OfficialFile, reason: str, kind: type[DataError] = DataError) -> DataError:
    return kind(
        f"{file.url} cannot be downloaded: {' '.join(reason.split())}; try again later, or put "
        f"{file.name} into the folder by hand."
    )


@contextmanager
def _file_errors_named(path: Path, done: str) -> Iterator[None]:
    """Turn the system's errors into one line that names the file or the folder."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{path} cannot be {done}: {error.strerror or error}; check the folder's permissions "
            "and its free space."
        ) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _new_md5() -> hashlib._Hash:
    # Publishers list MD5. It guards against accidents here; https guards against attackers.
    return hashlib.md5(usedforsecurity=False)
