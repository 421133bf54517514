"""The frozen encoders of a study: resolved before any work, and part of what the study is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agad.config import DetectorConfig, typed
from agad.encoders import FILE_SUFFIX, EncoderReference
from agad.errors import ConfigError
from agad.objects import ObjectStore
from agad.records import encoder_key


class StudyEncoders:
    """What each encoder's name stands for, the same for every trial of a study.

    A user's own file is looked for on this machine. If the file is not here, but the study is
    stored and the store holds the weights that the study was started with, those count.
    """

    def __init__(self, objects: ObjectStore, kept: Mapping[str, Any] | None = None) -> None:
        """Resolve nothing yet.

        Args:
            objects: The study's store, which holds users' own weights.
            kept: The configuration that the study's memory keeps; None for a new study.
        """
        self._objects = objects
        self._kept: Mapping[str, Any] = (kept or {}).get("encoders", {})
        self._found: dict[str, EncoderReference] = {}
        """At their native sizes, by name."""

        self._checked: set[tuple[str, tuple[str, ...]]] = set()
        """Encoders and layers that the encoders have, by name."""

    def of(self, detector: DetectorConfig, image_px: int) -> EncoderReference | None:
        """Return the encoder of a detector for pictures of a size; None for a detector of pictures.

        Args:
            detector: The detector.
            image_px: Height and width of the stored pictures.

        Raises:
            ConfigError: The name stands for no encoder that can be used here, or for one without
                the detector's layers.
            DataError: A user's own file does not hold the weights that its header tells.
            StoreError: The store cannot be reached.
        """
        taken = detector.input()
        name = taken.encoder
        if not name:
            return None
        if name not in self._found:
            self._found[name] = self._resolved(name)
        if taken.layers and (name, tuple(taken.layers)) not in self._checked:
            self._check_layers(name, tuple(taken.layers))
        return self._found[name].suited_to(image_px)

    def _check_layers(self, name: str, layers: tuple[str, ...]) -> None:
        from agad.encoders.networks import check_layers

        check_layers(self._found[name], layers)
        self._checked.add((name, layers))

    def _resolved(self, name: str) -> EncoderReference:
        # Importing this imports the networks, which a study of pictures never needs.
        from agad.encoders.networks import find_encoder

        path = Path(name).expanduser()
        if not name.endswith(FILE_SUFFIX) or path.is_file() or name not in self._kept:
            return find_encoder(name)
        kept = typed(EncoderReference, self._kept[name])
        if not self._objects.list(encoder_key(kept.sha256)):
            raise ConfigError(
                f"the encoder is {name}, but there is no such file here, and "
                f"{self._objects.uri} has lost its weights ({encoder_key(kept.sha256)}); put the "
                "file back, or restore the object from a copy."
            )
        return kept

    def as_json(self) -> dict[str, Any]:
        """Return what every resolved name stands for, as ``study.json`` keeps it."""
        return {name: dataclasses.asdict(one) for name, one in sorted(self._found.items())}

    def put_files(self) -> None:
        """Put users' own files into the store, so that workers fetch them as data.

        Raises:
            DataError: The store's object, or a file by now, holds other bytes.
            StoreError: The store cannot be reached.
        """
        from agad.encoders.features import put_encoder

        for name, one in self._found.items():
            path = Path(name).expanduser()
            if one.is_stored and path.is_file():
                put_encoder(one, path, self._objects)
