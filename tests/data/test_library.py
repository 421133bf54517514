"""Data sets in a store: there as a whole or not at all, and never changed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from agad.data.cache import NodeCache
from agad.data.images import PARTS, Part
from agad.data.library import Library, check_dataset_name, open_images
from agad.data.partfile import open_part
from agad.errors import ConfigError, DataError, StoreError
from agad.objects import LocalObjects, ObjectStore, open_objects
from agad.store import list_studies

if TYPE_CHECKING:
    from tests.data.conftest import MakeDataset


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """Return a library in a folder, for what no store can do another way."""
    return Library(LocalObjects(tmp_path / "store"))


def test_a_library_of_an_empty_store_has_no_names(library: Library) -> None:
    assert library.names() == []


def test_a_data_set_that_is_put_is_new_and_found(
    objects: ObjectStore, make_dataset: MakeDataset
) -> None:
    library = Library(objects)
    manifest, files = make_dataset()
    assert library.put(manifest, files)
    assert library.names() == ["shapes"]
    assert library.manifest("shapes") == manifest


def test_names_are_sorted(library: Library, make_dataset: MakeDataset) -> None:
    for name in ("b", "a.c", "0", "a"):
        library.put(*make_dataset(name))
    assert library.names() == ["0", "a", "a.c", "b"]


def test_the_files_are_kept_under_their_checksum(
    objects: ObjectStore, make_dataset: MakeDataset
) -> None:
    manifest, files = make_dataset()
    Library(objects).put(manifest, files)
    assert objects.list("_datasets/") == sorted(
        [
            "_datasets/shapes/manifest.json",
            f"_datasets/shapes/{manifest.train.sha256}.arrow",
            f"_datasets/shapes/{manifest.test.sha256}.arrow",
        ]
    )
    kept = objects.get(f"_datasets/shapes/{manifest.test.sha256}.arrow")
    assert kept == files["test"].read_bytes()


def test_the_same_data_set_again_is_not_new(
    objects: ObjectStore, make_dataset: MakeDataset
) -> None:
    library = Library(objects)
    manifest, files = make_dataset()
    library.put(manifest, files)
    assert not library.put(manifest, files)
    assert library.names() == ["shapes"]


def test_the_same_content_from_another_source_is_not_new_and_the_first_stays(
    library: Library, make_dataset: MakeDataset
) -> None:
    manifest, files = make_dataset()
    library.put(manifest, files)
    assert not library.put(replace(manifest, source="medmnist shapes.npz"), files)
    assert library.manifest("shapes") == manifest


def test_other_content_under_the_name_is_refused_and_the_first_stays(
    library: Library, make_dataset: MakeDataset
) -> None:
    manifest, files = make_dataset()
    library.put(manifest, files)
    match = r"^data set 'shapes' is in .* already and holds other images; .* under another name"
    with pytest.raises(DataError, match=match):
        library.put(*make_dataset(first=500))
    assert library.manifest("shapes") == manifest


def test_a_refused_data_set_leaves_nothing_in_the_store(
    objects: ObjectStore, make_dataset: MakeDataset
) -> None:
    Library(objects).put(*make_dataset())
    before = objects.list("")
    with pytest.raises(DataError, match="holds other images"):
        Library(objects).put(*make_dataset(first=500))
    assert objects.list("") == before


def _crash(*_: object) -> bool:
    raise StoreError("the store went away")


@pytest.mark.parametrize("method", ["put_if_absent", "put_file_if_absent"])
def test_a_data_set_whose_import_crashed_is_not_there_and_can_be_imported_anew(
    objects: ObjectStore,
    make_dataset: MakeDataset,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    library = Library(objects)
    manifest, files = make_dataset()
    with monkeypatch.context() as patched:
        patched.setattr(objects, method, _crash)
        with pytest.raises(StoreError, match="the store went away"):
            library.put(manifest, files)
    assert library.names() == []
    with pytest.raises(ConfigError, match=r"^data set 'shapes' is not in"):
        library.manifest("shapes")
    assert library.put(manifest, files)
    assert library.manifest("shapes") == manifest


def test_a_crashed_import_does_not_keep_other_content_from_the_name(
    objects: ObjectStore, make_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(objects, "put_if_absent", _crash)
        with pytest.raises(StoreError, match="the store went away"):
            Library(objects).put(*make_dataset())
    manifest, files = make_dataset(first=500)
    assert Library(objects).put(manifest, files)
    assert Library(objects).manifest("shapes") == manifest


def test_a_missing_data_set_names_the_known_ones_and_how_to_import_it(
    library: Library, make_dataset: MakeDataset
) -> None:
    for name in ("rods", "dots"):
        library.put(*make_dataset(name))
    match = (
        rf"^data set 'mnist' is not in {library.uri}, which holds: dots, rods; import it: "
        rf"agad data import mnist --from PATH --store {library.uri}$"
    )
    with pytest.raises(ConfigError, match=match):
        library.manifest("mnist")


def test_a_missing_data_set_of_an_empty_store_says_that_there_is_none(library: Library) -> None:
    with pytest.raises(ConfigError, match="which holds: none; import it: agad data import mnist"):
        library.manifest("mnist")


def test_a_misspelt_data_set_is_guessed(library: Library, make_dataset: MakeDataset) -> None:
    library.put(*make_dataset("shapes"))
    with pytest.raises(ConfigError, match=r"which holds: shapes; do you mean 'shapes'\?$"):
        library.manifest("shaeps")


def test_a_damaged_manifest_is_named_by_its_place(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path / "store")
    objects.put_if_absent("_datasets/shapes/manifest.json", b"{}")
    match = rf"^{objects.uri}/_datasets/shapes/manifest\.json is no manifest"
    with pytest.raises(DataError, match=match):
        Library(objects).manifest("shapes")


class _Abreast(Library):
    """Waits, once it has seen which names there are, until all others have too."""

    def __init__(self, uri: str, barrier: threading.Barrier) -> None:
        super().__init__(open_objects(uri))
        self._barrier = barrier

    def names(self) -> list[str]:
        names = super().names()
        self._barrier.wait(timeout=30)
        return names


def test_of_several_imports_of_one_content_at_once_one_is_new(
    objects: ObjectStore, make_dataset: MakeDataset
) -> None:
    barrier = threading.Barrier(4)
    libraries = [_Abreast(objects.uri, barrier) for _ in range(4)]
    manifest, files = make_dataset()
    with ThreadPoolExecutor(4) as pool:
        is_new = list(pool.map(lambda library: library.put(manifest, files), libraries))
    assert sorted(is_new) == [False, False, False, True]
    assert Library(objects).manifest("shapes") == manifest


def test_of_two_imports_of_other_content_at_once_one_is_refused(
    objects: ObjectStore, make_dataset: MakeDataset
) -> None:
    barrier = threading.Barrier(2)
    libraries = [_Abreast(objects.uri, barrier) for _ in range(2)]
    both = [make_dataset(first=0), make_dataset(first=500)]
    with ThreadPoolExecutor(2) as pool:
        puts = [pool.submit(of.put, *given) for of, given in zip(libraries, both, strict=True)]
    errors = [put.exception() for put in puts]
    winner = errors.index(None)
    assert isinstance(errors[1 - winner], DataError)
    assert Library(objects).manifest("shapes") == both[winner][0]


def test_data_sets_are_no_studies(objects: ObjectStore, make_dataset: MakeDataset) -> None:
    Library(objects).put(*make_dataset())
    assert list_studies(objects) == []


def test_other_objects_are_no_data_sets(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path / "store")
    for key in ("shapes/manifest.json", "_datasets/shapes/a/manifest.json", "_datasets/x/b.arrow"):
        objects.put_if_absent(key, b"{}")
    assert Library(objects).names() == []


@pytest.mark.parametrize("part", PARTS)
def test_open_images_gives_the_images_of_one_part(
    objects: ObjectStore, make_dataset: MakeDataset, tmp_path: Path, part: Part
) -> None:
    manifest, files = make_dataset()
    Library(objects).put(manifest, files)
    cache = NodeCache(folder=str(tmp_path / "cache"))
    images = open_images(manifest, part, store=objects.uri, cache=cache)
    expected = open_part(files[part])
    np.testing.assert_array_equal(images.pixels, expected.pixels)
    np.testing.assert_array_equal(images.labels, expected.labels)


def test_open_images_does_not_fetch_the_test_part_for_training(
    library: Library, make_dataset: MakeDataset, tmp_path: Path
) -> None:
    manifest, files = make_dataset()
    library.put(manifest, files)
    cache = NodeCache(folder=str(tmp_path / "cache"))
    open_images(manifest, "train", store=library.uri, cache=cache)
    cached = [path.name for path in (tmp_path / "cache").glob("*.arrow")]
    assert cached == [f"{manifest.train.sha256}.arrow"]


def test_open_images_opens_no_store_for_what_the_cache_has(
    library: Library, make_dataset: MakeDataset, tmp_path: Path
) -> None:
    manifest, files = make_dataset()
    library.put(manifest, files)
    cache = NodeCache(folder=str(tmp_path / "cache"))
    open_images(manifest, "train", store=library.uri, cache=cache)
    images = open_images(manifest, "train", store="gopher://nowhere", cache=cache)
    assert len(images.labels) == 30


def test_open_images_refuses_an_object_that_was_changed_in_the_store(
    library: Library, make_dataset: MakeDataset, tmp_path: Path
) -> None:
    manifest, files = make_dataset()
    library.put(manifest, files)
    kept = tmp_path / "store" / "_datasets" / "shapes" / f"{manifest.train.sha256}.arrow"
    kept.write_bytes(kept.read_bytes()[:-1] + b"X")
    cache = NodeCache(folder=str(tmp_path / "cache"))
    with pytest.raises(DataError, match=r"the store's object was changed; restore it from a copy"):
        open_images(manifest, "train", store=library.uri, cache=cache)


def test_open_images_says_that_the_store_lacks_the_file(
    library: Library, make_dataset: MakeDataset, tmp_path: Path
) -> None:
    manifest, _ = make_dataset()
    cache = NodeCache(folder=str(tmp_path / "cache"))
    with pytest.raises(StoreError, match=rf"{manifest.train.sha256}\.arrow does not exist"):
        open_images(manifest, "train", store=library.uri, cache=cache)


def test_writing_into_opened_images_does_not_change_the_store(
    library: Library, make_dataset: MakeDataset, tmp_path: Path
) -> None:
    manifest, files = make_dataset()
    library.put(manifest, files)
    for folder in ("one", "other"):
        cache = NodeCache(folder=str(tmp_path / folder))
        images = open_images(manifest, "train", store=library.uri, cache=cache)
        np.testing.assert_array_equal(images.pixels, open_part(files["train"]).pixels)
        images.pixels[:] = 3


@pytest.mark.parametrize(
    "name", ["a", "0", "cifar10", "fashion-mnist", "mvtec_bottle.v2", "x" * 100]
)
def test_a_name_of_lower_case_letters_and_digits_is_allowed(name: str) -> None:
    check_dataset_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "-a", ".a", "_a", "A", "aB", "a/b", "a b", "a\n", "é", "a=b", "..", "x" * 101],
    ids=repr,
)
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^data set name is .*, but must start with a lower-case"
    ):
        check_dataset_name(name)


def test_the_manifest_of_a_name_that_cannot_be_is_refused(library: Library) -> None:
    with pytest.raises(ConfigError, match=r"^data set name is '\.\./a', but must start with"):
        library.manifest("../a")
