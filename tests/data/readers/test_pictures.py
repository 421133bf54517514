"""Decoding image files: every mode and format, and every kind of damage."""

from __future__ import annotations

import os
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from agad.data.images import Source
from agad.data.readers import pictures, read_folder
from agad.data.resize import Resize
from agad.errors import DataError

_TO_16 = Resize(image_px=16)
_GREY = [0, 77, 200, 255]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes: ``a`` without an image yet, ``b`` with a grey one."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    Image.new("L", (16, 16), 100).save(tmp_path / "b/0.png")
    return tmp_path


def _first(source: Source) -> NDArray[np.uint8]:
    """Return the image of class ``a``."""
    pixels: NDArray[np.uint8] = source.parts["train"].images.pixels[0]
    return pixels


def _chunk(kind: bytes, body: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + checksum


def _png(width: int, height: int, body: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(body)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _ramp() -> Image.Image:
    return Image.fromarray(np.tile(np.repeat(np.array(_GREY, np.uint8), 4), (16, 1)))


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [
        ("png", "1"),
        ("png", "L"),
        ("png", "LA"),
        ("tif", "1"),
        ("tif", "LA"),
        ("pgm", "L"),
        ("pbm", "1"),
        ("bmp", "L"),
    ],
)
def test_read_folder_reads_grey_images_as_one_channel(folder: Path, suffix: str, mode: str) -> None:
    image = _ramp().point(lambda value: 255 * (value > 100)).convert(mode)
    image.save(folder / f"a/0.{suffix}")
    pixels = _first(read_folder(folder, None))
    assert pixels.shape == (1, 16, 16)
    assert pixels[0, 3].tolist() == [0] * 8 + [255] * 8


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [
        ("png", "P"),
        ("png", "RGB"),
        ("png", "RGBA"),
        ("bmp", "RGB"),
        ("ppm", "RGB"),
        ("gif", "P"),
        ("tif", "RGBA"),
        ("tiff", "CMYK"),
        ("tif", "P"),
        ("webp", "RGB"),
        ("webp", "RGBA"),
    ],
)
def test_read_folder_reads_colour_images_as_three_channels(
    folder: Path, suffix: str, mode: str
) -> None:
    image = Image.new("RGB", (16, 16), (255, 0, 51)).convert(mode)
    image.save(folder / f"a/0.{suffix}", lossless=True)
    source = read_folder(folder, None)
    np.testing.assert_allclose(_first(source)[:, 8, 8], [255, 0, 51], atol=0)
    assert source.parts["train"].images.pixels[1, :, 0, 0].tolist() == [100, 100, 100]


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "YCbCr", "L"])
def test_read_folder_reads_jpeg(folder: Path, mode: str) -> None:
    Image.new("RGB", (16, 16), (90, 90, 90)).convert(mode).save(folder / "a/0.jpeg")
    np.testing.assert_allclose(_first(read_folder(folder, None, "RGB")), 90, atol=2)


def test_read_folder_drops_alpha_whatever_it_hides(folder: Path) -> None:
    Image.new("RGBA", (16, 16), (10, 20, 30, 0)).save(folder / "a/0.png")
    assert _first(read_folder(folder, None))[:, 0, 0].tolist() == [10, 20, 30]


def test_read_folder_drops_the_transparency_of_a_palette(folder: Path) -> None:
    image = Image.new("RGB", (16, 16), (10, 20, 30)).convert("P", palette=Image.Palette.ADAPTIVE)
    image.save(folder / "a/0.png", transparency=bytes(16))
    assert _first(read_folder(folder, None))[:, 0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3)])
def test_read_folder_takes_the_mode_asked_for(folder: Path, mode: str, channels: int) -> None:
    Image.new("RGB", (16, 16), (255, 255, 255)).save(folder / "a/0.png")
    pixels = read_folder(folder, None, mode).parts["train"].images.pixels
    assert pixels.shape == (2, channels, 16, 16)
    assert np.unique(pixels[0]).tolist() == [255]
    assert np.unique(pixels[1]).tolist() == [100]


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_read_folder_scales_16_bits_to_the_nearest_of_8(folder: Path, suffix: str) -> None:
    values = np.linspace(0, 65535, 256).round().astype(np.uint16)
    values[1:4] = [128, 129, 65406]
    Image.fromarray(values.reshape(16, 16)).save(folder / f"a/0.{suffix}")
    pixels = _first(read_folder(folder, None))
    assert pixels.shape == (1, 16, 16)
    np.testing.assert_array_equal(pixels.reshape(-1), np.rint(values * (255 / 65535)))


