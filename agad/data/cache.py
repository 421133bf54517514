"""A node's cache of imported images and of what is made of them: each file is fetched once."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from agad.config import is_finite_number, shown_number
from agad.data.images import Images
from agad.data.manifest import StoredPart
from agad.data.partfile import is_in_use, open_part, sha256_of
from agad.errors import AgadError, ConfigError, DataError

logger = logging.getLogger(__name__)

_GIB = 2**30

_PATTERNS = ("*.arrow", "*/*.safetensors")
"""The cache's files: images, and in folders below the cache features and weights of encoders."""

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedFile:
    """A file that the cache keeps, and that a store holds too."""

    path: str
    """Path below the cache's folder, such as ``HASH.arrow``."""

    sha256: str
    """SHA-256 of the whole file, in hexadecimal."""

    num_bytes: int
    """Bytes of the whole file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCache:
    """Files in a folder of this machine: imported images, features, and weights of encoders.

    A file of images or features is named by its SHA-256.

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
        file = CachedFile(path=f"{part.sha256}.arrow", sha256=part.sha256, num_bytes=part.num_bytes)
        return self.read(file, fetch, open_part)

    def read(
        self,
        file: CachedFile,
        fetch: Callable[[Path], None],
        reader: Callable[[Path], _Value],
    ) -> _Value:
        """Return what a reader makes of a file, fetching the file if it is not there.

        Args:
            file: Which file.
            fetch: Writes the file to the path it is given.
            reader: Reads the file at the path it is given; a file that was just fetched still has
                another name then.

        Raises:
            DataError: The fetched bytes are not the file, the file does not fit, or the folder
                cannot be written.
        """
        with self.usable() as root:
            path = root / file.path
            with contextlib.suppress(FileNotFoundError):
                return _open_whole(path, file, reader)
            path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(path.with_suffix(".lock")):
                with contextlib.suppress(FileNotFoundError):
                    # Another process fetched it meanwhile.
                    return _open_whole(path, file, reader)
                self._make_room(root, file)
                return _fetched(path, file, fetch, reader)

    def paths(self, folder: str) -> list[Path]:
        """Return the files in a folder below the cache, sorted; another process may remove them.

        Args:
            folder: The first part of ``CachedFile.path``.
        """
        with self.usable() as root:
            return sorted((root / folder).glob("*.safetensors"))

    @contextmanager
    def exclusively(self, *names: str) -> Iterator[int]:
        """Let one process or thread of this node into the block under each name; others wait.

        Args:
            names: The block's names, letters, digits and ``-``. The first free name is taken; if
                none is free, the caller waits for the first.

        Yields:
            The place of the name that was taken.

        Raises:
            DataError: The folder cannot be written.
        """
        with contextlib.ExitStack() as locks:
            # An error of the block is not one of the folder.
            with self.usable() as root:
                root.mkdir(parents=True, exist_ok=True)
                paths = [root / f"{name}.lock" for name in names]
                tried = (locks.enter_context(_locked(path, waits=False)) for path in paths)
                place = next((place for place, taken in enumerate(tried) if taken), None)
                if place is None:
                    place = 0
                    locks.enter_context(_locked(paths[place]))
            yield place

    @contextmanager
    def usable(self) -> Iterator[Path]:
        """Yield the folder; any error of the disk in the block becomes one that names the cache.

        Raises:
            DataError: The disk refuses something.
        """
        try:
            root = Path(self.folder).expanduser()
        except RuntimeError as error:  # Raised for "~nobody".
            raise DataError(f"--cache is {self.folder}, whose home is not known.") from error
        try:
            yield root
        except AgadError:
            raise
        except OSError as error:
            raise DataError(
                f"the cache {root} cannot be used ({error.strerror or error}); name another "
                "folder with --cache."
            ) from error

    def _make_room(self, root: Path, file: CachedFile) -> None:
        limit = int(self.max_gib * _GIB)
        if file.num_bytes > limit:
            raise DataError(
                f"a file of {file.num_bytes / _GIB:.2g} GiB does not fit the cache {root} of "
                f"{self.max_gib:g} GiB; raise --cache-gib."
            )
        with _locked(root / "evict.lock"):
            paths = [path for pattern in _PATTERNS for path in root.glob(pattern)]
            excess = sum(map(_size, paths)) + file.num_bytes - limit
            for path in sorted(paths, key=_last_used):
                if excess <= 0:
                    return
                if not _is_used(path):
                    excess -= _size(path)
                    path.unlink(missing_ok=True)
        if excess > 0:
            logger.warning("%s holds more than %g GiB: all of it is in use.", root, self.max_gib)


def _open_whole(path: Path, file: CachedFile, reader: Callable[[Path], _Value]) -> _Value:
    if _size(path) != file.num_bytes:
        raise FileNotFoundError(path)
    value = reader(path)
    mark_used(path)
    return value


def mark_used(path: Path) -> None:
    """Note that a file of the cache was used now: the longest unused files are removed first."""
    with contextlib.suppress(PermissionError, FileNotFoundError):  # Another user's, or evicted.
        os.utime(path)


def _fetched(
    path: Path,
    file: CachedFile,
    fetch: Callable[[Path], None],
    reader: Callable[[Path], _Value],
) -> _Value:
    """Fetch a file to a name beside its own, and move it there when its bytes are right."""
    beside = path.with_suffix(".part")  # Under the lock: what a crash left is written over.
    try:
        fetch(beside)
        found = sha256_of(beside)
        if found != file.sha256:
            raise DataError(
                f"the fetched file has SHA-256 {found}, but must have {file.sha256}: the store's "
                "object was changed; restore it from a copy."
            )
        value = reader(beside)  # Images are in use from now on, so that nobody evicts them.
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return value


@contextmanager
def _locked(path: Path, *, waits: bool = True) -> Iterator[bool]:
    """Yield whether the lock was taken, which is certain for a caller that waits."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_taken = True
        except BlockingIOError:
            is_taken = False
        yield is_taken
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
