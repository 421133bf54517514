"""The way to read a data set: from the options of an import and from what is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from agad.data.catalogue import KNOWN, Format
from agad.data.images import Images, Source
from agad.data.library import check_dataset_name
from agad.data.partition import TestChoice
from agad.data.readers import (
    read_cifar10,
    read_cifar100,
    read_digits,
    read_folder,
    read_idx,
    read_medmnist,
)
from agad.data.readers.layout import Layout, check_layout
from agad.data.readers.masks import MaskRule, check_masks
from agad.data.readers.survey import shape_notes
from agad.data.readers.values import ValueRange
from agad.data.resize import SIZES, UNASKED_SIZES, Fit, Resize
from agad.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """How a data set is read."""

    format: Format | None = None
    """None is the format of a known data set, else what the path looks like."""

    image_px: int | None = None
    """Height and width to import at; None is that of a known data set, else the images' own."""

    filter: str = "bilinear"
    """Pillow's filter for images of another size."""

    fit: Fit = "stretch"
    """What an image that is not square becomes."""

    value_range: ValueRange | None = None
    """Values of 16-bit pictures in a folder that become 0 and 255; None takes all 16 bits, if the
    pictures fill more than half of these."""

    mode: str = "auto"
    """Mode of a folder of images: ``L``, ``RGB``, or ``auto``, which is L if all are grey."""

    layout: Layout = "auto"
    """Layout of a folder of images: ``parts`` has ``train/`` and ``test/``, ``classes`` not."""

    masks: MaskRule = "auto"
    """How masks in a folder of images are treated: see ``find_masks``."""

    test: TestChoice | None = None
    """Choose a test part anew; None takes the official part, or a third if there is none."""

    drop_duplicates: bool = False
    """Keep training images out, without an error, if they are in the test part or of two
    classes."""

    keep_split: bool = False
    """Whether an official training part of one class may stay, although a study then finds no
    labelled anomaly to select by."""

    def __post_init__(self) -> None:
        # Checked here, since not every data set is resized.
        image_px = SIZES[0] if self.image_px is None else self.image_px
        Resize(image_px=image_px, filter=self.filter, fit=self.fit)
        check_layout(self.layout)
        check_masks(self.masks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A way to read one data set."""

    format: Format
    path: Path
    """Unused for the data set that comes with scikit-learn."""

    class_names: tuple[str, ...] | None
    resize: Resize | None
    filter: str
    """Pillow's filter, which other pictures will need even if these images have their size
    already."""

    fit: Fit
    value_range: ValueRange | None
    mode: str
    layout: Layout
    masks: MaskRule
    is_official: bool
    """Whether a known data set is read from its official format."""

    def read(self) -> tuple[Source, str]:
        """Return the data set at its final size, and how it was resized.

        Raises:
            ConfigError: The images have a size that the networks do not take, and none is stated.
            DataError: A file is missing or damaged.
        """
        source = _READERS[self.format](self)
        if self.format == "folder":  # Brings each image to the size as it is decoded.
            return source, str(self.resize) if self.resize else "none"
        height, width = source.parts["train"].images.pixels.shape[2:]
        if self.resize is None:
            if height != width or height not in UNASKED_SIZES:
                raise ConfigError(
                    f"{self.path} holds images of {height} x {width}, but without --size they must "
                    f"be squares of {', '.join(map(str, UNASKED_SIZES))}; give --size N, one of "
                    f"{', '.join(map(str, SIZES))}."
                )
            return source, "none"
        if (height, width) == (self.resize.image_px, self.resize.image_px):
            return source, "none"
        notes = shape_notes([(width, height)], self.fit)
        source = replace(_resized(source, self.resize), notes=tuple(notes))
        return source, f"from {height} x {width} {self.resize}"


def find_recipe(name: str, path: Path | None, options: ImportOptions) -> Recipe:
    """Find out how to read a data set.

    Raises:
        ConfigError: The name is not allowed or near a known data set's, the path is missing, or an
            option does not go with the format.
    """
    known = KNOWN.get(name)
    if known is None and options.format is None:
        _refuse_near_name(name)
    check_dataset_name(name)
    format_ = options.format or (known.format if known else _format_of(path))
    if path is None and format_ != "digits":
        raise ConfigError("--from is missing, but must name the data set's folder or file.")
    if path is not None and format_ == "digits":
        raise ConfigError(f"--from is {path}, but digits come with scikit-learn; leave it out.")
    if path is not None and not path.exists():
        raise ConfigError(f"--from is {path}, but there is no such folder or file.")
    for flag, default in (
        ("mode", "auto"),
        ("layout", "auto"),
        ("masks", "auto"),
        ("value_range", None),
    ):
        value = getattr(options, flag)
        if value != default and format_ != "folder":
            name_ = flag.replace("_", "-")
            raise ConfigError(f"--{name_} is {value}, but only a folder of images takes one.")
    official = known if known is not None and known.format == format_ else None
    image_px = options.image_px or (official.image_px if official else None)
    if options.fit != "stretch" and not image_px:
        raise ConfigError(
            f"--fit is {options.fit}, but images keep their size without --size; give both."
        )
    return Recipe(
        format=format_,
        path=path or Path(),
        class_names=official.class_names if official else None,
        resize=(
            Resize(image_px=image_px, filter=options.filter, fit=options.fit) if image_px else None
        ),
        filter=options.filter,
        fit=options.fit,
        value_range=options.value_range,
        mode=options.mode,
        layout=options.layout,
        masks=options.masks,
        is_official=official is not None,
    )


def _refuse_near_name(name: str) -> None:
    """Refuse ``fashion_mnist`` or ``MNIST``, which would be read as a folder of one's own."""
    letters = _letters(name)
    near = next((one for one in KNOWN if _letters(one) == letters), None)
    if near is not None:
        raise ConfigError(
            f"data set name is {name!r}, but the known data set is called {near!r}; give that "
            "name, or --format if this is another data set."
        )


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def _format_of(path: Path | None) -> Format:
    return "medmnist" if path is not None and path.suffix == ".npz" else "folder"


def _resized(source: Source, resize: Resize) -> Source:
    parts = {
        name: replace(part, images=Images(resize.pixels(part.images.pixels), part.images.labels))
        for name, part in source.parts.items()
    }
    return replace(source, parts=parts)


_READERS: dict[Format, Callable[[Recipe], Source]] = {
    "digits": lambda _: read_digits(),
    "idx": lambda recipe: read_idx(recipe.path, recipe.class_names),
    "cifar10": lambda recipe: read_cifar10(recipe.path),
    "cifar100-coarse": lambda recipe: read_cifar100(recipe.path, "coarse"),
    "cifar100-fine": lambda recipe: read_cifar100(recipe.path, "fine"),
    "medmnist": lambda recipe: read_medmnist(recipe.path, recipe.class_names),
    "folder": lambda recipe: read_folder(
        recipe.path,
        recipe.resize,
        recipe.mode,
        layout=recipe.layout,
        masks=recipe.masks,
        values=recipe.value_range,
    ),
}
