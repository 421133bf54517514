"""The layout of a folder of images: its parts, the sets that it holds, and its classes' names."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Literal, TypeAlias

from agad.data.images import PARTS, Part
from agad.errors import ConfigError, DataError

Layout: TypeAlias = Literal["auto", "parts", "classes"]
"""Whether a folder holds ``train/`` and ``test/`` (``parts``), or one folder a class."""

LAYOUTS: tuple[Layout, ...] = ("auto", "parts", "classes")

_SPELLINGS: dict[Part, str] = {"train": "training|train|trn", "test": "testing|test|tst"}
_OTHER_PARTS = "validation|valid|val|eval"
_MORE = r"([ ._-]*(set|data|dataset|images|imgs|part|split))?"
"""What may follow in the name of a part's folder, such as ``Training Set`` or ``test_images``."""

_LIKE_PART = re.compile(rf"({'|'.join(_SPELLINGS.values())}|{_OTHER_PARTS}){_MORE}")
_NAMED_PART = re.compile(
    rf"(.*?)[ ._-]*({'|'.join(_SPELLINGS.values())}|{_OTHER_PARTS})[ ._-]*(.*)"
)

_CACHES = (
    *("__macosx", "@eadir", "@tmp", "#recycle", "@recycle", "$recycle.bin", "lost+found"),
    *("system volume information", "__pycache__", "thumbs.db"),
)
"""Folders, in lower case, in which a system or a server keeps copies of its own."""


def check_layout(layout: str) -> None:
    """Refuse a layout that ``find_parts`` does not have."""
    if layout not in LAYOUTS:
        raise ConfigError(f"--layout is {layout!r}, but must be one of: {', '.join(LAYOUTS)}.")


def find_parts(root: Path, layout: Layout = "auto") -> dict[Part, str]:
    """Return the names of the folders of both parts; empty if there are no two parts.

    A part's folder is called ``train`` or ``Testing``, else ``training_set`` or ``Test Images``.

    Raises:
        DataError: A part has several folders, such as ``Train`` and ``train``, or ``layout`` is
            ``parts`` and a part has no folder.
    """
    if layout == "classes":
        return {}
    names = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
    found = {part: _spelled(names, _SPELLINGS[part]) for part in PARTS}
    if not all(found.values()):
        if layout == "parts":
            raise DataError(
                f"{root} holds the folders {', '.join(names) or 'none'}, but must hold train and "
                "test for --layout parts; rename them, or give --layout classes."
            )
        return {}
    for part, several in found.items():
        if len(several) > 1:
            raise DataError(
                f"{root} holds {' and '.join(several)}, but must hold one folder of the {part} "
                "part; merge them or remove one."
            )
    return {part: several[0] for part, several in found.items()}


def _spelled(names: Collection[str], spellings: str) -> list[str]:
    """Return the names that are a spelling alone, else those with a word more."""
    for pattern in (spellings, f"({spellings}){_MORE}"):
        if alike := [name for name in names if re.fullmatch(pattern, name.casefold())]:
            return alike
    return []


def is_cache(name: str) -> bool:
    """Whether a folder's name is that of a system's own folder, such as ``__MACOSX``."""
    return name.casefold() in _CACHES


def check_no_parts(root: Path, folders: Collection[str]) -> None:
    """Refuse folders of classes that are called like parts, such as train and val without test.

    Raises:
        DataError: A folder is called like a part, or two are parts of one class, such as
            ``good_train`` and ``good_test``.
    """
    alike = [name for name in folders if _LIKE_PART.fullmatch(name.casefold())]
    of_class: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in folders:
        if match := _NAMED_PART.fullmatch(name.casefold()):
            of_class[match[1], match[3]].append(name)
    alike += [name for several in of_class.values() if len(several) > 1 for name in several]
    if alike:
        raise DataError(
            f"{root} holds the folders {', '.join(sorted(set(alike)))}, which are called like "
            "parts of a data set and not like classes. Put the classes into train/ and test/, or "
            "give --layout classes if each of the folders is a class."
        )


def sets_in(root: Path) -> list[str]:
    """Return the names of the folders that are data sets themselves: each holds both parts."""
    folders = (one for one in root.iterdir() if one.is_dir() and not one.name.startswith("."))
    return sorted(one.name for one in folders if find_parts(one))


def check_class_names(folder: Path, names: Collection[str]) -> None:
    """Refuse classes whose names differ in case or Unicode form alone, such as Good and good."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        alike[unicodedata.normalize("NFKC", name).casefold()].append(name)
    for several in alike.values():
        if len(several) > 1:
            shown = " and ".join(ascii(name) for name in several)
            raise DataError(
                f"{folder} holds the classes {shown}, which differ in case or Unicode form alone; "
                "give one class one name."
            )
