"""What a detector takes of a part: its pictures, or the features of an encoder in their place."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agad.config import InputSpec
from agad.data import Images, Part, Subset, on_device
from agad.encoders.features import FeatureReader, Rows
from agad.encoders.networks import output_of
from agad.trial.trial_spec import Runtime, TrialSpec

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureProgress:
    """How far a trial's features are, after each file of features that was missing."""

    num_done: int
    """Missing images whose features are there now."""

    num_missing: int
    """Images whose features were missing at the start."""

    seconds: float
    """Seconds of the step, in which this trial computed, or waited for another that did."""

    @property
    def is_done(self) -> bool:
        """Whether no feature is missing any more."""
        return self.num_done == self.num_missing


Reading: TypeAlias = Generator[FeatureProgress, None, _T]
"""Reads something in steps, one for each file of features that was missing."""


def finished(reading: Reading[_T]) -> _T:
    """Return what a reading ends with, without a look at its steps."""
    while True:
        try:
            next(reading)
        except StopIteration as stop:
            found: _T = stop.value
            return found


class Inputs(Protocol):
    """What a detector takes of some images."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of what the detector takes of an image."""

    def subset(self, indices: NDArray[np.intp]) -> Subset:
        """Return some of the images, in the given order.

        Args:
            indices: Places of the images in the part, shape ``(num_images,)``.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pictures:
    pixels: NDArray[np.uint8]
    taken: InputSpec
    device: torch.device

    @property
    def shape(self) -> tuple[int, int, int]:
        channels, height, width = self.pixels.shape[1:]
        return self.taken.shape((channels, height, width))

    def subset(self, indices: NDArray[np.intp]) -> Subset:
        return on_device(self.pixels, indices, self.device, self.taken)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Features:
    rows: Rows
    values: Tensor
    """One row for each of ``rows.wanted``, ``(num_images, C, H', W')`` on the device."""

    @property
    def shape(self) -> tuple[int, int, int]:
        channels, height, width = self.values.shape[1:]
        return channels, height, width

    def subset(self, indices: NDArray[np.intp]) -> Subset:
        index = torch.from_numpy(self.rows.places(indices)).to(self.values.device)
        return Subset(images=self.values, index=index)


def reading_inputs(
    spec: TrialSpec, runtime: Runtime, part: Part, images: Images, used: NDArray[np.intp]
) -> Reading[Inputs]:
    """Read what a trial's detector takes of a part, in steps if features are missing.

    Args:
        spec: The trial.
        runtime: Where the trial runs.
        part: The part of the images.
        images: The part, opened.
        used: Places of all images that the trial uses, shape ``(num_images,)``; features of others
            are neither computed nor read.

    Raises:
        ConfigError: The encoder cannot be used here, or the trial must not see the part.
        DataError: The node's cache cannot hold the features, or they were changed in the store.
        StoreError: The store cannot be reached.
    """
    taken, device = spec.detector.input(), runtime.compute.torch_device
    if spec.encoder is None:
        return _Pictures(pixels=images.pixels, taken=taken, device=device)
    reader = FeatureReader(
        encoder=spec.encoder,
        data=spec.data,
        store=runtime.store,
        cache=runtime.cache,
        sees_test=spec.sees_test,
        device=device,
    )
    reading = reader.reading(part, used, output=output_of(taken.layers))
    while True:
        start = time.perf_counter()
        try:
            num_done, num_missing = next(reading)
        except StopIteration as stop:
            rows: Rows = stop.value
            break
        seconds = time.perf_counter() - start
        yield FeatureProgress(num_done=num_done, num_missing=num_missing, seconds=seconds)
    assert rows.values is not None
    values = torch.from_numpy(rows.values).to(device)
    # Global features are kept as (num_images, D).
    return _Features(rows=rows, values=values[:, :, None, None] if values.ndim == 2 else values)
