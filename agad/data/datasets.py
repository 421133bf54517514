"""Data sets by name."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from agad.data.cifar import find_cifar10, read_cifar10
from agad.data.digits import read_digits
from agad.data.idx import find_mnist, read_mnist
from agad.data.images import DatasetInfo, Images, Part
from agad.errors import ConfigError

_DIGIT_NAMES = tuple(str(digit) for digit in range(10))
_CIFAR10_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
_DATASETS = {
    info.name: info
    for info in (
        DatasetInfo(
            name="digits",
            class_names=_DIGIT_NAMES,
            channels=1,
            native_px=8,
            image_px=16,
            num_val_anomalies=30,
        ),
        DatasetInfo(
            name="mnist",
            class_names=_DIGIT_NAMES,
            channels=1,
            native_px=28,
            image_px=32,
            num_val_anomalies=100,
        ),
        DatasetInfo(
            name="cifar10",
            class_names=_CIFAR10_NAMES,
            channels=3,
            native_px=32,
            image_px=32,
            num_val_anomalies=100,
        ),
    )
}


def describe(name: str) -> DatasetInfo:
    """Return what is known of a data set.

    Raises:
        ConfigError: No data set has this name.
    """
    if name not in _DATASETS:
        known = ", ".join(sorted(_DATASETS))
        raise ConfigError(f"cells.dataset is {name!r}, but must be one of: {known}.")
    return _DATASETS[name]


def check_files(name: str, root: Path) -> None:
    """Refuse a data set whose files, of either part, are not there; opens none.

    Raises:
        ConfigError: No data set has this name.
        DataError: A file is missing.
    """
    describe(name)
    for part in ("train", "test"):
        if name == "mnist":
            find_mnist(root / name, part)
        elif name == "cifar10":
            find_cifar10(root / name, part)


@lru_cache(maxsize=4)
def load_images(name: str, part: Part, root: Path) -> Images:
    """Return one part of a data set, kept in memory for the next trial of this process.

    Args:
        name: A known data set.
        part: Only this part's files are opened.
        root: Holds a folder of official files for each data set, named as the data set is.

    Raises:
        ConfigError: No data set has this name.
        DataError: A file is missing or damaged.
    """
    info = describe(name)
    if name == "digits":
        images = read_digits(part)
    elif name == "mnist":
        images = read_mnist(root / name, part, info.native_px, len(info.class_names))
    else:
        images = read_cifar10(root / name, part)
    images.pixels.flags.writeable = False
    images.labels.flags.writeable = False
    return images
