"""The manifest of an imported data set: the facts that are known without opening images."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass

from agad.config import typed
from agad.data.images import Part
from agad.data.readers.layout import NORMAL_NAMES
from agad.data.readers.values import ValueRange
from agad.data.resize import FILTERS, FITS, SIZES, Fit
from agad.errors import ConfigError, DataError

FORMAT_VERSION = 2
"""Grows when an older version could no longer read what a newer one writes."""

_SINCE_VERSION_2: dict[str, object] = {"fit": "stretch", "value_range": None}
"""Fields that version 1 lacks, and their values there. A manifest with these values is written as
version 1, so that earlier releases read on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPart:
    """The training or the test images, one file in the store."""

    sha256: str
    """SHA-256 of the whole Arrow file, in hexadecimal; names the file."""

    num_bytes: int
    """Bytes of the whole Arrow file."""

    class_counts: tuple[int, ...]
    """Images of each class, in order of the label."""

    @property
    def num_images(self) -> int:
        """Images of all classes."""
        return sum(self.class_counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """An image that was kept out of training."""

    name: str
    reason: str
    """``in the test part``, ``of two classes`` or ``copy``."""

    copy_of: str
    """Name of another image with the same pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """An imported data set. A manifest never changes: other content has another name."""

    name: str
    class_names: tuple[str, ...]
    """Names in order of the label."""

    channels: int
    image_px: int
    """Height and width of the images."""

    num_val_anomalies: int
    """Labelled validation anomalies if the study names no number."""

    fingerprint: str
    """SHA-256 of class names, shapes, pixels and labels of both parts, in hexadecimal."""

    train: StoredPart
    test: StoredPart
    source: str
    """The format, and what was read."""

    resize: str
    """The resizing: from which size to which, and how."""

    filter: str = "bilinear"
    """Pillow's filter that brings other pictures to this size, one of ``FILTERS``; the filter of
    the import if the import resized."""

    fit: Fit = "stretch"
    """What other pictures that are not square become."""

    value_range: ValueRange | None = None
    """Values of other 16-bit pictures that become 0 and 255; None is all 16 bits."""

    test_split: str
    """``official``, or how the test part was chosen."""

    dropped: tuple[Dropped, ...] = ()
    """Images kept out of training because their pixels occur twice."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        return (self.channels, self.image_px, self.image_px)

    @property
    def normal_classes(self) -> tuple[int | str, ...]:
        """The classes that count as normal in turn if nobody names any.

        The class called ``good``, ``normal`` or ``ok``, else every class with training images, by
        its label.
        """
        if self.class_names[0].casefold() in NORMAL_NAMES:
            return self.class_names[:1]
        return self.trained_classes

    @property
    def trained_classes(self) -> tuple[int, ...]:
        """The labels of the classes with training images."""
        return tuple(label for label, num in enumerate(self.train.class_counts) if num)

    def part(self, part: Part) -> StoredPart:
        """Return one of the two parts."""
        return self.train if part == "train" else self.test

    def label_of(self, field: str, given: int | str) -> int:
        """Return the label of a class that is given by its label or by its name.

        Args:
            field: Where it was given, for the error.
            given: A label, or one of ``class_names``.

        Raises:
            ConfigError: The data set has no such class.
        """
        if isinstance(given, str) and given in self.class_names:
            return self.class_names.index(given)
        is_name = str(given) in self.class_names
        if isinstance(given, int) and 0 <= given < len(self.class_names):
            if not is_name or self.class_names[given] == str(given):
                return given
            raise ConfigError(
                f"{field} holds {given}, which is a label of {self.name} and the name of another "
                f"class; give {str(given)!r} for the name, or {self.class_names[given]!r} for the "
                "label."
            )
        names = ", ".join(f"{label} {name}" for label, name in enumerate(self.class_names))
        raise ConfigError(
            f"{field} holds {given!r}, but {self.name} has the classes {names}; give a label or "
            "a name."
        )

    def to_json(self, token: str = "") -> bytes:
        """Return the manifest as a JSON document.

        Args:
            token: Tells the document from the document of another import; ``from_json`` ignores the
                token.
        """
        values = dataclasses.asdict(self)
        version = FORMAT_VERSION
        if all(values[name] == default for name, default in _SINCE_VERSION_2.items()):
            values = {name: of for name, of in values.items() if name not in _SINCE_VERSION_2}
            version = 1
        values = {"format_version": version, "token": token} | values
        return json.dumps(values, indent=2, sort_keys=True).encode()

    @classmethod
    def from_json(cls, text: bytes, where: str) -> Manifest:
        """Read a manifest.

        Args:
            text: The document.
            where: Where the document is, for the error.

        Raises:
            DataError: The document is damaged, or was written by a newer version.
        """
        try:
            values = json.loads(text)
            version = values.pop("format_version")
            values.pop("token", None)
            if version in (1, FORMAT_VERSION):
                # Every version wrote these two, although they have defaults.
                _ = values["filter"], values["dropped"]
                manifest = typed(cls, values, only_known=True)
                _check(manifest)
                return manifest
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"{where} is no manifest of a data set ({error!r}); import the data set again "
                "under another name."
            ) from error
        raise DataError(
            f"{where} has format version {version!r}, but this version reads {FORMAT_VERSION}; "
            "install a newer agad."
        )


def _check(manifest: Manifest) -> None:
    """Refuse values that no import writes: whoever can write the store wrote the manifest."""
    if manifest.filter not in FILTERS or manifest.image_px not in SIZES:
        raise ValueError(f"filter {manifest.filter!r}, size {manifest.image_px!r}")
    if manifest.fit not in FITS:
        raise ValueError(f"fit {manifest.fit!r}")
    if manifest.channels not in (1, 3):
        raise ValueError(f"{manifest.channels!r} channels")
    # A digest names a file: what leaves its folder is no digest.
    for digest in (manifest.fingerprint, manifest.train.sha256, manifest.test.sha256):
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise ValueError(f"SHA-256 {digest!r}")
    for part in (manifest.train, manifest.test):
        num_classes = len(part.class_counts)
        # An image takes more than a byte, so no count can ask for more memory than its file has.
        if num_classes != len(manifest.class_names) or part.num_images > part.num_bytes:
            raise ValueError(f"{part.num_images} images of {num_classes} classes")
