"""A folder of images: one folder a class, with or without ``train/`` and ``test/`` above them."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from agad.data.images import PARTS, Images, Part, Source, SourceImages
from agad.data.readers.damage import naming_damage
from agad.data.readers.numbered import MAX_CLASSES
from agad.data.readers.pictures import SUFFIXES, check_mode, read_headers, read_pictures
from agad.data.readers.survey import range_of_values, survey_notes
from agad.data.readers.values import ValueRange
from agad.data.resize import Resize
from agad.errors import DataError

_NORMAL_NAMES = ("good", "normal", "ok")
"""A class with one of these names is the first: its label is 0, whatever the others are called."""

_LAYOUT = "put one folder a class into it, or train/ and test/ with one folder a class each"
_ADVICE = "replace or remove it"


def read_folder(
    folder: Path,
    resize: Resize | None,
    mode: str = "auto",
    *,
    values: ValueRange | None = None,
) -> Source:
    """Read a folder of images, such as one set of MVTec AD.

    If there are ``train/`` and ``test/``, each holds one folder a class, and everything beside them
    is ignored. Otherwise the folder itself holds one folder a class, and there is no official
    split. Images may lie in folders below a class. Hidden files and folders (the name starts with a
    dot) are passed over. Links to folders are passed over too, and are reported as ignored.

    Args:
        folder: Holds PNG, JPEG, BMP, TIFF, WebP, GIF (first frame) or PPM files.
        resize: None takes images as they are, if all have one size that the networks take.
        mode: ``L`` (grey), ``RGB``, or ``auto``: grey if every image is.
        values: The values of 16-bit pictures that become 0 and 255; None takes all 16 bits, if the
            pictures fill more than half of these.

    Raises:
        ConfigError: ``mode`` is none of these, or a size or a range of values is needed.
        DataError: The folder has another layout, or an image is damaged or too large.
    """
    check_mode(mode)
    scan = _Scan(folder)
    found = _find_images(scan)
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
                if entry.is_dir(follow_symlinks=False):
                    folders.append(name)
                elif entry.is_dir():
                    self.ignore([f"{name}/"])
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


def _find_images(scan: _Scan) -> dict[Part, list[_Image]]:
    _check_folder(scan, "name another with --from")
    with naming_damage(scan.root, _ADVICE):
        has_parts = all((scan.root / part).is_dir() for part in PARTS)
    if not has_parts:
        return {"train": _find_classes(scan, "")}
    beside = scan.class_folders("")
    scan.ignore(f"{name}/" for name in beside if name not in PARTS)
    # Listed as a link to a folder, but it is the one that is read.
    scan.ignored[:] = [name for name in scan.ignored if name.rstrip("/") not in PARTS]
    return {part: _find_classes(scan, part) for part in PARTS}


def _find_classes(scan: _Scan, place: str) -> list[_Image]:
    folders = scan.class_folders(place)
    if not folders:
        raise DataError(f"{scan.root / place} holds no folder of a class; {_LAYOUT}.")
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


def _class_names(folder: Path, names: Collection[str]) -> tuple[str, ...]:
    if len(names) == 1:
        raise DataError(
            f"{folder} holds the one class {min(names)!r}, but must hold two at least, or nothing "
            f"could be anomalous; {_LAYOUT}."
        )
    if len(names) > MAX_CLASSES:
        raise DataError(
            f"{folder} holds {len(names)} classes, but must hold {MAX_CLASSES} at most."
        )
    return tuple(sorted(names, key=lambda name: (name.casefold() not in _NORMAL_NAMES, name)))


def _is_text(name: str) -> bool:
    """Tell whether a name is one line of Unicode; a file's name may be anything."""
    return not any(
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name
    )
