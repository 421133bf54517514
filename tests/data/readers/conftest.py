"""What the readers' tests share: a check that no temporary file stays, and what a source holds."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from agad.data.images import Part, Source

Counts: TypeAlias = Callable[[Source, Part], list[int]]


@pytest.fixture(autouse=True)
def _no_temporary_file_stays(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Give each test a folder of its own for temporary files, and look into it afterwards."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert list(folder.iterdir()) == []


@pytest.fixture
def counts() -> Counts:
    """Return the number of images of each class in a part of a source."""

    def count(source: Source, part: Part) -> list[int]:
        labels = source.parts[part].images.labels
        return [int((labels == label).sum()) for label in range(len(source.class_names))]

    return count


@pytest.fixture
def listing() -> Callable[[Path], dict[str, int]]:
    """Return every file below a folder with its size."""

    def list_files(folder: Path) -> dict[str, int]:
        return {str(path): path.lstat().st_size for path in folder.rglob("*")}

    return list_files
