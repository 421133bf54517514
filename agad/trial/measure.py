"""How long an epoch takes here, measured before anything is promised."""

from __future__ import annotations

import time
from dataclasses import dataclass

from agad.data import Purpose, stream
from agad.trial.spec import Runtime, TrialSpec
from agad.trial.train import prepare, score


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochCost:
    """Seconds of one epoch, and how much of it was really run."""

    epoch_s: float
    """Seconds, training and validation."""

    num_steps: int
    """Optimiser steps of an epoch."""

    num_measured: int
    """Steps timed, after one that was not."""


def measure_epoch(spec: TrialSpec, runtime: Runtime, *, limit_s: float = 10.0) -> EpochCost:
    """Time an epoch of a trial, or its first steps where it takes longer than the limit."""
    prepared = prepare(spec, runtime)
    rng = stream(spec.seed, Purpose.BATCHES)
    num_steps = prepared.batches.num_batches
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
    score(prepared.detector, prepared.val_images)
    val_s = time.perf_counter() - start
    return EpochCost(
        epoch_s=step_s * num_steps + val_s, num_steps=num_steps, num_measured=num_measured
    )
