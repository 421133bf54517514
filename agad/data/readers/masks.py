"""Masks among photos: files and folders of a data set that are no photos, and what shows it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

import numpy as np

from agad.data.readers.pictures import grey_values
from agad.errors import ConfigError, DataError

MaskRule: TypeAlias = Literal["auto", "keep", "drop"]
"""How masks are treated: ``auto`` leaves out what is shown to be a mask, ``keep`` takes every
image, ``drop`` leaves out whatever has a mask's name."""

MASK_RULES: tuple[MaskRule, ...] = ("auto", "keep", "drop")

_WORD = r"(?:mask|gt|ground[ ._-]?truth|seg|segmentation|annotation|label|thumb|thumbnail)s?"
_WHOLE = re.compile(_WORD)
"""Name of a folder that holds no photos, in lower case."""

_PARTLY = re.compile(rf"(.*[ ._-])?{_WORD}([ ._-].*)?")
"""Name of a folder that may hold no photos: ``NG_masks`` does not, but ``no_mask`` does."""

_ENDING = re.compile(rf"(.+?)[ ._-]+{_WORD}\d*")
_NUM_LOOKED_AT = 12
_ENOUGH = 0.5
"""Share of a folder's images with a photo of the same name that shows the folder to hold masks."""

_NEAR_ENDS = 10
"""Distance from black or white up to which a grey value belongs to a mask."""


def check_masks(rule: str) -> None:
    """Refuse a rule that ``find_masks`` does not have."""
    if rule not in MASK_RULES:
        raise ConfigError(f"--masks is {rule!r}, but must be one of: {', '.join(MASK_RULES)}.")


def find_masks(root: Path, classes: Mapping[str, Sequence[str]], rule: MaskRule) -> list[str]:
    """Return the images that are no photos.

    A name alone shows nothing: face-mask sets have the classes ``mask`` and ``no_mask``. By
    ``auto``, these are left out:

    - A folder with a mask's name, if its images are black and white and the other folders' images
      are not. The folder may be a class, or lie in a class: ``hole/masks/`` beside
      ``hole/images/``. The name may hold more than the word: ``NG_masks/``.
    - A folder whose name is the word alone, if half of its images have the names of photos in other
      folders: ``mask/screw_7.png`` beside ``good/screw_7.jpg``.
    - A file beside a photo of the same name: ``7_mask.png`` beside ``7.jpg``. Without the word, as
      in ``7.png`` beside ``7.jpg``, such files must be black and white and their photos not.

    Args:
        root: The data set's folder.
        classes: The images of each class, as paths below ``root``.
        rule: How masks are treated.

    Raises:
        DataError: By ``auto``, a folder holds images of both kinds, so that only the user knows.
    """
    if rule == "keep":
        return []
    folders, photos = _sorted_by_name(root, classes)
    others = [image for images in photos.values() for image in images]
    masks = [
        image
        for folder, images in folders.items()
        for image in _of_folder(root, folder, images, others, rule)
    ]
    return masks + [image for images in photos.values() for image in _of_files(root, images, rule)]


