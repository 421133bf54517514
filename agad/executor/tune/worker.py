"""The code that runs on a worker: Ray's trainable around a trial's generator of epochs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from ray import tune

from agad.config import Scheduler, SuccessiveHalving
from agad.errors import ConfigError, DataError, TrialDivergedError
from agad.executor.private_ray import stepping_aside
from agad.executor.tune.preemption import DrainWatch
from agad.executor.tune.refusal import refused_on
from agad.study import Launch, Progress
from agad.trial import (
    EpochResult,
    FeatureProgress,
    PeakMemory,
    Runtime,
    TrialSpec,
    describe_hardware,
)

TrainTrial: TypeAlias = Callable[[TrialSpec, Runtime], Iterator[EpochResult | FeatureProgress]]
"""Trains a trial and yields after every epoch, for example ``agad.trial.trial_steps``."""

HEARTBEAT_S = 30.0
"""A worker returns to the driver after this time or at a rung, whichever comes first."""

FEATURES_S = 1.0
"""While a worker computes features, it returns to the driver as soon as this time has passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order of the driver to a worker."""

    launch: Launch
    runtime: Runtime
    train: TrainTrial
    scheduler: Scheduler
    """The driver decides after the epochs in ``scheduler.milestones``."""


class Objective(tune.Trainable):
    """A worker that trains one trial after another.

    The worker keeps its imports between trials; everything else is new.
    """

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """Return the resources of an order; a worker takes only orders with equal resources."""
        runtime: Runtime = config["order"].runtime
        gpus = {"GPU": runtime.gpus} if runtime.gpus else {}
        return tune.PlacementGroupFactory([{"CPU": float(runtime.num_threads), **gpus}])

    def setup(self, config: dict[str, Any]) -> None:
        """Take the first order."""
        self._drain = DrainWatch()
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Drop the last trial and take the next order; tell Ray that this was possible."""
        self._order: Order = new_config["order"]
        self._epochs = self._order.train(self._order.launch.spec, self._runtime())
        self._seconds = 0.0
        self._encode_s = 0.0
        self._peak = PeakMemory(self._order.runtime.compute.device)
        return True

    def step(self) -> dict[str, Any]:
        """Train to the next rung or heartbeat."""
        if self.trial_name:
            _set_title(f"ray::{self.trial_name}")
        start = time.perf_counter()
        stops = {*self._order.scheduler.milestones, self._order.launch.spec.max_epochs}
        epochs: list[EpochResult] = []
        features: FeatureProgress | None = None
        diverged = ""
        try:
            for result in self._epochs:
                limit_s = HEARTBEAT_S
                if isinstance(result, FeatureProgress):
                    features, limit_s = result, FEATURES_S
                    self._encode_s += result.seconds
                else:
                    features = None
                    epochs.append(result)
                is_stop = features is None and epochs[-1].epoch + 1 in stops
                if is_stop or time.perf_counter() - start > limit_s:
                    break
        except TrialDivergedError as error:
            diverged = str(error)
        except (ConfigError, DataError) as error:
            address, _ = self.get_current_ip_pid()  # type: ignore[no-untyped-call]
            raise refused_on(address, error) from error
        self._seconds += time.perf_counter() - start
        if self._order.launch.spec.phase != "test":  # The confirm trial's row has them.
            self._seconds += sum(map(_earlier_s, epochs))
        num_epochs = epochs[-1].epoch + 1 if epochs else 0
        progress = Progress(
            epochs=tuple(epochs),
            features=features,
            diverged=diverged,
            encode_s=self._encode_s,
            seconds=self._seconds,
            gpu_s=self._seconds * self._order.runtime.gpus,
            hardware=describe_hardware(self._order.runtime.compute.device),
            peak_memory_bytes=self._peak.resident_bytes,
            peak_gpu_memory_bytes=self._peak.gpu_bytes,
            gpu_memory_bytes=self._peak.gpu_total_bytes,
        )
        is_done = bool(diverged) or num_epochs == self._order.launch.spec.max_epochs
        return {"progress": progress, "done": is_done}

    def _runtime(self) -> Runtime:
        """Return the runtime of the order's trial, with the checkpoints of its attempt."""
        order = self._order
        plan = order.runtime.checkpoints
        if plan is not None:
            plan = replace(
                plan,
                attempt=order.launch.attempt,
                milestones=order.scheduler.milestones,
                pauses=isinstance(order.scheduler, SuccessiveHalving),
            )
        return replace(order.runtime, checkpoints=plan, is_preempted=self._drain.is_draining)


def _set_title(title: str) -> None:
    """Name the trial in the process's title, until Ray resets the title."""
    with stepping_aside("the processes of workers do not name their trial"):
        from ray._raylet import setproctitle  # type: ignore[attr-defined]

        setproctitle(title)


def _earlier_s(result: EpochResult) -> float:
    """Return the seconds that earlier attempts spent on an epoch and on what came before it."""
    if result.is_restored:
        return result.train_s + result.pretrain_s
    return result.pretrain_before_s
