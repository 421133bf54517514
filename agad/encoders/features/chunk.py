"""Files of features: those of some images, written once and never changed.

A file is safetensors with two tensors: ``images`` (int64, ``(num_images,)``, places in the part)
and ``features`` (float32, ``(num_images, D)`` for global features, ``(num_images, C, H, W)`` for
maps). Its metadata hold the ``FeatureKey``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from agad.encoders.features.key import FeatureKey
from agad.errors import DataError

_KEY = "key"


def chunk_bytes(key: FeatureKey, images: NDArray[np.int64], features: NDArray[np.float32]) -> bytes:
    """Return a file's bytes, which are the same for the same features.

    Args:
        key: What the features are features of.
        images: Places of the images in their part, shape ``(num_images,)``.
        features: Shape ``(num_images, ...)``.
    """
    tensors: dict[str, NDArray[Any]] = {
        "images": images,
        "features": np.ascontiguousarray(features),
    }
    return save(tensors, {_KEY: key.to_json()})


@dataclass(slots=True)
class Rows:
    """Features of the images that somebody wants, as far as they were found."""

    wanted: NDArray[np.int64]
    """Places of the images in their part, ascending, each once."""

    is_found: NDArray[np.bool_]
    """Shape of ``wanted``."""

    values: NDArray[np.float32] | None = None
    """Shape ``(len(wanted), ...)``; None before the first are found."""

    @classmethod
    def of(cls, indices: NDArray[np.int64]) -> Rows:
        """Want the features of some images."""
        wanted = np.unique(indices)
        return cls(wanted, np.zeros(len(wanted), np.bool_))

    @property
    def missing(self) -> NDArray[np.int64]:
        """The images without features so far, ascending."""
        return self.wanted[~self.is_found]

    def places(self, indices: NDArray[np.integer]) -> NDArray[np.intp]:
        """Return the row of each image among ``values``; the images are ``wanted``."""
        return np.searchsorted(self.wanted, indices)

    def take(self, images: NDArray[np.int64], features: NDArray[np.float32]) -> None:
        """Take over what is wanted and not yet found.

        Raises:
            ValueError: The features have another shape than those found before.
        """
        places, is_wanted = self._places(images)
        if not is_wanted.any():
            return
        if self.values is None:
            self.values = np.zeros((len(self.wanted), *features.shape[1:]), np.float32)
        if features.shape[1:] != self.values.shape[1:]:
            raise ValueError(f"features of shape {features.shape[1:]}")
        self.values[places[is_wanted]] = features[is_wanted]
        self.is_found[places[is_wanted]] = True

    def take_file(self, path: Path, key: FeatureKey) -> None:
        """Take over what is wanted of a file.

        Raises:
            FileNotFoundError: There is no such file.
            DataError: The file is damaged, or holds features of something else.
        """
        try:
            with safe_open(str(path), framework="numpy") as file:
                if (file.metadata() or {}).get(_KEY) != key.to_json():
                    raise ValueError("its key is another")
                images = file.get_tensor("images")
                if self._places(images)[1].any():
                    self.take(images, _checked(file.get_tensor("features"), len(images)))
        except (SafetensorError, ValueError, TypeError, IndexError) as error:
            raise DataError(f"{path} holds no features of this study ({error}).") from error

    def _places(self, images: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return the place of each image in ``wanted``, and whether it is wanted and not found."""
        if images.ndim != 1 or images.dtype != np.int64:
            raise ValueError(f"images are {images.dtype} of shape {images.shape}")
        places = np.searchsorted(self.wanted, images).clip(max=max(0, len(self.wanted) - 1))
        if len(self.wanted) == 0:
            return places, np.zeros(len(images), np.bool_)
        return places, (self.wanted[places] == images) & ~self.is_found[places]


def _checked(features: NDArray[np.float32], num_images: int) -> NDArray[np.float32]:
    if features.dtype != np.float32 or features.ndim < 2 or len(features) != num_images:
        raise ValueError(f"features are {features.dtype} of shape {features.shape}")
    return features
