"""Imports, from a data set's own files to what the store keeps."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pytest
from PIL import Image

from agad.data import importing
from agad.data.cache import NodeCache
from agad.data.images import Images, Part
from agad.data.importing import Imported, find_manifest, import_dataset
from agad.data.library import Library, open_images
from agad.data.manifest import Dropped, Manifest
from agad.data.partition import TestChoice
from agad.data.recipe import ImportOptions
from agad.errors import ConfigError, DataError, StoreError
from agad.objects import LocalObjects

if TYPE_CHECKING:
    from tests.data.conftest import NumbersOf, WriteIdx, WritePictures

_TRAIN = [(number, number % 3) for number in range(60)]
_TEST = [(number, number % 3) for number in range(60, 90)]
_PICTURES = {f"class-{number % 3}/{number:02}.png": number for number in range(30)}
_MVTEC = {
    **{f"train/good/{number:03}.png": number for number in range(10)},
    **{f"test/good/{number:03}.png": number for number in range(10, 13)},
    **{f"test/broken/{number:03}.png": number for number in range(20, 25)},
}
_REAL = Path(__file__).parents[2].parent / "shared/data/mnist"

Import = Callable[..., Imported]
Open = Callable[[Manifest, Part], Images]


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
def objects(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path / "store")


@pytest.fixture
def library(objects: LocalObjects) -> Library:
    return Library(objects)


@pytest.fixture
def import_it(library: Library) -> Import:
    """Return an import into the library, with options by name."""

    def import_(name: str, path: Path | None, **options: Any) -> Imported:  # noqa: ANN401
        return import_dataset(name, path, library, ImportOptions(**options))

    return import_


@pytest.fixture
def open_it(library: Library, tmp_path: Path) -> Open:
    """Return what opens a part of an imported data set."""
    cache = NodeCache(folder=str(tmp_path / "cache"))
    return lambda manifest, part: open_images(manifest, part, store=library.uri, cache=cache)


@pytest.fixture
def idx(tmp_path: Path, write_idx: WriteIdx) -> Path:
    return write_idx(tmp_path / "official", _TRAIN, _TEST)


@pytest.fixture
def pictures(tmp_path: Path, write_pictures: WritePictures) -> Path:
    return write_pictures(tmp_path / "shapes", _PICTURES)


@pytest.fixture
def mvtec(tmp_path: Path, write_pictures: WritePictures) -> Path:
    return write_pictures(tmp_path / "bottle", _MVTEC)


def test_digits_are_imported_without_files(import_it: Import, open_it: Open) -> None:
    manifest = import_it("digits", None).manifest
    assert manifest.class_names == tuple("0123456789")
    assert manifest.image_shape == (1, 16, 16)
    assert manifest.num_val_anomalies == 30
    assert (manifest.source, manifest.resize) == (
        "digits",
        "from 8 x 8 to 16 x 16 by Pillow's bilinear",
    )
    assert manifest.train.num_images + manifest.test.num_images + len(manifest.dropped) == 1797
    for part in ("train", "test"):
        assert len(open_it(manifest, part).labels) == manifest.part(part).num_images


def test_digits_are_the_same_on_every_machine_and_in_every_version(import_it: Import) -> None:
    manifest = import_it("digits", None).manifest
    assert manifest.fingerprint == (
        "fbdbce297c9b1804569f10a4e89d8e398b1b445122926c401a28a2cf35cb3fc7"
    )
    assert manifest.test.class_counts == (59, 60, 59, 61, 60, 60, 60, 59, 58, 60)


def test_a_known_data_set_is_imported_from_its_official_files(
    import_it: Import, idx: Path, open_it: Open
) -> None:
    done = import_it("mnist", idx)
    manifest = done.manifest
    assert (done.is_new, done.ignored) == (True, ())
    assert manifest.class_names == tuple("0123456789")
    assert manifest.image_shape == (1, 32, 32)
    assert manifest.num_val_anomalies == 100
    assert (manifest.test_split, manifest.dropped) == ("official", ())
    assert (manifest.source, manifest.resize) == (
        "idx official",
        "from 28 x 28 to 32 x 32 by Pillow's bilinear",
    )
    assert manifest.train.class_counts == (20, 20, 20, 0, 0, 0, 0, 0, 0, 0)
    assert manifest.test.class_counts == (10, 10, 10, 0, 0, 0, 0, 0, 0, 0)
    images = open_it(manifest, "test")
    assert images.labels.tolist() == [label for _, label in _TEST]
    assert images.pixels[:, 0, 9, 9].tolist() == [number for number, _ in _TEST]


def test_an_unknown_data_set_is_imported_in_a_stated_format_and_size(
    import_it: Import, idx: Path
) -> None:
    manifest = import_it("mine", idx, format="idx", image_px=16).manifest
    assert manifest.class_names == ("0", "1", "2")
    assert manifest.image_shape == (1, 16, 16)


def test_a_folder_of_pictures_is_imported_with_a_test_part_of_a_third(
    import_it: Import, pictures: Path, open_it: Open, numbers_of: NumbersOf
) -> None:
    manifest = import_it("shapes", pictures).manifest
    assert manifest.class_names == ("class-0", "class-1", "class-2")
    assert manifest.train.class_counts == (7, 7, 7)
    assert manifest.test.class_counts == (3, 3, 3)
    assert (manifest.source, manifest.resize) == ("folder shapes", "none")
    assert manifest.test_split == "0.3333 of each class by pixel hash, seed 0"
    for part in ("train", "test"):
        images = open_it(manifest, part)
        numbers = numbers_of(images.pixels)
        assert images.labels.tolist() == [number % 3 for number in numbers]


def test_a_folder_as_of_mvtec_keeps_its_official_test_part(
    import_it: Import, mvtec: Path, open_it: Open, numbers_of: NumbersOf
) -> None:
    manifest = import_it("bottle", mvtec, keep_split=True).manifest
    assert manifest.class_names == ("good", "broken")
    assert manifest.train.class_counts == (10, 0)
    assert manifest.test.class_counts == (3, 5)
    assert manifest.test_split == "official"
    assert numbers_of(open_it(manifest, "test").pixels) == [20, 21, 22, 23, 24, 10, 11, 12]


def test_a_test_share_is_chosen_from_both_parts_together(import_it: Import, mvtec: Path) -> None:
    manifest = import_it("bottle", mvtec, test=TestChoice(share=0.4)).manifest
    assert manifest.train.class_counts == (8, 3)
    assert manifest.test.class_counts == (5, 2)
    assert manifest.test_split == "0.4 of each class by pixel hash, seed 0"


def test_what_is_no_image_is_reported(import_it: Import, pictures: Path) -> None:
    (pictures / "class-0" / "notes.txt").write_text("hello")
    assert import_it("shapes", pictures).ignored == ("class-0/notes.txt",)


@pytest.mark.parametrize(("num_images", "num_val_anomalies"), [(2, 1), (20, 1), (79, 3), (80, 4)])
def test_a_data_set_validates_with_a_twentieth_of_its_training_images_and_at_least_one(
    import_it: Import, tmp_path: Path, write_idx: WriteIdx, num_images: int, num_val_anomalies: int
) -> None:
    train = [(number, number % 2) for number in range(num_images)]
    folder = write_idx(tmp_path / "idx", train, [(999, 1)], image_px=16)
    manifest = import_it("mine", folder, format="idx").manifest
    assert manifest.num_val_anomalies == num_val_anomalies


def test_a_data_set_validates_with_at_most_100_anomalies(
    import_it: Import, tmp_path: Path, write_idx: WriteIdx
) -> None:
    train = [(number, number % 2) for number in range(2101)]
    folder = write_idx(tmp_path / "idx", train, [(9999, 1)], image_px=16)
    assert import_it("mine", folder, format="idx").manifest.num_val_anomalies == 100


def test_the_name_of_a_known_data_set_in_another_format_brings_nothing(
    import_it: Import, pictures: Path
) -> None:
    manifest = import_it("mnist", pictures, format="folder").manifest
    assert manifest.num_val_anomalies == 1
    assert manifest.image_px == 16


def test_duplicates_of_official_files_are_kept_out(
    import_it: Import, tmp_path: Path, write_idx: WriteIdx
) -> None:
    folder = write_idx(tmp_path / "idx", [*_TRAIN, (70, 1), (3, 1), (4, 1)], _TEST)
    manifest = import_it("mnist", folder).manifest
    assert manifest.dropped == (
        Dropped(name="train[3]", reason="of two classes", copy_of="train[61]"),
        Dropped(name="train[60]", reason="in the test part", copy_of="test[10]"),
        Dropped(name="train[61]", reason="of two classes", copy_of="train[3]"),
        Dropped(name="train[62]", reason="copy", copy_of="train[4]"),
    )
    assert manifest.train.num_images == 59


def test_duplicates_of_own_files_are_an_error_that_names_them(
    import_it: Import, mvtec: Path, write_pictures: WritePictures, objects: LocalObjects
) -> None:
    write_pictures(mvtec, {"test/broken/twin.png": 7})
    match = r"1 training images .*: train/good/007\.png = test/broken/twin\.png\. .*--drop-dup"
    with pytest.raises(DataError, match=match):
        import_it("bottle", mvtec)
    assert objects.list("") == []


def test_duplicates_of_own_files_are_kept_out_where_that_is_asked_for(
    import_it: Import, mvtec: Path, write_pictures: WritePictures
) -> None:
    write_pictures(mvtec, {"test/broken/twin.png": 7})
    manifest = import_it("bottle", mvtec, drop_duplicates=True, keep_split=True).manifest
    assert manifest.dropped == (
        Dropped(
            name="train/good/007.png", reason="in the test part", copy_of="test/broken/twin.png"
        ),
    )
    assert manifest.train.class_counts == (9, 0)


def test_pictures_that_are_equal_only_after_resizing_are_duplicates(
    import_it: Import, tmp_path: Path
) -> None:
    for name, size in (("a/0.png", 32), ("b/0.png", 64), ("a/1.png", 16), ("b/1.png", 16)):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (size, size), 7 if size > 16 else ord(name[0])).save(tmp_path / "set" / name)
    with pytest.raises(DataError, match=r"another class: a/0\.png = b/0\.png; b/0\.png = a/0\.png"):
        import_it("twins", tmp_path / "set", image_px=16, test=TestChoice(share=0.01))


def test_the_same_import_again_is_not_new_and_changes_nothing(
    import_it: Import, pictures: Path, objects: LocalObjects
) -> None:
    first = import_it("shapes", pictures)
    before = {key: objects.get(key) for key in objects.list("")}
    again = import_it("shapes", pictures)
    assert (first.is_new, again.is_new) == (True, False)
    assert again.manifest == first.manifest
    assert {key: objects.get(key) for key in objects.list("")} == before


def test_the_same_images_from_elsewhere_are_what_was_kept_first(
    import_it: Import, pictures: Path, tmp_path: Path
) -> None:
    first = import_it("shapes", pictures)
    again = import_it("shapes", pictures.rename(tmp_path / "moved"))
    assert not again.is_new
    assert again.manifest.source == first.manifest.source == "folder shapes"


def test_other_images_under_a_name_are_refused_and_the_first_stay(
    import_it: Import, pictures: Path, write_pictures: WritePictures, objects: LocalObjects
) -> None:
    import_it("shapes", pictures)
    before = {key: objects.get(key) for key in objects.list("")}
    write_pictures(pictures, {"class-0/00.png": 500})
    with pytest.raises(DataError, match=r"'shapes' is in .* already and holds other images"):
        import_it("shapes", pictures)
    assert {key: objects.get(key) for key in objects.list("")} == before


def test_one_content_has_one_fingerprint_under_any_name_and_file_names(
    import_it: Import, pictures: Path, tmp_path: Path, write_pictures: WritePictures
) -> None:
    renamed = {name.replace("/", "/image-"): number for name, number in _PICTURES.items()}
    other = write_pictures(tmp_path / "other", renamed)
    one, two, three = (
        import_it(name, path).manifest
        for name, path in (("one", pictures), ("two", pictures), ("three", other))
    )
    assert one.fingerprint == two.fingerprint == three.fingerprint


def _add_pixel(root: Path) -> None:
    path = root / "class-1" / "01.png"
    pixels = np.array(Image.open(path))
    pixels[9, 9] += 1
    Image.fromarray(pixels).save(path)


_CHANGES: dict[str, Callable[[Path], object]] = {
    "pixel": _add_pixel,
    "label": lambda root: (root / "class-1/01.png").rename(root / "class-2/01.png"),
    "class-name": lambda root: (root / "class-1").rename(root / "class-1b"),
    "image": lambda root: (root / "class-1/01.png").unlink(),
}


@pytest.mark.parametrize("change", _CHANGES.values(), ids=_CHANGES)
def test_other_content_has_another_fingerprint(
    import_it: Import, pictures: Path, change: Callable[[Path], object]
) -> None:
    before = import_it("before", pictures).manifest
    change(pictures)
    assert import_it("after", pictures).manifest.fingerprint != before.fingerprint


@pytest.mark.parametrize("seed", [1, 2])
def test_another_test_part_has_another_fingerprint(
    import_it: Import, pictures: Path, seed: int
) -> None:
    before = import_it("before", pictures).manifest
    after = import_it("after", pictures, test=TestChoice(seed=seed)).manifest
    assert after.fingerprint != before.fingerprint


def _crash(*_: object) -> NoReturn:
    raise StoreError("no space left")


def test_an_import_that_fails_while_it_writes_leaves_nothing(
    import_it: Import, pictures: Path, objects: LocalObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "_fingerprint", _crash)
    with pytest.raises(StoreError, match="no space left"):
        import_it("shapes", pictures)
    assert objects.list("") == []


@pytest.mark.parametrize("method", ["put_if_absent", "put_file_if_absent"])
def test_an_import_that_fails_while_it_stores_leaves_no_data_set_and_can_be_repeated(
    library: Library,
    objects: LocalObjects,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(objects, method, _crash)
        with pytest.raises(StoreError, match="no space left"):
            import_dataset("shapes", pictures, library, ImportOptions())
    assert library.names() == []
    assert import_dataset("shapes", pictures, library, ImportOptions()).is_new


def test_a_damaged_picture_leaves_the_store_as_it_was(
    import_it: Import, pictures: Path, objects: LocalObjects
) -> None:
    (pictures / "class-2" / "02.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    with pytest.raises(DataError, match=r"class-2/02\.png"):
        import_it("shapes", pictures)
    assert objects.list("") == []


def test_a_known_name_in_capitals_is_corrected(import_it: Import) -> None:
    with pytest.raises(ConfigError, match="the known data set is called 'fashion-mnist'; give"):
        import_it("Fashion-MNIST", Path("/nowhere"))


@pytest.mark.parametrize("name", ["Shapes", "_shapes", "a/b", ""])
def test_a_name_that_cannot_be_is_refused_before_anything_is_read(
    import_it: Import, name: str
) -> None:
    with pytest.raises(ConfigError, match=r"^data set name is .*, but must start with"):
        import_it(name, Path("/nowhere"))


def test_find_manifest_imports_digits_by_itself_once(library: Library) -> None:
    first = find_manifest(library, "digits")
    assert library.names() == ["digits"]
    assert find_manifest(library, "digits") == first


@pytest.mark.parametrize("name", ["mnist", "cifar10", "digit"])
def test_find_manifest_imports_nothing_else(library: Library, name: str) -> None:
    with pytest.raises(ConfigError, match=f"^data set '{name}' is not in .* import it: agad data"):
        find_manifest(library, name)
    assert library.names() == []


def test_find_manifest_returns_what_is_known_of_an_imported_data_set(
    library: Library, import_it: Import, pictures: Path
) -> None:
    manifest = import_it("shapes", pictures).manifest
    assert find_manifest(library, "shapes") == manifest


@pytest.mark.skipif(not _REAL.is_dir(), reason="the official MNIST files are not here")
def test_the_official_mnist_has_its_published_counts_and_no_duplicates(
    import_it: Import, open_it: Open
) -> None:
    manifest = import_it("mnist", _REAL).manifest
    assert manifest.train.class_counts == (
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    )  # fmt: skip
    assert manifest.test.class_counts == (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    assert manifest.image_shape == (1, 32, 32)
    assert manifest.dropped == ()
    images = [image.tobytes() for image in open_it(manifest, "train").pixels]
    images += [image.tobytes() for image in open_it(manifest, "test").pixels]
    assert Counter(Counter(images).values()) == {1: 70_000}
