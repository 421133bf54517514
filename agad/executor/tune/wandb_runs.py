"""Ray's callback for W&B, changed so that Ray's API shows no API key.

This is a separate module because it changes private parts of Ray: without them, W&B is refused.
"""

from __future__ import annotations

import os
from typing import Any

import ray
from ray.air.integrations.wandb import WandbLoggerCallback, _WandbLoggingActor
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


class _WandbActor(_WandbLoggingActor):
    """Logs one trial, with the driver's settings of W&B."""

    def __init__(self, *args: Any, environment: dict[str, str], **kwargs: Any) -> None:  # noqa: ANN401
        os.environ.update(environment)
        super().__init__(*args, **kwargs)


class WandbRuns(WandbLoggerCallback):
    """Ray's callback, but with no API key in a runtime environment, which Ray's API shows."""

    # With another Ray, this import fails if Ray would not call what is replaced here.
    _replaced = (WandbLoggerCallback._logger_actor_cls, WandbLoggerCallback._start_logging_actor)
    _logger_actor_cls = _WandbActor

    def _start_logging_actor(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        if self._remote_logger_class is None:
            node = ray.get_runtime_context().get_node_id()
            here: Any = NodeAffinitySchedulingStrategy(node, soft=False)
            remote: Any = ray.remote(num_cpus=0, scheduling_strategy=here)
            self._remote_logger_class = remote(self._logger_actor_cls)
        super()._start_logging_actor(*args, **kwargs)
