"""How many trials share a GPU: fewer, once one did not fit."""

from __future__ import annotations

import logging
from dataclasses import replace

from agad.trial import Runtime

logger = logging.getLogger(__name__)


class Packing:
    """Where new trials run; their share of a GPU grows and never shrinks again."""

    def __init__(self, runtime: Runtime) -> None:
        """Start with the share that the user asked for."""
        self.runtime = runtime

    def grow(self, gpus: float) -> bool:
        """Double the share that was too small, for trials launched from now on.

        Args:
            gpus: What the trial that did not fit had.

        Returns:
            False where that was a whole GPU or none: no more can be given to it.
        """
        if not 0 < gpus < 1:
            return False
        share = min(1.0, 2 * gpus)
        if share > self.runtime.gpus:
            logger.warning(
                "A trial did not fit %g of a GPU's memory; from now on each trial gets %g.",
                gpus,
                share,
            )
            self.runtime = replace(self.runtime, gpus=share)
        return True