def test_read_folder_reads_16_bits_of_the_other_byte_order(folder: Path) -> None:
    image = Image.frombytes("I;16B", (16, 16), np.full(256, 257 * 199, ">u2").tobytes())
    image.save(folder / "a/0.tif")
    assert np.unique(_first(read_folder(folder, None))).tolist() == [199]


@pytest.mark.parametrize("value", [-1, 65536, 2**31 - 1])
def test_read_folder_refuses_32_bits_that_are_no_16(folder: Path, value: int) -> None:
    Image.new("I", (16, 16), value).save(folder / "a/0.tif")
    match = rf"a/0\.tif has values of {value} to {value}, but must have 0 to 65535; convert it"
    with pytest.raises(DataError, match=match):
        read_folder(folder, None)


@pytest.mark.parametrize("mode", ["F", "LAB"])
def test_read_folder_refuses_other_modes_by_name(folder: Path, mode: str) -> None:
    Image.new(mode, (16, 16)).save(folder / "a/0.tif")
    with pytest.raises(
        DataError, match=rf"a/0\.tif has Pillow's mode {mode}, but must have one of"
    ):
        read_folder(folder, None)


def test_read_folder_reads_the_first_frame_of_an_animation(folder: Path) -> None:
    frames = [Image.new("L", (16, 16), grey) for grey in (40, 80)]
    frames[0].save(folder / "a/0.gif", save_all=True, append_images=frames[1:])
    assert np.unique(_first(read_folder(folder, None))).tolist() == [40]


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_read_folder_turns_images_as_their_exif_says(folder: Path, suffix: str, mode: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # To be turned clockwise by a quarter: the left edge becomes the top.
    image = Image.new("L", (16, 16), 0)
    image.paste(255, (0, 0, 8, 16))
    image.convert(mode).save(folder / f"a/0.{suffix}", exif=exif)
    pixels = _first(read_folder(folder, None))
    assert pixels[:, :7].min() > 200
    assert pixels[:, 9:].max() < 50


def test_read_folder_turns_16_bit_images_too(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    values = np.zeros((16, 16), np.uint16)
    values[:, :8] = 65535
    Image.fromarray(values).save(folder / "a/0.png", exif=exif)
    pixels = _first(read_folder(folder, None))
    assert pixels[0, :8].tolist() == [[255] * 16] * 8
    assert pixels[0, 8:].max() == 0


def test_read_folder_turns_an_image_before_it_stretches_it(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("L", (40, 20), 0)
    image.paste(255, (0, 0, 20, 20))
    image.save(folder / "a/0.png", exif=exif)
    pixels = _first(read_folder(folder, Resize(image_px=16, filter="box")))
    assert pixels[0, :, 0].tolist() == [255] * 8 + [0] * 8


def test_read_folder_resizes_as_resize_does(folder: Path) -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(256, size=(50, 40, 3), dtype=np.uint8))
    image.save(folder / "a/0.png")
    expected = np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR))
    pixels = _first(read_folder(folder, _TO_16))
    np.testing.assert_array_equal(pixels, expected.transpose(2, 0, 1))


_HOSTILE: dict[str, tuple[str, bytes, str]] = {
    "empty": ("0.png", b"", "is no image, but must be one of: PNG"),
    "text": ("0.jpg", b"<html>404</html>", "is no image, but must be one of: PNG"),
    "another-format": ("0.png", b"%PDF-1.4 " + bytes(100), "is no image, but must be one of"),
    "postscript": ("0.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is no image"),
    "bomb": ("0.png", _png(60_000, 60_000), "declares far more pixels than 64000000"),
    "small-bomb": ("0.png", _png(9_700, 9_700), "declares far more pixels than 64000000"),
    "too-large": ("0.png", _png(8_001, 8_000), "has 8001 x 8000 pixels, but must have at most"),
    "huge-side": ("0.png", _png(2**31 - 1, 2**31 - 1), "declares far more|is damaged"),
    "no-pixels": ("0.png", _png(16, 16), r"is damaged \(.+\); replace or remove it"),
    "few-pixels": ("0.png", _png(16, 16, bytes(50)), r"is damaged \(.+\); replace or remove it"),
    "zero-width": ("0.png", _png(0, 16), "is no image|is damaged"),
    "nan": ("0.ppm", b"P5 nan 16 255 ", "is no image|is damaged"),
    "huge-ppm": ("0.ppm", b"P5 99999999999999 9999999999 255 ", "is no image|far more|is damaged"),
    "cut-ppm": ("0.ppm", b"P5 16 16 255 " + bytes(100), r"is damaged \(.+\); replace or remove"),
    "tiff-of-nothing": ("0.tif", b"II*\0\x08\0\0\0\xff\xff", "is no image|is damaged"),
    "gif-header": ("0.gif", b"GIF89a\xff\xff\xff\xff\0\0\0", "declares far more|is damaged|is no"),
}


