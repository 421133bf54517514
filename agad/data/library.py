"""Imported data sets, kept in a store beside the studies: a manifest and two files each."""

from __future__ import annotations

import difflib
import re
import uuid
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agad.data.cache import NodeCache
from agad.data.images import PARTS, Images, Part
from agad.data.manifest import Manifest
from agad.data.partfile import read_names
from agad.errors import ConfigError, DataError
from agad.objects import MissingObjectError, ObjectStore, check_conditional_put, open_objects
from agad.records import DATASETS_PREFIX, dataset_file_key, dataset_manifest_key, dataset_of

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


def check_dataset_name(name: str) -> None:
    """Refuse a text that cannot name a data set.

    Raises:
        ConfigError: The name holds forbidden characters, or too many.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"data set name is {name!r}, but must start with a lower-case letter or digit and hold "
            "only those, '.', '_' and '-', at most 100 of them."
        )


class Library:
    """The data sets of one store. A kept data set never changes."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    @property
    def uri(self) -> str:
        """URI of the store."""
        return self._objects.uri

    @property
    def objects(self) -> ObjectStore:
        """The store."""
        return self._objects

    def names(self) -> list[str]:
        """Return the names of the data sets, sorted."""
        names = map(dataset_of, self._objects.list(DATASETS_PREFIX))
        return sorted(name for name in names if name is not None)

    def manifest(self, name: str) -> Manifest:
        """Return a data set's manifest; opens no images.

        Raises:
            ConfigError: The store holds no data set of this name.
            DataError: Its manifest is damaged.
        """
        check_dataset_name(name)
        key = dataset_manifest_key(name)
        try:
            text = self._objects.get(key)
        except MissingObjectError:
            raise ConfigError(self._missing(name)) from None
        manifest = Manifest.from_json(text, f"{self.uri}/{key}")
        if manifest.name != name:
            raise DataError(f"{self.uri}/{key} is the manifest of {manifest.name!r}; restore it.")
        return manifest

    def names_of(self, manifest: Manifest, part: Part) -> tuple[list[str], NDArray[np.int64]]:
        """Return the name and the label of each image of a part, without fetching the images.

        Raises:
            DataError: The part's file is damaged.
            StoreError: The store cannot be reached.
        """
        key = _file_key(manifest, part)
        with self._objects.open(key) as file:
            return read_names(file, f"{self.uri}/{key}")

    def put(self, manifest: Manifest, files: dict[Part, Path]) -> bool:
        """Keep a data set; whoever reads its manifest finds its files.

        Args:
            manifest: The data set's manifest.
            files: The file of each part.

        Returns:
            Whether the data set is new: False if exactly this one was kept before.

        Raises:
            DataError: Another data set of this name is kept.
            StoreError: The store cannot be reached, or its conditional put does not work.
        """
        if manifest.name in self.names():
            self._check_same(manifest)
            return False
        check_conditional_put(self._objects)
        for part in PARTS:
            key = _file_key(manifest, part)
            if not self._objects.put_file_if_absent(key, files[part]):
                raise DataError(
                    f"{self.uri}/{key} holds other bytes than its name says; remove it, and import "
                    "the data set again."
                )
        # If equal imports run at once, the token lets only one find its own document.
        document = manifest.to_json(token=uuid.uuid4().hex)
        if self._objects.put_if_absent(dataset_manifest_key(manifest.name), document):
            return True
        self._check_same(manifest)  # Another import was faster.
        return False

    def remove(self, name: str) -> int:
        """Remove a data set for good, also if its manifest is damaged; its name is free then.

        Returns:
            How many bytes its objects had.

        Raises:
            ConfigError: The store holds no data set of this name.
            StoreError: The store cannot be reached.
        """
        check_dataset_name(name)
        sizes = self._objects.sizes(f"{DATASETS_PREFIX}{name}/")
        manifest = dataset_manifest_key(name)
        if manifest not in sizes:
            raise ConfigError(self._missing(name))
        # The manifest goes first: whoever reads a manifest finds its files.
        for key in (manifest, *(key for key in sizes if key != manifest)):
            self._objects.delete(key)
        return sum(sizes.values())

    def _check_same(self, manifest: Manifest) -> None:
        if self.manifest(manifest.name).fingerprint != manifest.fingerprint:
            raise DataError(
                f"data set {manifest.name!r} is in {self.uri} already and holds other images; "
                "import this one under another name, or remove the other one first with agad data "
                f"remove {manifest.name}."
            )

    def _missing(self, name: str) -> str:
        names = self.names()
        close = difflib.get_close_matches(name, names, n=1)
        hint = (
            f"do you mean {close[0]!r}?"
            if close
            else f"import it: agad data import {name} --from PATH --store {self.uri}"
        )
        return (
            f"data set {name!r} is not in {self.uri}, which holds: {', '.join(names) or 'none'}; "
            f"{hint}"
        )


def open_images(manifest: Manifest, part: Part, *, store: str, cache: NodeCache) -> Images:
    """Map the images of one part into memory, through this node's cache.

    The other part's file is not fetched. If the cache holds the file, the store is not even
    connected.

    Args:
        manifest: The data set.
        part: The only part that is opened.
        store: URI of the store that holds it.
        cache: This node's cache.

    Raises:
        DataError: The cache cannot hold the file, or the store's object was changed.
        StoreError: The store cannot be reached.
    """
    key = _file_key(manifest, part)
    return cache.open(manifest.part(part), lambda path: open_objects(store).get_file(key, path))


def _file_key(manifest: Manifest, part: Part) -> str:
    return dataset_file_key(manifest.name, manifest.part(part).sha256)
