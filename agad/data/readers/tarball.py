"""Named members of a tar of any compression, read into memory in one pass."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from agad.data.readers.damage import naming_damage
from agad.errors import DataError

_FILES: dict[bytes, Callable[[Path], gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"\x5d\0\0": lzma.LZMAFile,
}
"""The opener for the first bytes of a file, since a suffix may lie. All other files are plain
tars."""

_ZSTANDARD = b"\x28\xb5\x2f\xfd"
_MAX_MEMBERS = 1000
_CHUNK = 2**20
_WITHOUT_DATA = (
    tarfile.LNKTYPE,
    tarfile.SYMTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.DIRTYPE,
    tarfile.FIFOTYPE,
)


def read_members(archive: Path, max_bytes: Mapping[str, int]) -> dict[str, bytes]:
    """Read members without unpacking anything to the disk.

    ``tarfile`` walks over a member of any size, and reads a long name of any size into memory. So
    only its headers are used here. Extended headers are skipped: the names sought are short.

    Args:
        archive: The tar file.
        max_bytes: Names of the members to read, and how large each may be. The whole archive may
            unpack to twice their sum.

    Raises:
        DataError: The archive is damaged, too large, or lacks one of the members as a plain file.
    """
    found: dict[str, bytes] = {}
    with naming_damage(archive), _open(archive) as file:
        stream = _Stream(file, archive, num_left=2 * sum(max_bytes.values()) + _CHUNK)
        for member in _members(stream):
            name = member.name.removeprefix("./")
            if name in max_bytes:
                _check_member(archive / name, member, max_bytes[name])
                found[name] = stream.read_exactly(member.size)
                stream.skip(-member.size % tarfile.BLOCKSIZE)
            elif member.type not in _WITHOUT_DATA:
                stream.skip(member.size + -member.size % tarfile.BLOCKSIZE)
        # Read to its very end, because a compressed stream has its checksum there.
        while stream.read(_CHUNK):
            pass
    for name in max_bytes:
        if name not in found:
            raise DataError(f"{archive} lacks {name}; download it again.")
    return found


@dataclass(slots=True)
class _Stream:
    """A decompressed tar that is read in order, and no further than a limit."""

    file: IO[bytes]
    archive: Path
    num_left: int

    def read(self, num_bytes: int) -> bytes:
        data = self.file.read(num_bytes)
        self.num_left -= len(data)
        self.check(0)
        return data

    def read_exactly(self, num_bytes: int) -> bytes:
        data = self.read(num_bytes)
        if len(data) < num_bytes:
            raise EOFError("it ends within a member")
        return data

    def skip(self, num_bytes: int) -> None:
        self.check(num_bytes)
        while num_bytes:
            num_bytes -= len(self.read_exactly(min(num_bytes, _CHUNK)))

    def check(self, num_bytes: int) -> None:
        """Refuse what goes beyond the limit, before it is read."""
        if num_bytes > self.num_left:
            raise DataError(
                f"{self.archive} unpacks to more than twice what the official archive holds, or "
                "declares to; download it again."
            )


def _open(archive: Path) -> IO[bytes]:
    with archive.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(_ZSTANDARD):
        raise DataError(
            f"{archive} is compressed by Zstandard, but must be by gzip, bzip2, xz or not at all; "
            "decompress it first."
        )
    for start, file_class in _FILES.items():
        if magic.startswith(start):
            return cast(IO[bytes], file_class(archive))
    return archive.open("rb")


def _members(stream: _Stream) -> Iterator[tarfile.TarInfo]:
    """Yield headers; the caller reads or skips what follows each before the next."""
    for _ in range(_MAX_MEMBERS + 1):
        block = stream.read(tarfile.BLOCKSIZE)
        if not block.strip(b"\0"):
            return
        member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if member.size < 0:
            raise tarfile.ReadError("a member declares a negative size")
        yield member
    raise DataError(
        f"{stream.archive} holds more than {_MAX_MEMBERS} members; take the official archive."
    )


def _check_member(path: Path, member: tarfile.TarInfo, max_bytes: int) -> None:
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise DataError(
            f"{path} is a link, a folder or a device, but must be a plain file; download it again."
        )
    if member.size > max_bytes:
        raise DataError(
            f"{path} has {member.size} bytes, but must have at most {max_bytes}; download it again."
        )
