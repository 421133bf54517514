"""A single error for everything that a damaged, hostile or unreadable file can raise."""

from __future__ import annotations

import errno
import lzma
import struct
import tarfile
import textwrap
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agad.errors import AgadError, DataError

_DAMAGE = (
    # Archives and compressed streams. A zip's unknown compression is a NotImplementedError, its
    # encryption a RuntimeError.
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,
    # Headers that a parser in Python stumbles over: numpy's, zipfile's, Pillow's plugins.
    ValueError,
    SyntaxError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    struct.error,
    tokenize.TokenError,
    MemoryError,
)


@contextmanager
def naming_damage(path: Path, advice: str = "download it again") -> Iterator[None]:
    """Turn what reading a file raises into one ``DataError`` with its name and the reason.

    Args:
        path: The file as the user knows it.
        advice: What to do about a damaged file.
    """
    try:
        yield
    except AgadError:
        raise
    except OSError as error:
        # Decompressors and Pillow raise bare OSErrors too; only the system's have a number. The
        # system refuses a place in the file that a damaged header names, if no file can have it.
        if error.errno in (None, errno.EINVAL):
            raise DataError(f"{path} is damaged ({_reason(error)}); {advice}.") from error
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error
    except _DAMAGE as error:
        raise DataError(f"{path} is damaged ({_reason(error)}); {advice}.") from error


def _reason(error: Exception) -> str:
    text = textwrap.shorten(str(error), width=200, placeholder="...").rstrip(".")
    return text or type(error).__name__
