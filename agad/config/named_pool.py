"""The labelled anomalies that a user names."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agad.config.counts import count_text
from agad.errors import ConfigError


def named_pool(field: str, given: object) -> tuple[str, ...]:
    """Return the names of images: of a list, of a file's lines, or of the files in a folder.

    Args:
        field: Where the names were given, for the error.
        given: A sequence of names, or the path of a file or a folder; ``()`` for no names.

    Raises:
        ConfigError: There is no such file or folder, it cannot be read, or it names an image twice,
            or fewer than 2 images.
    """
    names: tuple[Any, ...]
    if isinstance(given, str | os.PathLike):
        names = _read(field, Path(given))
    else:
        names = tuple(given) if isinstance(given, Iterable) else (given,)
    for one in names:
        if not isinstance(one, str) or not one:
            raise ConfigError(f"{field} holds {one!r}, but must hold names of images.")
    if given != () and len(names) < 2:
        raise ConfigError(
            f"{field} is {_shown(given)}, which names {count_text(len(names), 'image')}, but must "
            "name at least 2: one anomaly to fit on, and another to validate."
        )
    name, count = next(iter(Counter(names).most_common(1)), ("", 0))
    if count > 1:
        raise ConfigError(f"{field} names {name!r} twice, but must name an image once.")
    return names


def _shown(given: object) -> str:
    return repr(str(given) if isinstance(given, os.PathLike) else given)


def _read(field: str, path: Path) -> tuple[str, ...]:
    try:
        if path.is_dir():
            files = (one.relative_to(path) for one in path.rglob("*") if one.is_file())
            return tuple(
                sorted(
                    one.as_posix()
                    for one in files
                    if not any(part.startswith(".") for part in one.parts)
                )
            )
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{field} is {str(path)!r}, but there is no such file or folder."
        ) from None
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{field} is {str(path)!r}, which cannot be read ({error}).") from error
    return tuple(filter(None, map(str.strip, text.splitlines())))
