"""How long the features of a study's images take, timed on a batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agad.encoders import EncoderReference
from agad.study.cell_data import CellData
from agad.trial import Runtime, seconds_per_image


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureTime:
    """The features that a study needs, if nobody has computed any."""

    num_images: int
    """Distinct images, summed over the encoders, their layers and the data sets."""

    seconds: float
    """Seconds of one process that computes them all."""


def feature_time(cell_data: Iterable[CellData], runtime: Runtime) -> FeatureTime:
    """Count the images whose features a study needs, and time a batch for each encoder.

    Args:
        cell_data: The data of the study's cells.
        runtime: Where the weights are, and what computes.

    Raises:
        ConfigError: An encoder cannot be used here.
        StoreError: The store cannot be reached.
    """
    used: dict[_Need, list[NDArray[np.intp]]] = defaultdict(list)
    num_test: dict[_Need, int] = {}
    for searching in cell_data:
        for one in (searching, *searching.classes):
            spec = one.middle_spec()
            if spec.encoder is None:
                continue
            one.encoders.put_files()
            need = (spec.encoder, spec.detector.input().layers, one.data.name, one.data.channels)
            used[need].append(one.train_images)
            num_test[need] = one.data.test.num_images
    counts = {
        need: num_test[need] + len(np.unique(np.concatenate(images)))
        for need, images in used.items()
    }
    return FeatureTime(
        num_images=sum(counts.values()),
        seconds=sum(
            num * seconds_per_image(encoder, layers, channels, runtime)
            for (encoder, layers, _, channels), num in counts.items()
        ),
    )


_Need = tuple[EncoderReference, tuple[str, ...], str, int]
"""Encoder, its layers, name of the data set, channels of its images."""
