"""Scores of many images, and the check that each score depends on its own image alone.

Axes: N images in a subset.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from agad.data import Subset
from agad.detectors import BatchLeak, Detector
from agad.errors import ScoreError

_BATCH_SIZE = 256
"""Images scored at once; a score does not depend on it."""

_NUM_CHECKED = 32
_TOLERANCE = 1e-4
"""Relative tolerance: sums in another order differ by about 1e-6 in float32."""


def score(detector: Detector, images: Subset) -> Tensor:
    """Return one score an image, ``(N,)`` on the device; higher is more anomalous."""
    return torch.cat([detector.score(batch) for batch in images.batches(_BATCH_SIZE)])


def score_with_batch_statistics(
    detector: Detector, images: Subset, batch_size: int
) -> Tensor | None:
    """Return leaking scores, ``(N,)``, of batches in the order of the subset.

    None if the detector has no batch normalisation to leak.
    """
    if not isinstance(detector, BatchLeak):
        return None
    leaking = []
    for batch in images.batches(batch_size):
        scores = detector.score_with_batch_statistics(batch)
        if scores is None:
            return None
        leaking.append(scores)
    return torch.cat(leaking)


def check_scores(detector: Detector, images: Subset) -> None:
    """Score a sample of images in two ways: backwards in batches of 7, and one by one.

    Raises:
        ScoreError: The scores differ, so that they depend on batch size, order or neighbours.
    """
    places = torch.linspace(0, len(images) - 1, min(_NUM_CHECKED, len(images)))
    sample = images.take(places.long().to(images.index.device))
    expected = detector.score(sample)
    by_seven = _in_batches(detector.score, sample.flip(0), 7).flip(0)
    one_by_one = _in_batches(detector.score, sample, 1)
    for way, found in (("backwards in batches of 7", by_seven), ("one by one", one_by_one)):
        gap = ((found - expected).abs() / expected.abs().clamp_min(1e-12)).max().item()
        if gap > _TOLERANCE:
            raise ScoreError(
                f"scores of the same images {way} differ by {gap:.2g} of their value, but must not "
                "depend on batch size, order or neighbours: a layer uses statistics of the batch."
            )


def _in_batches(scored: Callable[[Tensor], Tensor], images: Tensor, size: int) -> Tensor:
    return torch.cat([scored(batch) for batch in torch.split(images, size)])
