"""Importing a data set: read once from its own files, kept for good in a store."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agad.data.catalogue import KNOWN
from agad.data.images import PARTS, Part, Source
from agad.data.library import Library
from agad.data.manifest import Manifest, StoredPart
from agad.data.partfile import write_part
from agad.data.partition import Partition, partition
from agad.data.recipe import ImportOptions, Recipe, find_recipe
from agad.errors import AgadError, DataError

_BUNDLED = "digits"
"""The data set that comes with scikit-learn: a study imports it by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The result of an import."""

    manifest: Manifest
    is_new: bool
    """False if exactly this data set was in the store before."""

    ignored: tuple[str, ...]
    """Files in the folder that are no images, and masks and folders that were left out."""

    notes: tuple[str, ...]
    """Sentences that a user should read: the pictures' shapes, and the copies in the test part."""


def import_dataset(
    name: str, path: Path | None, library: Library, options: ImportOptions
) -> Imported:
    """Read a data set and keep it in a store; a repeated import is kept once.

    Duplicates of official files are kept out of training; in other files they are an error, unless
    the options say otherwise.

    Args:
        name: What studies call it; the name of a known data set brings its format and classes.
        path: A folder or file to read; None for the data set that comes with scikit-learn.
        library: Where to keep it.
        options: How it is read.

    Raises:
        ConfigError: The name, the path or an option is not allowed.
        DataError: A file is damaged, or another data set of this name is kept.
        StoreError: The store cannot be reached.
    """
    recipe = find_recipe(name, path, options)
    source, resize = recipe.read()
    parts = partition(
        source,
        options.test,
        keeps_duplicates_out=options.drop_duplicates or recipe.is_official,
    )
    if parts.test_split == "official" and not options.keep_split:
        _check_several_classes(source, parts)
    with _temporary_folder() as folder:
        files: dict[Part, Path] = {part: folder / f"{part}.arrow" for part in PARTS}
        num_classes = len(source.class_names)
        train = write_part(files["train"], parts.train, num_classes)
        test = write_part(files["test"], parts.test, num_classes)
        manifest = Manifest(
            name=name,
            class_names=source.class_names,
            channels=parts.train.images.pixels.shape[1],
            image_px=parts.train.images.pixels.shape[2],
            num_val_anomalies=_num_val_anomalies(recipe, name, train),
            fingerprint=_fingerprint(source.class_names, parts),
            train=train,
            test=test,
            source=_described(recipe),
            resize=resize,
            filter=recipe.filter,
            fit=recipe.fit,
            value_range=recipe.value_range,
            test_split=parts.test_split,
            dropped=parts.dropped,
        )
        is_new = library.put(manifest, files)
    kept = manifest if is_new else library.manifest(name)
    return Imported(
        manifest=kept,
        is_new=is_new,
        ignored=source.ignored,
        notes=(*source.notes, *parts.notes),
    )


def _check_several_classes(source: Source, parts: Partition) -> None:
    """Refuse a training part of one class, as in MVTec's own split, before the name is taken."""
    labels = np.unique(parts.train.images.labels)
    if len(labels) == 1:
        raise DataError(
            f"the training part holds the class {source.class_names[labels[0]]!r} alone, so a "
            "study finds no labelled anomaly to select by. Give --test-share 0.5 to choose a test "
            "part from all images, or --keep-split for studies that select without labels."
        )


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """Make a folder that ends with the block; any error of the disk becomes one error."""
    try:
        with tempfile.TemporaryDirectory(prefix="agad-import-") as folder:
            yield Path(folder)
    except AgadError:
        raise
    except OSError as error:
        raise DataError(
            f"{tempfile.gettempdir()} cannot hold the imported images "
            f"({error.strerror or error}); name a larger folder in TMPDIR."
        ) from error


def find_manifest(library: Library, name: str) -> Manifest:
    """Return a data set's manifest; a missing data set that needs no files is imported.

    Raises:
        ConfigError: The store holds no data set of this name.
    """
    if name == _BUNDLED and name not in library.names():
        import_dataset(name, None, library, ImportOptions())
    return library.manifest(name)


def _described(recipe: Recipe) -> str:
    # Only the last part of the path: the rest says more about the user than about the data.
    return f"{recipe.format} {recipe.path.name}".rstrip()


def _num_val_anomalies(recipe: Recipe, name: str, train: StoredPart) -> int:
    if recipe.is_official:
        return KNOWN[name].num_val_anomalies
    return min(100, max(1, train.num_images // 20))


def _fingerprint(class_names: tuple[str, ...], parts: Partition) -> str:
    digest = hashlib.sha256(json.dumps(class_names).encode())
    for part in (parts.train, parts.test):
        digest.update(repr(part.images.pixels.shape).encode())
        digest.update(np.ascontiguousarray(part.images.pixels).data)
        digest.update(part.images.labels.astype("<i8").data)
    return digest.hexdigest()
