"""How long an epoch takes on this machine, measured before a plan names a time."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from agad.encoders import EncoderReference
from agad.encoders.features import open_stored_encoder
from agad.encoders.networks import BATCH_SIZE, layers_of, output_of
from agad.trial.score import score
from agad.trial.training import Training, prepare
from agad.trial.trial_spec import Runtime, TrialSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochCost:
    """Seconds of an epoch's parts, and how many steps were run to measure them."""

    step_s: float
    """Seconds of an optimiser step."""

    val_image_s: float
    """Seconds of a validation image."""

    num_measured: int
    """Timed steps, after one step that is not timed."""

    def epoch_s(self, num_steps: int, num_val: int) -> float:
        """Return the seconds of an epoch with this many steps and validation images."""
        return self.step_s * num_steps + self.val_image_s * num_val


def measure_epoch(spec: TrialSpec, runtime: Runtime, *, limit_s: float = 10.0) -> EpochCost:
    """Time an epoch of a trial, or its first steps if an epoch takes longer than the limit.

    The stages before the study's first epoch are left out: they are no epochs of the study.
    """
    prepared = prepare(spec, runtime)
    detector, stage = prepared.detector, prepared.spec.detector.stages[-1]
    step = prepared.batches.first(1)
    detector.begin_stage(stage, step)
    fits_once = getattr(spec.detector, "fits_once", False)
    if not fits_once:
        detector.fit_epoch(stage, step, prepared.rng)  # The first step takes longer than others do.
    step_s = _fit_s(prepared, 1)
    if fits_once and step_s < limit_s:
        # A library's first fit can take a hundred times as long as its second.
        step_s = _fit_s(prepared, 1)

    num_measured = max(1, min(prepared.batches.num_batches, int(limit_s / max(step_s, 1e-9))))
    if num_measured > 1:
        step_s = _fit_s(prepared, num_measured) / num_measured

    start = time.perf_counter()
    score(detector, prepared.val_images).cpu()
    val_image_s = (time.perf_counter() - start) / len(prepared.val_images)
    return EpochCost(step_s=step_s, val_image_s=val_image_s, num_measured=num_measured)


def seconds_per_image(
    encoder: EncoderReference, layers: tuple[str, ...], channels: int, runtime: Runtime
) -> float:
    """Time an encoder on a batch of grey noise, after a first batch; return seconds an image.

    Raises:
        ConfigError: The encoder cannot be used here.
    """
    torch.set_num_threads(runtime.num_threads)
    device = runtime.compute.torch_device
    opened = open_stored_encoder(encoder, store=runtime.store, cache=runtime.cache, device=device)
    names = layers_of(output_of(layers))
    images = torch.rand(BATCH_SIZE, channels, encoder.image_px, encoder.image_px) * 2 - 1
    opened.outputs(images, names)
    start = time.perf_counter()
    for one in opened.outputs(images, names).values():
        one.cpu()  # Waits for a GPU.
    return (time.perf_counter() - start) / BATCH_SIZE


def _fit_s(training: Training, num_batches: int) -> float:
    """Return the seconds of an epoch over the first batches of the fit split."""
    start = time.perf_counter()
    stage = training.spec.detector.stages[-1]
    # The figures are copied to the host at the end, which waits for a GPU.
    training.detector.fit_epoch(stage, training.batches.first(num_batches), training.rng)
    return time.perf_counter() - start
