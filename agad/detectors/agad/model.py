"""AGAD's models, built from its configuration: the one that trains and the one that scores."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from agad.detectors.agad.configuration import Agad
from agad.detectors.agad.scoring import Scorer
from agad.detectors.agad.training import AgadDetector, build_generator
from agad.detectors.compute import Compute, take_weights


def build(
    config: Agad, image_shape: tuple[int, int, int], rng: torch.Generator, compute: Compute
) -> AgadDetector:
    """Return both networks before their first step."""
    return AgadDetector(config, image_shape, rng, compute)


def build_scorer(
    config: Agad, image_shape: tuple[int, int, int], weights: Mapping[str, Tensor] | None
) -> Scorer:
    """Return what scores with the detector's ``scoring_weights``, which it takes over.

    Raises:
        ValueError: The weights are not those of this detector for images of this shape.
    """
    try:
        # Nothing is allocated for settings alone: a file may ask for any width.
        with torch.device("meta"):
            generator = build_generator(config, image_shape)
    except (RuntimeError, TypeError) as error:  # Wider than torch can count.
        raise ValueError(f"no network has these settings: {error}") from error
    if weights is not None:
        take_weights(generator, weights)
    return Scorer(generator, is_per_image=config.score_statistics == "image")
