"""What a folder's pictures tell of themselves: shapes, values of 16 bits, pages."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agad.data.images import Source
from agad.data.readers import read_folder, read_in_batches
from agad.data.readers.survey import shape_notes
from agad.data.readers.values import FULL_RANGE, ValueRange, likely_range
from agad.data.resize import Resize
from agad.errors import ConfigError, DataError
from tests.data.readers.test_pictures import _chunk


def _save(file: Path, values: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((16, 16), values, np.uint16)).save(file)


@pytest.fixture
def camera(tmp_path: Path) -> Path:
    """A folder of two classes, whose pictures of 16 bits hold values of 12 bits."""
    ramp = np.linspace(0, 4095, 256).round().reshape(16, 16)
    _save(tmp_path / "bad/0.png", ramp)
    _save(tmp_path / "good/0.tif", 2000)
    return tmp_path


def _greys(source: Source) -> list[list[int]]:
    return [np.unique(image).tolist() for image in source.parts["train"].images.pixels]


def test_values_of_12_bits_are_refused_with_the_range_that_fits(camera: Path) -> None:
    match = (
        r"--value-range is missing, .*the 2 pictures of 16 bits in .* hold values of 0 to 4095, .*"
        r"Give --value-range 0-4095 .*, or --value-range 0-65535 to scale all 16 bits"
    )
    with pytest.raises(ConfigError, match=match):
        read_folder(camera, None)


def test_a_value_range_scales_its_ends_to_0_and_255(camera: Path) -> None:
    source = read_folder(camera, None, values=ValueRange(0, 4095))
    assert _greys(source) == [[*range(256)], [125]]
    assert source.notes == (
        "Values: 2 pictures of 16 bits with 0 to 4095; 0 becomes 0 and 4095 becomes 255.",
    )


def test_all_16_bits_can_be_asked_for(camera: Path) -> None:
    assert _greys(read_folder(camera, None, values=FULL_RANGE)) == [[*range(17)], [8]]


def test_a_value_outside_the_range_is_refused_with_its_file(camera: Path) -> None:
    match = r"bad/0\.png has values of 0 to 4095, but must have 100 to 4000; .*another --value-rang"
    with pytest.raises(DataError, match=match):
        read_folder(camera, None, values=ValueRange(100, 4000))


def test_a_value_range_of_pictures_of_8_bits_is_refused(tmp_path: Path) -> None:
    for name in ("a/0.png", "b/0.png"):
        (tmp_path / name).parent.mkdir()
        Image.new("L", (16, 16)).save(tmp_path / name)
    with pytest.raises(ConfigError, match=r"--value-range is 0-4095, but no picture of .* 16 bits"):
        read_folder(tmp_path, None, values=ValueRange(0, 4095))


def test_pictures_that_fill_16_bits_need_no_range(camera: Path) -> None:
    _save(camera / "good/0.tif", 40_000)
    source = read_folder(camera, None)
    assert _greys(source)[1] == [156]
    assert source.notes[0].startswith("Values: 2 pictures of 16 bits with 0 to 40000; 0 becomes 0")
    assert source.notes[1].startswith("1 of 2 have no value above 4095: if a camera of 12 bits")


def test_colours_of_16_bits_with_empty_upper_bits_are_refused(camera: Path) -> None:
    rows = (b"\0" + np.full((16, 3), 4095, ">u2").tobytes()) * 16
    header = (16).to_bytes(4, "big") * 2 + bytes((16, 2, 0, 0, 0))
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    (camera / "bad/0.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    _save(camera / "good/0.tif", 65535)
    match = r"bad/0\.png has colours of 16 bits with no value above 4095, .* convert them to 8 bits"
    with pytest.raises(DataError, match=match):
        read_folder(camera, None)


@pytest.mark.parametrize("text", ["4095", "0..4095", "0-", "-5-10", "9-9", "10-5", "0-65536", ""])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--value-range is .*, but must be LOW-HIGH.* 0-4095"):
        ValueRange.parse(text)


def test_scaling_rounds_to_the_nearest() -> None:
    values = np.arange(101, 4000, dtype=np.int64)
    expected = np.rint((values - 101) * 255 / (3999 - 101))
    np.testing.assert_array_equal(ValueRange(101, 3999).to_bytes(values), expected)


@pytest.mark.parametrize(("high", "bits"), [(0, 8), (255, 8), (256, 9), (1023, 10), (16383, 14)])
def test_the_likely_range_has_the_fewest_bits(high: int, bits: int) -> None:
    assert likely_range(high) == ValueRange(0, 2**bits - 1)


def test_pictures_to_score_are_scaled_by_the_given_range(camera: Path) -> None:
    (batch,) = read_in_batches(
        camera, ["good/0.tif"], Resize(image_px=16), "L", values=ValueRange(0, 4095)
    )
    assert np.unique(batch.pixels).tolist() == [125]


def _draw(file: Path, size: tuple[int, int]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, 9).save(file)


def test_shapes_that_are_no_squares_are_told(tmp_path: Path) -> None:
    _draw(tmp_path / "a/0.png", (40, 20))
    _draw(tmp_path / "a/1.png", (30, 40))
    _draw(tmp_path / "b/0.png", (50, 50))
    assert read_folder(tmp_path, Resize(image_px=16)).notes == (
        "Shapes: width / height is 0.75 to 2.00. 2 of 3 are not square and stretched to a "
        "square; --fit pad or --fit crop keep their shape.",
    )


def test_the_shape_is_that_of_a_turned_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    _draw(tmp_path / "a/0.png", (20, 20))
    _draw(tmp_path / "b/0.png", (20, 20))
    Image.new("L", (40, 20)).save(tmp_path / "b/0.jpg", exif=exif)
    (note,) = read_folder(tmp_path, Resize(image_px=16, fit="crop")).notes
    assert note.startswith("Shapes: width / height is 0.50 to 1.00. 1 of 3 is not square and")


def test_squares_need_no_word() -> None:
    assert shape_notes([(16, 16), (500, 500)], "stretch") == []


@pytest.mark.parametrize("suffix", ["tif", "gif"])
def test_files_of_several_pages_are_told(tmp_path: Path, suffix: str) -> None:
    _draw(tmp_path / "a/0.png", (16, 16))
    _draw(tmp_path / "b/0.png", (16, 16))
    pages = [Image.new("L", (16, 16), grey) for grey in (40, 80, 120)]
    pages[0].save(tmp_path / f"b/scan.{suffix}", save_all=True, append_images=pages[1:])
    source = read_folder(tmp_path, None)
    assert source.notes == (
        f"Pages: 1 file has several pages or frames, such as b/scan.{suffix} with 3; the first of "
        "each is read.",
    )
    assert source.parts["train"].images.pixels[2].max() == 40
