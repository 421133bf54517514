"""Pictures in the layout of MVTec AD: a woven texture, and small scratches on some of it.

Axes: H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

IMAGE_PX = 256
"""Height and width of the pictures."""

NUM_TRAIN, NUM_GOOD, NUM_SCRATCHED = 30, 10, 10

_THREAD_PX = 16
_SCRATCH_PX = 16


def write_scratches(folder: Path, seed: int = 2) -> Path:
    """Write pictures of a texture, and return the folder.

    ``train/good`` has normal pictures. ``test/good`` and ``test/scratch`` have further ones, and
    ``ground_truth/scratch`` has a mask of each scratch, white where the scratch is.

    Args:
        folder: A new folder.
        seed: Of every texture and scratch.
    """
    rng = np.random.default_rng(seed)
    for part, num in (("train/good", NUM_TRAIN), ("test/good", NUM_GOOD)):
        for number in range(num):
            _save(_texture(rng), folder / part / f"{number:03}.png")
    for number in range(NUM_SCRATCHED):
        picture, mask = _scratched(_texture(rng), rng)
        _save(picture, folder / "test/scratch" / f"{number:03}.png")
        _save(mask, folder / "ground_truth/scratch" / f"{number:03}_mask.png")
    return folder


def scratch_masks(folder: Path) -> Iterator[NDArray[np.bool_]]:
    """Yield where each scratch of ``write_scratches`` is, ``(H, W)``, in order of the pictures."""
    for path in sorted((folder / "ground_truth/scratch").iterdir()):
        with Image.open(path) as image:
            yield np.asarray(image) > 0


def _texture(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return threads across threads, somewhere in the cloth, under light that varies."""
    rows, columns = np.mgrid[:IMAGE_PX, :IMAGE_PX] + rng.uniform(0, _THREAD_PX, (2, 1, 1))
    rows = rows + 1.5 * np.sin(columns / 40 + rng.uniform(0, 6))
    weave = np.sin(rows * 2 * np.pi / _THREAD_PX) * np.sin(columns * 2 * np.pi / _THREAD_PX)
    light = rng.uniform(80, 160) + rng.uniform(-0.2, 0.2) * rows + rng.uniform(-0.2, 0.2) * columns
    noise = rng.normal(0, rng.uniform(4, 8), (IMAGE_PX, IMAGE_PX))
    levels = light + rng.uniform(25, 40) * weave + noise
    pixels: NDArray[np.uint8] = levels.clip(0, 255).astype(np.uint8)
    return pixels


def _scratched(
    picture: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a picture with a scratch, and the scratch's mask."""
    centre = rng.uniform(40, IMAGE_PX - 40, 2)
    angle = rng.uniform(0, np.pi)
    reach = _SCRATCH_PX / 2 * np.array([np.cos(angle), np.sin(angle)])
    mask = Image.new("L", (IMAGE_PX, IMAGE_PX))
    ends = [tuple(centre - reach), tuple(centre + reach)]
    ImageDraw.Draw(mask).line(ends, fill=255, width=2)
    depth = np.asarray(mask.filter(ImageFilter.GaussianBlur(0.6))) / 255.0
    levels = picture + rng.choice([-1, 1]) * rng.uniform(75, 105) * depth
    return levels.clip(0, 255).astype(np.uint8), np.asarray(mask)


def _save(pixels: NDArray[np.uint8], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
