"""Ray's callbacks for the experiment trackers that a study knows by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.logger import LoggerCallback

from agad.executor.private_ray import refusing_without


def _mlflow(study: str) -> LoggerCallback:
    import mlflow  # type: ignore[import-not-found,unused-ignore]

    # Without this argument, Ray's callback would replace MLFLOW_TRACKING_URI by None.
    return MLflowLoggerCallback(tracking_uri=mlflow.get_tracking_uri(), experiment_name=study)


def _wandb(study: str) -> LoggerCallback:
    with refusing_without("W&B would show the API key; leave --log-to wandb out, or use mlflow"):
        from agad.executor.tune.wandb_runs import WandbRuns

    environment = {name: text for name, text in os.environ.items() if name.startswith("WANDB_")}
    # Ray runs the logger in the trial's folder, which is deleted with the study.
    environment.setdefault("WANDB_DIR", str(Path.cwd()))
    project = environment.get("WANDB_PROJECT", "agad")
    return WandbRuns(project=project, group=study, environment=environment)


OPENERS: dict[str, Callable[[str], LoggerCallback]] = {"mlflow": _mlflow, "wandb": _wandb}
"""Makers of callbacks, by the tracker's name. A maker takes the study's name."""
