"""Features of a study's images: computed once, kept in the store and in each node's cache."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agad.data import CachedFile, Manifest, NodeCache, Part, mark_used, on_device, open_images
from agad.encoders.features.chunk import Rows, chunk_bytes
from agad.encoders.features.key import FeatureKey
from agad.encoders.features.stored_encoder import open_stored_encoder
from agad.encoders.networks.encoder import BATCH_SIZE, Encoder, joined
from agad.encoders.networks.protocol import GLOBAL, layers_of
from agad.encoders.reference import EncoderReference
from agad.errors import ConfigError, DataError
from agad.objects import open_objects
from agad.records import features_key, features_prefix, features_sha256

logger = logging.getLogger(__name__)

CHUNK_IMAGES = 512
"""Most images of one file of features: what is lost if the process that computes it is killed."""

_MOST_SHARES = 16
"""Processes of one node that compute at once, at most; each has one thread or a few."""

_CHUNK_BYTES = 32 * 2**20
"""A file of features ends with the batch that reaches this size: maps have many numbers."""

OnProgress = Callable[[int, int], None]
"""Called with the images whose features are there, and the images whose features were missing."""


@dataclass(slots=True, kw_only=True)
class FeatureReader:
    """Reads features of a data set's images, and computes those that nobody has computed.

    Any number of processes on any number of nodes read at once. On a node without a GPU, the
    processes that miss the same features share the work, and each finds in the cache what another
    computed; on a GPU, one computes at a time. If two processes compute the features of
    one image, either result counts.

    Example:
        >>> reader = FeatureReader(
        ...     encoder=find_encoder("efficientnet-lite0", image_px=96), data=manifest,
        ...     store="/a/store", cache=NodeCache(), sees_test=False,
        ... )  # doctest: +SKIP
        >>> reader.read("train", np.array([5, 0, 7])).shape  # doctest: +SKIP
        (3, 1280)
    """

    encoder: EncoderReference
    data: Manifest
    store: str
    """URI of the store that holds the images, and the features beside them."""

    cache: NodeCache
    """This node's cache."""

    sees_test: bool
    """Whether the trial may see the test part; a search never does."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    """Where features are computed."""

    compute_s: float = field(default=0.0, init=False)
    """Seconds that this reader spent on computing features, opening the encoder included."""

    num_computed: int = field(default=0, init=False)
    """Images whose features this reader computed."""

    _opened: Encoder | None = field(default=None, init=False, repr=False)

    def read(
        self,
        part: Part,
        indices: NDArray[np.integer],
        *,
        output: str = GLOBAL,
        on_progress: OnProgress | None = None,
    ) -> NDArray[np.float32]:
        """Return the features of some images, and compute no others.

        If the node's cache holds them all, neither the store nor the images nor the encoder are
        opened.

        Args:
            part: The part of the images.
            indices: Places of the images in the part, shape ``(num_images,)``, in any order.
            output: ``global``, or some of the encoder's layers as ``output_of`` joins them.
            on_progress: Called after every file of features that was missing, from any process.

        Returns:
            Shape ``(num_images, D)`` for ``global``, ``(num_images, C, H, W)`` for layers.

        Raises:
            ConfigError: The test part is asked for in a search, an index is not in the part, or
                the encoder cannot be used here.
            DataError: The cache cannot hold the files, or an object of the store was changed.
            StoreError: The store cannot be reached.
        """
        reading = self.reading(part, indices, output=output)
        while True:
            try:
                num_done, num_missing = next(reading)
            except StopIteration as stop:
                rows: Rows = stop.value
                break
            if on_progress is not None and num_done:
                on_progress(num_done, num_missing)
        assert rows.values is not None
        return rows.values[rows.places(indices)]

    def reading(
        self, part: Part, indices: NDArray[np.integer], *, output: str = GLOBAL
    ) -> Generator[tuple[int, int], None, Rows]:
        """Do as ``read``, in steps: one before missing features, and one after each file of them.

        Args:
            part: As ``read`` takes it.
            indices: As ``read`` takes them.
            output: As ``read`` takes it.

        Yields:
            The missing images whose features are there now, and all that were missing.

        Returns:
            One row for each image, however often it was asked for.
        """
        self._check(part, indices)
        key = FeatureKey(
            data_fingerprint=self.data.fingerprint,
            part=part,
            encoder=self.encoder,
            output=output,
        )
        rows = Rows.of(indices.astype(np.int64))
        seen: set[str] = set()
        self._take_cached(rows, key, seen)
        if len(rows.missing):
            self._take_stored(rows, key, seen)
        num_missing = len(rows.missing)
        if num_missing:
            yield 0, num_missing
        while len(rows.missing):
            num_shares = self._num_shares(len(rows.missing))
            names = [f"features-{key.digest}-{share}" for share in range(num_shares)]
            with self.cache.exclusively(*names) as share:
                self._take_cached(rows, key, seen)  # What another process computed meanwhile.
                if len(rows.missing):
                    # Each share begins at another place. Only the last files of several shares
                    # can hold the same images.
                    first = share * len(rows.missing) // num_shares
                    self._compute(rows, first, key, seen)
            yield num_missing - len(rows.missing), num_missing
        return rows

    def _num_shares(self, num_missing: int) -> int:
        """Return how many processes of this node compute at once: on a GPU, one."""
        if self.device.type != "cpu":
            return 1
        return max(1, min(_MOST_SHARES, num_missing // CHUNK_IMAGES))

    def _check(self, part: Part, indices: NDArray[np.integer]) -> None:
        if part == "test" and not self.sees_test:
            raise ConfigError(
                f"features of the test part of {self.data.name} were asked for by a trial that "
                "must not see it; a search reads the training part alone."
            )
        num_images = self.data.part(part).num_images
        if indices.ndim != 1 or not np.issubdtype(indices.dtype, np.integer) or not len(indices):
            raise ConfigError(
                f"indices are {indices.dtype} of shape {indices.shape}, but must be whole numbers "
                "of shape (num_images,), at least one."
            )
        if indices.min() < 0 or indices.max() >= num_images:
            raise ConfigError(
                f"indices are from {indices.min()} to {indices.max()}, but must be from 0 to "
                f"{num_images - 1}, the images of the {part} part of {self.data.name}."
            )

    def _take_cached(self, rows: Rows, key: FeatureKey, seen: set[str]) -> None:
        """Take what the cache's files hold; a damaged file is removed, and counts as missing."""
        with self.cache.usable():
            for path in self.cache.paths(_folder(key)):
                if path.stem in seen or not len(rows.missing):
                    continue
                try:
                    rows.take_file(path, key)
                except FileNotFoundError:  # Evicted meanwhile.
                    continue
                except DataError as error:
                    logger.warning("%s The file is removed, and fetched or computed again.", error)
                    path.unlink(missing_ok=True)
                    continue
                mark_used(path)
                seen.add(path.stem)

    def _take_stored(self, rows: Rows, key: FeatureKey, seen: set[str]) -> None:
        """Take what the store's files hold that the cache does not."""
        objects = open_objects(self.store)
        for name, num_bytes in objects.sizes(features_prefix(key.digest)).items():
            sha256 = features_sha256(key.digest, name)
            if sha256 is None or sha256 in seen or not len(rows.missing):
                continue

            def fetch(path: Path, name: str = name) -> None:
                objects.get_file(name, path)

            self.cache.read(
                _cached_file(key, sha256, num_bytes),
                fetch,
                lambda path: rows.take_file(path, key),
            )
            seen.add(sha256)

    def _compute(self, rows: Rows, first: int, key: FeatureKey, seen: set[str]) -> None:
        """Compute the features of some missing images, from a place of them on, and keep them.

        The store comes first: a process that is killed in between leaves nothing in the cache that
        the store lacks.
        """
        start = time.perf_counter()
        images, features = self._chunk(rows.missing[first : first + CHUNK_IMAGES], key)
        self.compute_s += time.perf_counter() - start
        self.num_computed += len(images)
        data = chunk_bytes(key, images, features)
        sha256 = hashlib.sha256(data).hexdigest()
        name = features_key(key.digest, sha256)
        if not open_objects(self.store).put_if_absent(name, data):
            raise DataError(
                f"{self.store}/{name} holds other bytes than its name says; remove it, and it is "
                "computed again."
            )
        self.cache.read(
            _cached_file(key, sha256, len(data)),
            lambda path: _write(path, data),
            lambda _: rows.take(images, features),
        )
        seen.add(sha256)

    def _chunk(
        self, indices: NDArray[np.int64], key: FeatureKey
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the first of some images, and their features, up to a file's size."""
        encoder = self._encoder()
        encoder.check_outputs(layers_of(key.output))
        opened = open_images(self.data, key.part, store=self.store, cache=self.cache)
        parts: list[NDArray[np.float32]] = []
        for batch in on_device(opened.pixels, indices, self.device).batches(BATCH_SIZE):
            parts.append(_in_full_batch(encoder, batch, key.output))
            if sum(part.nbytes for part in parts) >= _CHUNK_BYTES:
                break
        features = np.concatenate(parts)
        if not np.isfinite(features).all():
            raise DataError(
                f"features by the encoder {self.encoder.name} are not finite for some images of "
                f"{self.data.name}; use another encoder."
            )
        return indices[: len(features)], features

    def _encoder(self) -> Encoder:
        if self._opened is None:
            self._opened = open_stored_encoder(
                self.encoder, store=self.store, cache=self.cache, device=self.device
            )
        return self._opened


def _in_full_batch(encoder: Encoder, batch: Tensor, output: str) -> NDArray[np.float32]:
    """Return the features of a batch, filled up to the usual size with copies of its first image.

    So every image goes through the same kernels, whichever images are computed with it: its
    features do not depend on them, not even by rounding.
    """
    num_images = len(batch)
    filled = torch.cat([batch, batch[:1].expand(BATCH_SIZE - num_images, -1, -1, -1)])
    names = layers_of(output)
    outputs = encoder.outputs(filled, names)
    features = (outputs[output] if len(names) == 1 else joined(outputs, names))[:num_images]
    computed: NDArray[np.float32] = features.float().cpu().numpy()
    return computed


def _folder(key: FeatureKey) -> str:
    return f"features-{key.digest}"


def _cached_file(key: FeatureKey, sha256: str, num_bytes: int) -> CachedFile:
    path = f"{_folder(key)}/{sha256}.safetensors"
    return CachedFile(path=path, sha256=sha256, num_bytes=num_bytes)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
