"""What to read of a data set, and how."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from agad.data.images import Source
from agad.data.readers.values import ValueRange
from agad.data.recipe import ImportOptions, Recipe, find_recipe
from agad.data.resize import Resize
from agad.errors import ConfigError, DataError

if TYPE_CHECKING:
    from tests.data.conftest import NumbersOf, WriteIdx, WritePictures

_TRAIN = [(number, number % 3) for number in range(12)]
_TEST = [(number, number % 3) for number in range(12, 18)]


@pytest.fixture
def idx(tmp_path: Path, write_idx: WriteIdx) -> Path:
    """Return the folder of an IDX data set of 3 classes, 28 x 28."""
    return write_idx(tmp_path / "official", _TRAIN, _TEST)


def _read(name: str, path: Path | None, **options: Any) -> tuple[Source, str]:  # noqa: ANN401
    return find_recipe(name, path, ImportOptions(**options)).read()


def _shape(source: Source) -> tuple[int, ...]:
    shapes = {part.images.pixels.shape[1:] for part in source.parts.values()}
    assert len(shapes) == 1
    return shapes.pop()


def test_a_known_data_set_brings_its_format_size_and_classes(idx: Path) -> None:
    source, how = _read("mnist", idx)
    assert _shape(source) == (1, 32, 32)
    assert source.class_names == tuple("0123456789")
    assert how == "from 28 x 28 to 32 x 32 by Pillow's bilinear"


def test_a_known_data_set_is_resized_as_pillow_does_it(idx: Path, write_idx: WriteIdx) -> None:
    native, _ = find_recipe("mnist", idx, ImportOptions()).read()
    plain = write_idx(idx.parent / "plain", _TRAIN, _TEST, image_px=32)
    assert _shape(_read("mnist", plain)[0]) == (1, 32, 32)
    before = np.full((28, 28), 5, np.uint8)
    before[0, :4] = (0, 0, 0, 5)
    after = Image.fromarray(before).resize((32, 32), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(native.parts["train"].images.pixels[5, 0], np.asarray(after))


def test_a_known_data_set_is_resized_to_another_size_that_is_stated(idx: Path) -> None:
    source, how = _read("mnist", idx, image_px=16, filter="box")
    assert _shape(source) == (1, 16, 16)
    assert how == "from 28 x 28 to 16 x 16 by Pillow's box"


def test_images_of_the_right_size_are_not_resized(
    tmp_path: Path, write_idx: WriteIdx, numbers_of: NumbersOf
) -> None:
    source, how = _read("mnist", write_idx(tmp_path / "idx", _TRAIN, _TEST, image_px=32))
    assert how == "none"
    assert numbers_of(source.parts["train"].images.pixels) == [*range(12)]


@pytest.mark.parametrize("image_px", [16, 32, 64, 128])
def test_an_unknown_data_set_of_a_size_that_networks_take_needs_no_size(
    tmp_path: Path, write_idx: WriteIdx, image_px: int
) -> None:
    folder = write_idx(tmp_path / "idx", _TRAIN, _TEST, image_px)
    source, how = _read("mine", folder, format="idx")
    assert _shape(source) == (1, image_px, image_px)
    assert (source.class_names, how) == (("0", "1", "2"), "none")


def test_an_unknown_data_set_of_another_size_needs_one(idx: Path) -> None:
    match = (
        rf"^{idx} holds images of 28 x 28, but without --size they must be squares of 16, 32, 64, "
        r"128; give --size N, one of 16, 32, 64, 128, 224, 256\.$"
    )
    with pytest.raises(ConfigError, match=match):
        _read("mine", idx, format="idx")
    assert _shape(_read("mine", idx, format="idx", image_px=64)[0]) == (1, 64, 64)


@pytest.mark.parametrize("image_px", [224, 256])
def test_a_size_that_few_detectors_take_is_asked_for(
    tmp_path: Path, write_idx: WriteIdx, image_px: int
) -> None:
    folder = write_idx(tmp_path / "idx", _TRAIN, _TEST, image_px)
    with pytest.raises(ConfigError, match=f"holds images of {image_px} x {image_px}, but without"):
        _read("mine", folder, format="idx")
    source, how = _read("mine", folder, format="idx", image_px=image_px)
    assert (_shape(source), how) == ((1, image_px, image_px), "none")


def test_a_known_name_in_another_format_is_not_the_official_data_set(
    tmp_path: Path, write_pictures: WritePictures
) -> None:
    folder = write_pictures(tmp_path / "own", {"cat/0.png": 1, "dog/0.png": 2})
    recipe = find_recipe("mnist", folder, ImportOptions(format="folder"))
    assert (recipe.is_official, recipe.class_names, recipe.resize) == (False, None, None)
    assert recipe.read()[0].class_names == ("cat", "dog")


def test_digits_need_no_path() -> None:
    source, how = _read("digits", None)
    assert _shape(source) == (1, 16, 16)
    assert how == "from 8 x 8 to 16 x 16 by Pillow's bilinear"


def test_digits_take_no_path(tmp_path: Path) -> None:
    match = rf"^--from is {tmp_path}, but digits come with scikit-learn; leave it out\.$"
    with pytest.raises(ConfigError, match=match):
        find_recipe("digits", tmp_path, ImportOptions())


def _recipe(name: str, path: Path) -> Recipe:
    return find_recipe(name, path, ImportOptions())


def test_an_npz_file_is_recognised_as_of_medmnist(tmp_path: Path) -> None:
    file = tmp_path / "set.npz"
    arrays: dict[str, Any] = {}
    for split, numbers in (("train", range(4)), ("val", range(4, 6)), ("test", range(6, 9))):
        arrays[f"{split}_images"] = np.array(
            [np.full((32, 32, 3), number, np.uint8) for number in numbers]
        )
        arrays[f"{split}_labels"] = np.array([[number % 2] for number in numbers])
    np.savez(file, **arrays)
    assert _recipe("mine", file).format == "medmnist"
    source, _ = _read("mine", file)
    assert _shape(source) == (3, 32, 32)
    assert [len(source.parts[part].names) for part in source.parts] == [6, 3]


def test_another_path_is_taken_for_a_folder_of_images(
    tmp_path: Path, write_pictures: WritePictures
) -> None:
    folder = write_pictures(tmp_path / "own", {"cat/0.png": 1, "dog/0.png": 2})
    assert _recipe("mine", folder).format == "folder"


def test_a_file_that_is_no_npz_is_not_read_as_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "set.zip"
    file.write_bytes(b"PK")
    with pytest.raises(DataError, match=rf"{file} is no folder"):
        _read("mine", file)


@pytest.mark.parametrize(
    ("image_px", "how"), [(None, "none"), (32, "to 32 x 32 by Pillow's nearest")]
)
def test_a_folder_of_images_comes_at_its_own_size_or_at_the_one_stated(
    tmp_path: Path, write_pictures: WritePictures, image_px: int | None, how: str
) -> None:
    folder = write_pictures(tmp_path / "own", {"cat/0.png": 1, "dog/0.png": 2})
    source, told = _read("mine", folder, image_px=image_px, filter="nearest")
    assert _shape(source) == (1, image_px or 16, image_px or 16)
    assert told == how


def test_a_folder_of_images_of_another_size_needs_one(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.new("L", (20, 10)).save(tmp_path / name / "0.png")
    with pytest.raises(ConfigError, match="--size"):
        _read("mine", tmp_path)
    assert _shape(_read("mine", tmp_path, image_px=16)[0]) == (1, 16, 16)


def test_a_mode_is_that_of_a_folder_of_images(
    tmp_path: Path, write_pictures: WritePictures
) -> None:
    folder = write_pictures(tmp_path / "own", {"cat/0.png": 1, "dog/0.png": 2})
    assert _shape(_read("mine", folder, mode="RGB")[0]) == (3, 16, 16)


def test_a_mode_of_another_format_is_refused(idx: Path) -> None:
    match = r"^--mode is RGB, but only a folder of images takes one\.$"
    with pytest.raises(ConfigError, match=match):
        find_recipe("mnist", idx, ImportOptions(mode="RGB"))


@pytest.mark.parametrize(("name", "format_"), [("mnist", None), ("mine", None), ("mine", "idx")])
def test_a_missing_path_is_asked_for(name: str, format_: Any) -> None:  # noqa: ANN401
    match = r"^--from is missing, but must name the data set's folder or file\.$"
    with pytest.raises(ConfigError, match=match):
        find_recipe(name, None, ImportOptions(format=format_))


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    match = rf"^--from is {tmp_path}/nowhere, but there is no such folder or file\.$"
    with pytest.raises(ConfigError, match=match):
        find_recipe("mnist", tmp_path / "nowhere", ImportOptions())


@pytest.mark.parametrize("image_px", [0, -16, 1, 24, 28, 192, 512])
def test_a_size_that_is_not_stored_is_refused(image_px: int) -> None:
    match = rf"^--size is {image_px}, but must be one of: 16, 32, 64, 128, 224, 256\.$"
    with pytest.raises(ConfigError, match=match):
        ImportOptions(image_px=image_px)


@pytest.mark.parametrize("image_px", [None, 32])
def test_an_unknown_filter_is_refused(image_px: int | None) -> None:
    match = (
        r"^--filter is 'cubic', but must be one of: nearest, box, bilinear, hamming, bicubic, "
        r"lanczos\.$"
    )
    with pytest.raises(ConfigError, match=match):
        ImportOptions(image_px=image_px, filter="cubic")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("filter_", ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"])
def test_a_resize_gives_each_image_what_pillow_gives_for_it_alone(
    channels: int, filter_: str
) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(5, channels, 28, 20), dtype=np.uint8)
    resized = Resize(image_px=16, filter=filter_).pixels(pixels)
    for image, result in zip(pixels, resized, strict=True):
        colours = image[0] if channels == 1 else image.transpose(1, 2, 0)
        expected = Image.fromarray(np.ascontiguousarray(colours)).resize(
            (16, 16), Image.Resampling[filter_.upper()]
        )
        shown = result[0] if channels == 1 else result.transpose(1, 2, 0)
        np.testing.assert_array_equal(shown, np.asarray(expected))


@pytest.mark.parametrize(
    ("name", "known"),
    [("fashion_mnist", "fashion-mnist"), ("MNIST", "mnist"), ("Cifar-10", "cifar10")],
)
def test_a_name_near_a_known_one_is_refused(tmp_path: Path, name: str, known: str) -> None:
    with pytest.raises(
        ConfigError, match=f"is '{name}', but the known data set is called '{known}'"
    ):
        find_recipe(name, tmp_path, ImportOptions())


def test_a_name_near_a_known_one_is_taken_if_the_format_is_given(tmp_path: Path) -> None:
    recipe = find_recipe("fashion_mnist", tmp_path, ImportOptions(format="folder"))
    assert recipe.format == "folder"


def _oblong() -> Image.Image:
    """Return 40 x 20 pixels, of 20 white columns between 10 grey columns at each side."""
    values = np.full((20, 40), 100, np.uint8)
    values[:, 10:30] = 255
    return Image.fromarray(values)


def test_stretching_is_the_default_and_changes_no_pixel_of_before() -> None:
    expected = np.asarray(_oblong().resize((16, 16), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(np.asarray(Resize(image_px=16).image(_oblong())), expected)


def test_padding_keeps_the_shape_and_adds_black() -> None:
    padded = np.asarray(Resize(image_px=16, fit="pad").image(_oblong()))
    assert padded[:4].max() == padded[12:].max() == 0
    expected = np.asarray(_oblong().resize((16, 8), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(padded[4:12], expected)


def test_cropping_keeps_the_square_in_the_middle() -> None:
    cropped = Resize(image_px=16, fit="crop").image(_oblong())
    assert np.unique(np.asarray(cropped)).tolist() == [255]


@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
def test_a_square_is_the_same_by_every_fit(fit: Any) -> None:  # noqa: ANN401
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(256, size=(50, 50, 3), dtype=np.uint8))
    expected = np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR))
    found = np.asarray(Resize(image_px=32, fit=fit).image(image))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"fit": "squash"}, "--fit is 'squash', but must be one of: stretch, pad, crop"),
        ({"fit": "pad"}, "--fit is pad, but images keep their size without --size; give both"),
    ],
    ids=["unknown", "without-size"],
)
def test_a_fit_that_does_nothing_is_refused(
    options: dict[str, Any], match: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=match):
        find_recipe("mine", tmp_path, ImportOptions(**options))


def test_a_value_range_goes_with_a_folder_alone(idx: Path) -> None:
    options = ImportOptions(value_range=ValueRange(0, 4095))
    with pytest.raises(ConfigError, match="--value-range is 0-4095, but only a folder of images"):
        find_recipe("mnist", idx, options)
