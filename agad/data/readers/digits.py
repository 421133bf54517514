"""Scikit-learn's bundled digits: 1,797 real scans of 8 x 8 pixels, without an official split."""

from __future__ import annotations

import numpy as np

from agad.data.images import Source
from agad.data.readers.numbered import numbered_classes, numbered_images

_LEVELS = 16
"""A pixel counts how many of 4 x 4 scanned points are dark: 0 to 16."""


def read_digits() -> Source:
    """Return all digits as the one part ``train``, scaled to 0..255."""
    # scikit-learn takes a second to import, and no other data set needs it.
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / _LEVELS)).astype(np.uint8)[:, None]
    labels = bunch.target.astype(np.int64)
    return Source(
        class_names=numbered_classes(labels),
        parts={"train": numbered_images("train", pixels, labels)},
    )
