"""The filter that a data set was imported with, which other pictures will need."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from agad.data import ImportOptions, Library, Manifest, import_dataset
from agad.errors import DataError
from agad.objects import open_objects


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a folder of two classes of 16 x 16 pictures."""
    for number in range(20):
        path = tmp_path / "pictures" / f"class-{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), number).save(path)
    return tmp_path / "pictures"


def _imported(pictures: Path, **options: Any) -> Manifest:  # noqa: ANN401
    library = Library(open_objects(str(pictures.parent / "store")))
    import_dataset("shapes", pictures, library, ImportOptions(**options))
    return library.manifest("shapes")


@pytest.mark.parametrize("name", ["lanczos", "nearest"])
def test_a_manifest_names_the_filter_of_the_import(pictures: Path, name: str) -> None:
    assert _imported(pictures, image_px=32, filter=name).filter == name


def test_the_filter_is_bilinear_where_nothing_was_resized(pictures: Path) -> None:
    assert _imported(pictures).filter == "bilinear"


@pytest.mark.parametrize("value", ["magic", None, 3, ["box"]], ids=repr)
def test_a_manifest_with_another_filter_is_refused(pictures: Path, value: object) -> None:
    values = json.loads(_imported(pictures).to_json()) | {"filter": value}
    with pytest.raises(DataError, match=r"^here is no manifest of a data set"):
        Manifest.from_json(json.dumps(values).encode(), "here")


def test_a_manifest_without_a_filter_is_refused(pictures: Path) -> None:
    values = json.loads(_imported(pictures).to_json())
    del values["filter"]
    with pytest.raises(
        DataError, match=r"^here is no manifest of a data set \(KeyError\('filter'\)"
    ):
        Manifest.from_json(json.dumps(values).encode(), "here")
