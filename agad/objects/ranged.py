"""A remote object as a file: read in ranges, never as a whole."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER_BYTES = 2**20
"""Bytes requested for a short read: a Parquet footer, or a column's small pages, in one request."""


def ranged_file(num_bytes: int, read: Callable[[int, int], bytes]) -> io.BufferedReader:
    """Return a seekable file over an object; a read above 1 MiB is a request of its own size.

    Args:
        num_bytes: Size of the object.
        read: Returns the bytes from a start up to an end, without the end; never called for zero
            bytes.
    """
    return io.BufferedReader(_RangedFile(num_bytes, read), _BUFFER_BYTES)


class _RangedFile(io.RawIOBase):
    def __init__(self, num_bytes: int, read: Callable[[int, int], bytes]) -> None:
        self._num_bytes = num_bytes
        self._read = read
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._num_bytes}[whence]
        if start + offset < 0:
            raise ValueError(f"position is {start + offset}, but must be at least 0.")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        end = min(self._position + len(view), self._num_bytes)
        if self._position >= end:
            return 0
        data = self._read(self._position, end)
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def readall(self) -> bytes:
        # Python's own method asks for 8 KiB at a time.
        start, self._position = self._position, max(self._position, self._num_bytes)
        return self._read(start, self._num_bytes) if start < self._num_bytes else b""
