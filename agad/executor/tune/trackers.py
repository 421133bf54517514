"""Ray's callbacks for the experiment trackers that a study knows by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.air.integrations.wandb import WandbLoggerCallback, _WandbLoggingActor
from ray.air.util.node import _force_on_current_node
from ray.tune.logger import LoggerCallback


def _mlflow(study: str) -> LoggerCallback:
    import mlflow  # type: ignore[import-not-found,unused-ignore]

    # Without this argument, Ray's callback would replace MLFLOW_TRACKING_URI by None.
    return MLflowLoggerCallback(tracking_uri=mlflow.get_tracking_uri(), experiment_name=study)


def _wandb(study: str) -> LoggerCallback:
    environment = {name: text for name, text in os.environ.items() if name.startswith("WANDB_")}
    # Ray runs the logger in the trial's folder, which is deleted with the study.
    environment.setdefault("WANDB_DIR", str(Path.cwd()))
    project = environment.get("WANDB_PROJECT", "agad")
    return _Wandb(project=project, group=study, environment=environment)


class _WandbActor(_WandbLoggingActor):
    """Logs one trial, with the driver's settings of W&B."""

    def __init__(self, *args: Any, environment: dict[str, str], **kwargs: Any) -> None:  # noqa: ANN401
        os.environ.update(environment)
        super().__init__(*args, **kwargs)


class _Wandb(WandbLoggerCallback):
    """Ray's callback, but with no API key in a runtime environment, which Ray's API shows."""

    _logger_actor_cls = _WandbActor

    def _start_logging_actor(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        if self._remote_logger_class is None:
            where: dict[str, Any] = _force_on_current_node()  # type: ignore[assignment]
            remote: Any = ray.remote(num_cpus=0, **where)(self._logger_actor_cls)
            self._remote_logger_class = remote
        super()._start_logging_actor(*args, **kwargs)


OPENERS: dict[str, Callable[[str], LoggerCallback]] = {"mlflow": _mlflow, "wandb": _wandb}
"""Makers of callbacks, by the tracker's name. A maker takes the study's name."""
