"""Small data sets for the tests of this layer: in memory, as pictures, and as IDX files."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from agad.data.images import PARTS, Images, Part, Source, SourceImages
from agad.data.manifest import Manifest
from agad.data.partfile import write_part

Numbered: TypeAlias = Sequence[tuple[int, int]]
"""A number and a label an image; images of one number are equal."""

MakeSource: TypeAlias = Callable[..., Source]
MakeDataset: TypeAlias = Callable[..., tuple[Manifest, dict[Part, Path]]]
NumbersOf: TypeAlias = Callable[[NDArray[np.uint8]], list[int]]
WritePictures: TypeAlias = Callable[[Path, Mapping[str, int]], Path]
WriteIdx: TypeAlias = Callable[..., Path]


def _pixels(number: int, channels: int, image_px: int) -> NDArray[np.uint8]:
    """Return an image whose first four pixels are its number."""
    pixels = np.full(channels * image_px**2, number % 251, np.uint8)
    pixels[:4] = list(number.to_bytes(4, "big"))
    return pixels.reshape(channels, image_px, image_px)


@pytest.fixture
def make_source() -> MakeSource:
    """Return a builder of sources; without test images there is the training part alone."""

    def build(
        train: Numbered, test: Numbered | None = None, *, channels: int = 1, image_px: int = 16
    ) -> Source:
        given: dict[Part, Numbered] = {"train": train}
        if test is not None:
            given["test"] = test
        parts: dict[Part, SourceImages] = {}
        for part, images in given.items():
            pixels = np.zeros((len(images), channels, image_px, image_px), np.uint8)
            for place, (number, _) in enumerate(images):
                pixels[place] = _pixels(number, channels, image_px)
            labels = np.array([label for _, label in images], np.int64)
            names = [f"{part}[{place}]" for place in range(len(images))]
            parts[part] = SourceImages(images=Images(pixels, labels), names=names)
        num_classes = 1 + max((label for of in given.values() for _, label in of), default=0)
        names = [f"class-{label}" for label in range(num_classes)]
        return Source(class_names=tuple(names), parts=parts)

    return build


@pytest.fixture
def numbers_of() -> NumbersOf:
    """Return the numbers of images that ``make_source`` built."""

    def read(pixels: NDArray[np.uint8]) -> list[int]:
        return [int.from_bytes(image.reshape(-1)[:4].tobytes(), "big") for image in pixels]

    return read


@pytest.fixture
def make_dataset(tmp_path: Path, make_source: MakeSource) -> MakeDataset:
    """Return a builder of manifests, with their files in folders of their own."""

    def build(name: str = "shapes", first: int = 0) -> tuple[Manifest, dict[Part, Path]]:
        """Build 30 training and 12 test images of 3 classes, of numbers from ``first`` on."""
        train = [(first + number, number % 3) for number in range(30)]
        test = [(first + number, number % 3) for number in range(30, 42)]
        source = make_source(train, test)
        folder = tmp_path / "files" / f"{name}-{first}"
        folder.mkdir(parents=True, exist_ok=True)
        files: dict[Part, Path] = {part: folder / f"{part}.arrow" for part in PARTS}
        stored = {part: write_part(files[part], source.parts[part], 3) for part in PARTS}
        manifest = Manifest(
            name=name,
            class_names=source.class_names,
            channels=1,
            image_px=16,
            num_val_anomalies=1,
            fingerprint=f"{first:064x}",
            train=stored["train"],
            test=stored["test"],
            source="folder shapes",
            resize="none",
            test_split="official",
        )
        return manifest, files

    return build


@pytest.fixture
def write_pictures() -> WritePictures:
    """Return a writer of grey 16 x 16 pictures, whose first row of pixels is their number."""

    def write(root: Path, pictures: Mapping[str, int]) -> Path:
        for name, number in pictures.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(_pixels(number, 1, 16)[0]).save(path)
        return root

    return write


@pytest.fixture
def write_idx() -> WriteIdx:
    """Return a writer of the four files of an IDX data set, gzipped."""

    def write(folder: Path, train: Numbered, test: Numbered, image_px: int = 28) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for prefix, images in (("train", train), ("t10k", test)):
            pixels = b"".join(_pixels(number, 1, image_px).tobytes() for number, _ in images)
            header = struct.pack(">4I", 0x0803, len(images), image_px, image_px)
            (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + pixels))
            labels = struct.pack(">2I", 0x0801, len(images)) + bytes(label for _, label in images)
            (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
        return folder

    return write
