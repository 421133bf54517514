"""Scikit-learn's bundled digits: 1,797 real scans of 8 x 8 pixels, without an official split."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from agad.data.images import Images, Part

_LEVELS = 16
"""A pixel counts how many of 4 x 4 scanned points are dark: 0 to 16."""


def read_digits(part: Part) -> Images:
    """Return one part of the digits, scaled to 0..255: a third of each class is the test part."""
    # scikit-learn takes a second to import, and no other data set needs it.
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / _LEVELS)).astype(np.uint8)[:, None]
    labels = bunch.target.astype(np.int64)
    is_test = choose_test(pixels, labels)
    chosen = is_test if part == "test" else ~is_test
    return Images(pixels[chosen], labels[chosen])


def choose_test(pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark a third of each class as test images, by the order of their pixels' SHA-256.

    The choice depends on the pixels alone, on no seed and no generator. Equal images have equal
    hashes, so they stay on one side.

    Args:
        pixels: Shape ``(num_images, channels, height, width)``.
        labels: Shape ``(num_images,)``.

    Returns:
        Whether each image is a test image, shape ``(num_images,)``.
    """
    digests = np.array([hashlib.sha256(image.tobytes()).hexdigest() for image in pixels])
    is_test = np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        threshold = np.sort(digests[of_class])[len(of_class) // 3]
        is_test[of_class] = digests[of_class] < threshold
    # Equal images of two classes follow the one that is a test image.
    return np.isin(digests, digests[is_test])
