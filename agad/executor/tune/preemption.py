"""A preemption notice: Ray drains the node of this worker."""

from __future__ import annotations

import time
from collections.abc import Callable

import ray

from agad.executor.private_ray import stepping_aside

_LOOK_EVERY_S = 3.0
"""A spot instance has at least 30 s of notice; each look is one request to the head node."""


def is_node_draining() -> bool:
    """Ask the head node. Ray has no public function for this; Ray Train asks the same way."""
    if not ray.is_initialized():
        return False
    with stepping_aside("trials do not see that their node is about to be taken away"):
        from ray._private.state import state

        return ray.get_runtime_context().get_node_id() in state.get_draining_nodes()
    return False


class DrainWatch:
    """Tells whether this worker's node drains, with a look at most every ``_LOOK_EVERY_S``."""

    def __init__(
        self,
        look: Callable[[], bool] = is_node_draining,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look for the first time at the first call of ``is_draining``.

        Args:
            look: Tells whether the node drains now.
            clock: Seconds of a clock that never goes back.
        """
        self._look = look
        self._clock = clock
        self._next_s = clock()
        self._is_draining = False

    def is_draining(self) -> bool:
        """Whether the node drained at the last look, which is at most some seconds old."""
        now_s = self._clock()
        if now_s >= self._next_s and not self._is_draining:
            self._is_draining = self._look()
            self._next_s = now_s + _LOOK_EVERY_S
        return self._is_draining
