"""How long an epoch takes on this machine, measured before a plan names a time."""

from __future__ import annotations

import time
from dataclasses import dataclass

from agad.trial.score import score
from agad.trial.training import prepare
from agad.trial.trial_spec import Runtime, TrialSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochCost:
    """Seconds of an epoch's parts, and how many steps were run to measure them."""

    step_s: float
    """Seconds of an optimiser step."""

    val_image_s: float
    """Seconds of a validation image."""

    num_measured: int
    """Timed steps; one step before them is not timed."""

    def epoch_s(self, num_steps: int, num_val: int) -> float:
        """Return the seconds of an epoch of so many steps and validation images."""
        return self.step_s * num_steps + self.val_image_s * num_val


def measure_epoch(spec: TrialSpec, runtime: Runtime, *, limit_s: float = 10.0) -> EpochCost:
    """Time an epoch of a trial, or its first steps if the epoch takes longer than the limit."""
    prepared = prepare(spec, runtime)
    rng = prepared.rng
    prepared.detector.update(*next(prepared.batches.epoch(rng)))

    num_measured = 0
    start = time.perf_counter()
    for normals, anomalies in prepared.batches.epoch(rng):
        losses = prepared.detector.update(normals, anomalies)
        losses["loss_g"].item()  # A GPU works behind the host: wait, so that time is its time.
        num_measured += 1
        if time.perf_counter() - start > limit_s:
            break
    step_s = (time.perf_counter() - start) / num_measured

    start = time.perf_counter()
    score(prepared.detector, prepared.val_images).cpu()
    val_image_s = (time.perf_counter() - start) / len(prepared.val_images)
    return EpochCost(step_s=step_s, val_image_s=val_image_s, num_measured=num_measured)