@pytest.mark.parametrize(("name", "content", "match"), _HOSTILE.values(), ids=_HOSTILE.keys())
def test_read_folder_refuses_a_damaged_or_hostile_image(
    folder: Path, name: str, content: bytes, match: str
) -> None:
    (folder / "a" / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{folder}/a/{name} ({match})"):
        read_folder(folder, _TO_16)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp", "gif", "ppm"])
def test_read_folder_refuses_a_truncated_image(folder: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(256, size=(60, 60, 3), dtype=np.uint8))
    file = folder / f"a/0.{suffix}"
    image.save(file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    with pytest.raises(DataError, match=rf"a/0\.{suffix} is (damaged|no image)"):
        read_folder(folder, _TO_16)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp", "gif", "ppm"])
def test_read_folder_ends_any_damage_of_a_byte_in_one_error_or_none(
    folder: Path, suffix: str
) -> None:
    file = folder / f"a/0.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = 6
    _ramp().save(file, exif=exif)
    content = bytearray(file.read_bytes())
    rng = np.random.default_rng(0)
    refusals = []
    for place in [*range(min(60, len(content))), *rng.integers(len(content), size=60)]:
        original = content[place]
        content[place] ^= int(rng.integers(1, 256))
        file.write_bytes(content)
        content[place] = original
        try:
            read_folder(folder, _TO_16)
        except DataError as error:
            refusals.append(str(error))
    assert refusals
    kinds = r"damaged \(.+\)|no image, but must|far more pixels than|\d+ x \d+ pixels, but must"
    expected = re.compile(rf"a/0\.{suffix} \w+ ({kinds}).*; replace or remove it\.$")
    assert [text for text in refusals if not expected.search(text)] == []


def test_read_folder_refuses_a_bomb_of_text_in_an_image(folder: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "0" * 2**27, zip=True)
    Image.new("L", (16, 16)).save(folder / "a/0.png", pnginfo=info)
    with pytest.raises(DataError, match=r"a/0\.png is (damaged|no image)"):
        read_folder(folder, None)


def test_read_folder_refuses_a_file_that_is_far_too_large(folder: Path) -> None:
    with (folder / "a/0.bmp").open("wb") as file:
        file.truncate(2**40)  # A sparse file: it takes no room on the disk.
    match = r"a/0\.bmp has 1099511627776 bytes, but must have at most 512000000; replace or remove"
    with pytest.raises(DataError, match=match):
        read_folder(folder, None)


def test_read_folder_does_not_wait_for_a_pipe(folder: Path) -> None:
    os.mkfifo(folder / "a/0.png")
    with pytest.raises(DataError, match=r"a/0\.png is no regular file, but must be an image"):
        read_folder(folder, None)


def test_read_folder_names_a_link_to_nothing(folder: Path) -> None:
    (folder / "a/0.png").symlink_to(folder / "nothing")
    with pytest.raises(DataError, match=r"a/0\.png cannot be read \(No such file or directory\)"):
        read_folder(folder, None)


def test_read_pictures_names_a_file_that_vanished(folder: Path) -> None:
    match = r"a/gone\.png cannot be read \(No such file or directory\)"
    with pytest.raises(DataError, match=match):
        pictures.read_pictures(folder, ["b/0.png", "a/gone.png"], None, "auto")


def test_read_folder_names_a_file_that_changed_while_it_was_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ramp().save(folder / "a/0.png")

    def change(shape: tuple[int, ...]) -> NDArray[np.uint8]:
        Image.new("L", (32, 32)).save(folder / "a/0.png")
        return np.empty(shape, np.uint8)

    monkeypatch.setattr(pictures, "_allocate", change)
    with pytest.raises(DataError, match=r"a/0\.png changed while it was read; start again"):
        read_folder(folder, None)


def test_read_folder_keeps_a_large_result_in_a_file_without_a_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_MAX_BYTES_IN_MEMORY", 511)
    _ramp().save(folder / "a/0.png")
    pixels = read_folder(folder, None).parts["train"].images.pixels
    assert isinstance(pixels, np.memmap)
    np.testing.assert_array_equal(pixels[0, 0], np.asarray(_ramp()))
    assert np.unique(pixels[1]).tolist() == [100]


def test_read_folder_names_the_folder_that_has_no_room_for_a_large_result(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pictures, "_MAX_BYTES_IN_MEMORY", 511)
    monkeypatch.setattr(os, "posix_fallocate", refuse)
    _ramp().save(folder / "a/0.png")
    match = r"take 512 bytes, but .*temporary\d+ does not hold them \(No space left on device\)"
    with pytest.raises(DataError, match=match):
        read_folder(folder, None)
