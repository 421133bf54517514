"""A folder of images: one folder a class, with or without ``train/`` and ``test/`` above them."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NoReturn

import numpy as np

from agad.data.images import PARTS, Images, Part, Source, SourceImages
from agad.data.readers.damage import naming_damage
from agad.data.readers.layout import (
    NORMAL_NAMES,
    Layout,
    check_class_names,
    check_layout,
    check_no_parts,
    find_parts,
    is_cache,
    sets_in,
)
from agad.data.readers.masks import MaskRule, check_masks, find_masks, masks_text
from agad.data.readers.numbered import MAX_CLASSES
from agad.data.readers.pictures import SUFFIXES, check_mode, read_headers, read_pictures
from agad.data.readers.survey import range_of_values, survey_notes
from agad.data.readers.values import ValueRange
from agad.data.resize import Resize
from agad.errors import DataError

_LAYOUT = "put one folder a class into it, or train/ and test/ with one folder a class each"
_ADVICE = "replace or remove it"
_SIGNS = {
    "-ubyte": "idx",
    "cifar-100": "cifar100-fine",
    "cifar-10": "cifar10",
    "data_batch": "cifar10",
    ".npz": "medmnist",
}
"""Parts of the names of official files, and the format that reads them."""


def read_folder(  # noqa: PLR0913  How a folder is read, a keyword each.
    folder: Path,
    resize: Resize | None,
    mode: str = "auto",
    *,
    layout: Layout = "auto",
    masks: MaskRule = "auto",
    values: ValueRange | None = None,
) -> Source:
    """Read a folder of images, such as one set of MVTec AD.

    If there are ``train/`` and ``test/``, each holds one folder a class, and everything beside them
    is ignored. The two may be called ``Train`` or ``Testing`` too. Otherwise the folder itself
    holds one folder a class, and there is no official split. Images may lie in folders below a
    class. Hidden files and folders (the name starts with a dot) are passed over. Masks, links to
    folders, and folders of a system such as ``__MACOSX`` are passed over too, and are reported as
    ignored.

    Args:
        folder: Holds PNG, JPEG, BMP, TIFF, WebP, GIF (first frame) or PPM files.
        resize: None takes images as they are, if all have one of ``UNASKED_SIZES``.
        mode: ``L`` (grey), ``RGB``, or ``auto``: grey if every image is.
        layout: ``parts`` with ``train/`` and ``test/``, ``classes`` without, or ``auto``.
        masks: How masks are treated, see ``find_masks``.
        values: The values of 16-bit pictures that become 0 and 255; None takes all 16 bits, if the
            pictures fill more than half of these.

    Raises:
        ConfigError: ``mode``, ``layout`` or ``masks`` is none of these, or a size or a range of
            values is needed.
        DataError: The folder has another layout, or holds several sets, or an image is damaged or
            too large.
    """
    check_mode(mode)
    check_layout(layout)
    check_masks(masks)
    scan = _Scan(folder)
    found = _without_masks(scan, _find_images(scan, layout), masks)
    class_names = _class_names(folder, {image.class_name for of in found.values() for image in of})
    label_of = {name: label for label, name in enumerate(class_names)}
    names = {part: [image.name for image in found[part]] for part in found}
    every = [name for of in names.values() for name in of]
    headers = read_headers(folder, every)
    chosen = range_of_values(folder, every, headers, values)
    pixels = read_pictures(folder, every, resize, mode, headers=headers, values=chosen)
    parts: dict[Part, SourceImages] = {}
    for part, images in found.items():
        labels = [label_of[image.class_name] for image in images]
        of_part, pixels = pixels[: len(labels)], pixels[len(labels) :]
        parts[part] = SourceImages(
            images=Images(of_part, np.array(labels, np.int64)), names=names[part]
        )
    return Source(
        class_names=class_names,
        parts=parts,
        ignored=tuple(sorted(scan.ignored)),
        notes=survey_notes(every, headers, resize.fit if resize else "stretch", chosen),
    )


def find_pictures(folder: Path) -> tuple[list[str], tuple[str, ...]]:
    """Find the images below a folder, whatever its layout; hidden files are passed over.

    Returns:
        The images' paths below the folder, sorted, and what is there beside the images.

    Raises:
        DataError: There is no such folder or no image in it, or a name is not one line of Unicode.
    """
    scan = _Scan(folder)
    _check_folder(scan, "name another")
    names = scan.images_below("")
    if not names:
        raise DataError(
            f"{folder} holds no image, but must hold one at least; an image's name ends with one "
            f"of: {', '.join(SUFFIXES)}."
        )
    _check_names(scan, names)
    return sorted(names), tuple(sorted(scan.ignored))


@dataclass(frozen=True, slots=True, order=True)
class _Image:
    name: str
    """Path below the folder, in POSIX form."""

    class_name: str


@dataclass(frozen=True, slots=True)
class _Scan:
    """A walk through a folder that records what it passes over. Places are paths below it."""

    root: Path
    ignored: list[str] = field(default_factory=list)

    def entries(self, place: str) -> tuple[list[str], list[str]]:
        """Return the folders and the files in a place."""
        folders, files = [], []
        folder = self.root / place
        with naming_damage(folder, _ADVICE), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                name = f"{place}/{entry.name}" if place else entry.name
                if entry.is_dir() and (entry.is_symlink() or is_cache(entry.name)):
                    self.ignore([f"{name}/"])
                elif entry.is_dir():
                    folders.append(name)
                else:
                    files.append(name)
        return folders, files

    def class_folders(self, place: str) -> list[str]:
        """Return the folders in a place that may hold folders and no image."""
        folders, files = self.entries(place)
        if images := self._choose_images(files):
            raise DataError(
                f"{self.root / min(images)} is an image in no class, but must lie in the folder "
                "of its class; move or remove it."
            )
        return folders

    def images(self, class_folder: str) -> list[str]:
        """Return all images below a place, at least one."""
        images = self.images_below(class_folder)
        if not images:
            raise DataError(
                f"{self.root / class_folder} is the folder of a class, but holds no image; "
                "remove it, or put images into it."
            )
        return images

    def images_below(self, place: str) -> list[str]:
        """Return all images below a place."""
        images: list[str] = []
        places = [place]
        while places:
            folders, files = self.entries(places.pop())
            places += folders
            images += self._choose_images(files)
        return images

    def _choose_images(self, files: list[str]) -> list[str]:
        images = [name for name in files if PurePosixPath(name).suffix.lower() in SUFFIXES]
        self.ignore(sorted(set(files) - set(images)))
        return images

    def ignore(self, names: Iterable[str]) -> None:
        self.ignored.extend(name if _is_text(name) else ascii(name) for name in names)


def _check_folder(scan: _Scan, advice: str) -> None:
    with naming_damage(scan.root, _ADVICE):
        if not scan.root.is_dir():
            raise DataError(f"{scan.root} is no folder, but must be one of images; {advice}.")


def _check_names(scan: _Scan, names: Iterable[str]) -> None:
    for name in names:
        if not _is_text(name):
            raise DataError(
                f"{scan.root} holds the image {name!a}, but must hold names of one line of "
                "Unicode; rename it."
            )


def _find_images(scan: _Scan, layout: Layout) -> dict[Part, list[_Image]]:
    _check_folder(scan, "name another with --from")
    with naming_damage(scan.root, _ADVICE):
        parts = find_parts(scan.root, layout)
        sets = sets_in(scan.root) if not parts and layout == "auto" else []
    if sets:
        _refuse_sets(scan.root, sets, "train/ and test/")
    if not parts:
        classes = _find_classes(scan, "")
        if layout == "auto":
            check_no_parts(scan.root, {image.class_name for image in classes})
            _check_no_sets(scan.root, classes)
        return {"train": classes}
    beside = [name for name in scan.class_folders("") if name not in parts.values()]
    scan.ignore(f"{name}/{_images_text(scan, name)}" for name in beside)
    # Listed as a link to a folder, but it is the one that is read.
    scan.ignored[:] = [name for name in scan.ignored if name.rstrip("/") not in parts.values()]
    return {part: _find_classes(scan, parts[part]) for part in PARTS}


def _check_no_sets(root: Path, images: Sequence[_Image]) -> None:
    """Refuse folders that hold classes: two with a folder ``good`` each, or a single folder."""
    inner: dict[str, set[str]] = defaultdict(set)
    for image in images:
        inner[image.class_name].update(PurePosixPath(image.name).parts[1:-1])
    sets = [name for name, of in inner.items() if NORMAL_NAMES & set(map(str.casefold, of))]
    if len(sets) > 1:
        _refuse_sets(root, sorted(sets), "good/ or normal/")
    if len(inner) == 1 and (name := next(iter(inner))) and len(inner[name]) > 1:
        raise DataError(
            f"{root} holds the one folder {name!r}, but must hold two classes at least, or "
            f"nothing could be anomalous; give --from {root / name} if the classes are in there."
        )


def _refuse_sets(root: Path, sets: Sequence[str], what: str) -> NoReturn:
    raise DataError(
        f"{root} holds folders with {what} of their own, each a data set: "
        f"{', '.join(sets[:5])}{', ...' if len(sets) > 5 else ''}. Import them one by one, "
        f"such as --from {root / sets[0]}; or give --layout classes if each is one class."
    )


def _images_text(scan: _Scan, place: str) -> str:
    """Return how many images a folder holds that is passed over, such as `` (12 images)``."""
    count = len(_Scan(scan.root).images_below(place))
    return f" ({count} {'image' if count == 1 else 'images'})" if count else ""


def _without_masks(
    scan: _Scan, found: dict[Part, list[_Image]], rule: MaskRule
) -> dict[Part, list[_Image]]:
    classes: dict[str, list[str]] = defaultdict(list)
    for image in (image for of in found.values() for image in of):
        classes[image.class_name].append(image.name)
    masks = set(find_masks(scan.root, classes, rule))
    scan.ignored.extend(masks_text(masks))
    left = {part: [one for one in of if one.name not in masks] for part, of in found.items()}
    names = {one.class_name for of in left.values() for one in of}
    if len(names) < 2 <= len(classes):
        raise DataError(
            f"{scan.root} holds {', '.join(masks_text(masks))}, which are left out, and so the one "
            f"class {', '.join(map(repr, names)) or 'none'}, but must hold two at least; give "
            "--masks keep if these are photos."
        )
    return left


def _find_classes(scan: _Scan, place: str) -> list[_Image]:
    folders = scan.class_folders(place)
    if not folders:
        hint = _format_hint(scan.ignored)
        raise DataError(f"{scan.root / place} holds no folder of a class; {_LAYOUT}{hint}.")
    if len(folders) > MAX_CLASSES:
        raise DataError(
            f"{scan.root / place} holds {len(folders)} folders, but must hold one a class, "
            f"{MAX_CLASSES} at most."
        )
    images = [
        _Image(name, PurePosixPath(folder).name)
        for folder in folders
        for name in scan.images(folder)
    ]
    _check_names(scan, (image.name for image in images))
    return sorted(images)


def _format_hint(files: Iterable[str]) -> str:
    """Return how to read a folder that holds the official files of another format."""
    for name in sorted(files):
        for sign, format_ in _SIGNS.items():
            if sign in name:
                return (
                    f"; or give --format {format_}, since {name} looks like a file of that format"
                )
    return ""


def _class_names(folder: Path, names: Collection[str]) -> tuple[str, ...]:
    check_class_names(folder, names)
    if len(names) == 1:
        raise DataError(
            f"{folder} holds the one class {min(names)!r}, but must hold two at least, or nothing "
            f"could be anomalous; {_LAYOUT}."
        )
    if len(names) > MAX_CLASSES:
        raise DataError(
            f"{folder} holds {len(names)} classes, but must hold {MAX_CLASSES} at most."
        )
    return tuple(sorted(names, key=lambda name: (name.casefold() not in NORMAL_NAMES, name)))


def _is_text(name: str) -> bool:
    """Tell whether a name is one line of Unicode; a file's name may be anything."""
    return not any(
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name
    )
