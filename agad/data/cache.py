"""A node's cache of imported images: each file is fetched once, for any number of trials."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agad.config import is_finite_number, shown_number
from agad.data.images import Images
from agad.data.manifest import StoredPart
from agad.data.partfile import is_in_use, open_part, sha256_of
from agad.errors import AgadError, ConfigError, DataError

logger = logging.getLogger(__name__)

_GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCache:
    """Files of imported images in a folder of this machine, named by their SHA-256.

    Any number of processes use it at once: the first process that needs a file fetches it under the
    file's lock, and the others wait. All processes map the same pages of memory.
    """

    folder: str = "~/.agad/cache"
    """The folder is created if missing; ``~`` is the home of whoever opens the cache."""

    max_gib: float = 20.0
    """Size limit: unused files are removed to stay below it, the longest unused file first."""

    def __post_init__(self) -> None:
        if not (is_finite_number(self.max_gib) and self.max_gib > 0):
            is_float = isinstance(self.max_gib, float)
            shown = f"{self.max_gib:g}" if is_float else shown_number(self.max_gib)
            raise ConfigError(f"--cache-gib is {shown}, but must be above 0 and finite.")

    def open(self, part: StoredPart, fetch: Callable[[Path], None]) -> Images:
        """Map a part's images into memory, fetching its file if it is not there.

        Args:
            part: Which file.
            fetch: Writes the file to the path it is given.

        Raises:
            DataError: The fetched bytes are not the file, the file does not fit, or the folder
                cannot be written.
        """
        try:
            root = Path(self.folder).expanduser()
        except RuntimeError as error:  # Raised for "~nobody".
            raise DataError(f"--cache is {self.folder}, whose home is not known.") from error
        path = root / f"{part.sha256}.arrow"
        try:
            with contextlib.suppress(FileNotFoundError):
                return _open_whole(path, part)
            root.mkdir(parents=True, exist_ok=True)
            with _locked(root / f"{part.sha256}.lock"):
                with contextlib.suppress(FileNotFoundError):
                    return _open_whole(path, part)  # Another process fetched it meanwhile.
                self._make_room(root, part)
                return _fetched(path, part, fetch)
        except AgadError:
            raise
        except OSError as error:
            raise DataError(
                f"the cache {root} cannot be used ({error.strerror or error}); name another "
                "folder with --cache."
            ) from error

    def _make_room(self, root: Path, part: StoredPart) -> None:
        limit = int(self.max_gib * _GIB)
        if part.num_bytes > limit:
            raise DataError(
                f"a file of {part.num_bytes / _GIB:.2g} GiB does not fit the cache {root} of "
                f"{self.max_gib:g} GiB; raise --cache-gib."
            )
        with _locked(root / "evict.lock"):
            files = sorted(root.glob("*.arrow"), key=_last_used)
            excess = sum(map(_size, files)) + part.num_bytes - limit
            for file in files:
                if excess <= 0:
                    return
                if not _is_used(file):
                    excess -= _size(file)
                    file.unlink(missing_ok=True)
        if excess > 0:
            logger.warning("%s holds more than %g GiB: all of it is in use.", root, self.max_gib)


def _open_whole(path: Path, part: StoredPart) -> Images:
    if _size(path) != part.num_bytes:
        raise FileNotFoundError(path)
    images = open_part(path)
    with contextlib.suppress(PermissionError):  # Another user's file.
        os.utime(path)  # When it was last used.
    return images


def _fetched(path: Path, part: StoredPart, fetch: Callable[[Path], None]) -> Images:
    """Fetch a file to a name beside its own, and move it there when its bytes are right."""
    beside = path.with_suffix(".part")  # Under the lock: what a crash left is written over.
    try:
        fetch(beside)
        found = sha256_of(beside)
        if found != part.sha256:
            raise DataError(
                f"the fetched file has SHA-256 {found}, but must have {part.sha256}: the store's "
                "object was changed; restore it from a copy."
            )
        images = open_part(beside)  # In use from now on, so that nobody evicts it.
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return images


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _last_used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _is_used(path: Path) -> bool:
    try:
        return is_in_use(path)
    except FileNotFoundError:
        return False