def _sorted_by_name(
    root: Path, classes: Mapping[str, Sequence[str]]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the images of each folder with a mask's name, and the other images of each class."""
    folders: dict[str, list[str]] = defaultdict(list)
    class_of: dict[str, str] = {}
    photos: dict[str, list[str]] = defaultdict(list)
    for class_name, images in classes.items():
        for image in images:
            folder = _mask_folder(image)
            (photos[class_name] if folder is None else folders[folder]).append(image)
            class_of[image] = class_name
    for folder in [one for one in folders if not _is_whole(one)]:
        if not _is_black_and_white(root, folders[folder]):
            for image in folders.pop(folder):
                photos[class_of[image]].append(image)
    return folders, photos


def masks_text(masks: Iterable[str]) -> list[str]:
    """Return how many masks each folder holds, such as ``defect/ (12 masks)``."""
    counts: dict[str, int] = defaultdict(int)
    for name in masks:
        counts[str(PurePosixPath(name).parent)] += 1
    return [
        f"{folder}/ ({count} {'mask' if count == 1 else 'masks'})"
        for folder, count in sorted(counts.items())
    ]


def _mask_folder(image: str) -> str | None:
    """Return the outermost folder of an image that has a mask's name, such as ``hole/masks``.

    A name that is the word alone goes before a name that merely holds the word.
    """
    parents = PurePosixPath(image).parts[:-1]
    for pattern in (_WHOLE, _PARTLY):
        for depth, name in enumerate(parents, start=1):
            if pattern.fullmatch(name.casefold()):
                return "/".join(parents[:depth])
    return None


def _is_whole(folder: str) -> bool:
    return _WHOLE.fullmatch(PurePosixPath(folder).name.casefold()) is not None


def _of_folder(
    root: Path, name: str, images: list[str], others: Sequence[str], rule: MaskRule
) -> list[str]:
    """Return all images of a folder with a mask's name, or none of them."""
    if rule == "drop":
        return images
    if not others:
        return []
    if _is_black_and_white(root, images) and not _is_black_and_white(root, others):
        return images
    if not _is_whole(name):
        return []
    stems = {_stem(image) for image in others}
    share = sum(_is_of_a_photo(image, stems) for image in images) / len(images)
    word = PurePosixPath(name).name.casefold()
    beside = {PurePosixPath(image).parent.name.casefold() for image in others}
    # Beside "no_mask", the name "mask" is that of a class.
    if share >= _ENOUGH and not any(one.endswith(word) or one.startswith(word) for one in beside):
        return images
    if share:
        raise _doubtful(
            root, f"the folder {name!r}, {share:.0%} of whose images have a photo's name"
        )
    if word.startswith("thumb") and stems.issuperset(_stem(image) for image in images):
        raise _doubtful(root, f"the folder {name!r}, all of whose images have a photo's number")
    return []


def _of_files(root: Path, images: Sequence[str], rule: MaskRule) -> list[str]:
    """Return the images of a class with a mask's ending."""
    places = {(_folder(image), _stem(image)) for image in images}
    twins = _twins(root, images)
    ending = {image: match for image in images if (match := _ENDING.fullmatch(_stem(image)))}
    if rule == "drop":
        return sorted({*ending, *twins})
    paired = [one for one, match in ending.items() if (_folder(one), match[1]) in places]
    alone = sorted(set(ending) - set(paired))
    if paired and alone:
        raise _doubtful(root, f"{alone[0]!r}, which is called a mask but lies beside no photo")
    return sorted({*paired, *twins})


def _twins(root: Path, images: Sequence[str]) -> list[str]:
    """Return the black and white images beside a photo of the same name: 7.png beside 7.jpg."""
    num_of = Counter((_folder(image), _stem(image)) for image in images)
    of_suffix: dict[str, list[str]] = defaultdict(list)
    for image in images:
        if num_of[_folder(image), _stem(image)] > 1:
            of_suffix[PurePosixPath(image).suffix.casefold()].append(image)
    masks = [of for of in of_suffix.values() if _is_black_and_white(root, of)]
    return [] if len(masks) == len(of_suffix) else [image for of in masks for image in of]


def _doubtful(root: Path, what: str) -> DataError:
    return DataError(
        f"{root} holds {what}. Only you know whether it is a photo: give --masks drop to leave out "
        "whatever has a mask's name, or --masks keep to take every image."
    )


def _is_of_a_photo(image: str, stems: set[str]) -> bool:
    """Whether an image has the name of a photo.

    A bare number such as ``0007`` says nothing, because many folders number their images.
    """
    stem = _stem(image)
    match = _ENDING.fullmatch(stem)
    return match[1] in stems if match else not stem.isdigit() and stem in stems


def _is_black_and_white(root: Path, images: Sequence[str]) -> bool:
    """Whether most of some images have black and white pixels alone."""
    step = max(1, len(images) // _NUM_LOOKED_AT)
    seen = images[::step][:_NUM_LOOKED_AT]
    return sum(_has_two_values(root / image) for image in seen) > len(seen) / 2


def _has_two_values(file: Path) -> bool:
    values = grey_values(file)
    between = np.count_nonzero((values > _NEAR_ENDS) & (values < 255 - _NEAR_ENDS))
    return bool(between <= values.size // 50) or len(np.unique(values)) == 2


def _stem(image: str) -> str:
    return PurePosixPath(image).stem.casefold()


def _folder(image: str) -> str:
    return str(PurePosixPath(image).parent)
