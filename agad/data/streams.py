"""Independent random streams of one seed, one for each purpose."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """The purpose of a draw: a draw added to one purpose changes no draw of another."""

    VAL_NORMALS = 0
    VAL_ANOMALIES = 1
    FIT_ANOMALIES = 2
    WEIGHTS = 3
    BATCHES = 4
    LABELLED_CLASSES = 5
    HIDDEN_ANOMALIES = 6
    PICTURES = 7
    LABEL_POOL = 8


def stream(seed: int, purpose: Purpose) -> np.random.Generator:
    """Return the generator of one purpose of a seed."""
    return np.random.default_rng(np.random.SeedSequence((seed, int(purpose))))
