"""The training images that a user names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agad.data.library import Library
from agad.data.manifest import Manifest
from agad.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedImages:
    """Training images that a user named, with the labels of all training images."""

    names: Sequence[str]
    """The names as the user gave them."""

    indices: NDArray[np.intp]
    """Place of each image in the training part."""

    labels: NDArray[np.int64]
    """Class of every image of the training part, shape ``(num_images,)``."""


def find_named(
    field: str, names: Sequence[str], manifest: Manifest, library: Library
) -> NamedImages:
    """Find the training images that names stand for. No pixels are read.

    A name is that of an image, or the end of it from a ``/`` on if no other image has that end.

    Args:
        field: Where the names were given, for the error.
        names: The names.
        manifest: The data set.
        library: Holds the data set.

    Raises:
        ConfigError: A name is of no training image, of several, or two names are of one image.
        StoreError: The store cannot be reached.
    """
    known, labels = library.names_of(manifest, "train")
    places = _by_end(known)
    found: dict[int, str] = {}
    for name in names:
        here = places.get(name, [])
        exact = [place for place in here if known[place] == name] or here
        if len(exact) != 1:
            why = _why(name, [known[place] for place in exact], manifest, library)
            raise ConfigError(f"{field} names {name!r}, {why or _unknown(manifest, known)}")
        (place,) = exact
        if place in found:
            raise ConfigError(
                f"{field} names {found[place]!r} and {name!r}, which are one image of "
                f"{manifest.name}; name it once."
            )
        found[place] = name
    return NamedImages(names=names, indices=np.array([*found], np.intp), labels=labels)


def _by_end(names: Iterable[str]) -> Mapping[str, list[int]]:
    """Return the places of the images by each end of their names that begins after a ``/``."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(names):
        parts = name.split("/")
        for start in range(len(parts)):
            places["/".join(parts[start:])].append(place)
    return places


def _unknown(manifest: Manifest, known: Sequence[str]) -> str:
    return f"but {manifest.name} has no such image; its names are such as {known[0]}."


def _why(name: str, alike: Sequence[str], manifest: Manifest, library: Library) -> str:
    """Return why a name stands for no training image; empty if no image has it."""
    if alike:
        return (
            f"but {manifest.name} has several images of this name, such as "
            f"{' and '.join(alike[:2])}; name more of the path."
        )
    dropped = next((one for one in manifest.dropped if one.name == name), None)
    if dropped is not None:
        return (
            f"but {manifest.name} keeps this image out of training ({dropped.reason}: "
            f"{dropped.copy_of}); name another."
        )
    if name in _by_end(library.names_of(manifest, "test")[0]):
        return (
            f"which is an image of the test part of {manifest.name}, but labelled anomalies must "
            "be training images; name others."
        )
    return ""
