"""How much a detector computes: counted, not timed, so that every machine counts the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from agad.config import DetectorConfig
from agad.errors import ConfigError


def count_flop(compute: Callable[[], object]) -> int:
    """Return the floating-point operations of the matrix products and convolutions of a call.

    Torch's count: a multiplication and an addition are two; backward passes count too. What is
    elementwise, and what runs in a compiled network, is not seen.
    """
    with FlopCounterMode(display=False) as counter:
        compute()
    return int(counter.get_total_flops())


@lru_cache(maxsize=1024)  # The confirm trials of a configuration follow each other.
def scoring_flop(config: DetectorConfig, image_shape: tuple[int, int, int]) -> int:
    """Return the floating-point operations of scoring one image of ``(channels, height, width)``.

    As ``count_flop`` counts, of the networks that scoring needs alone. Nothing is computed for it.

    Args:
        config: The detector.
        image_shape: Channels, height and width of a stored picture.

    Raises:
        ConfigError: The detector's work is unknown before the detector is fitted.
    """
    try:
        shape = config.input().shape(image_shape)
        with torch.device("meta"):
            scorer = config.build_scorer(shape, None)
            images = torch.empty((1, *shape))
            return count_flop(lambda: scorer(images))
    except ValueError as error:
        raise ConfigError(
            f"the work of {config.name} cannot be an objective ({error}); choose another sampler "
            "than one that counts work."
        ) from error
