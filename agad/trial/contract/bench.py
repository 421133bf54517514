"""The shared parts of a detector's checks: images that are easy to tell apart, and a tiny trial.

Axes: N images, C channels, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agad.config import Cell, DetectorConfig, Stage
from agad.data import (
    FitBatches,
    Library,
    Manifest,
    NodeCache,
    Subset,
    Task,
    find_manifest,
    on_device,
)
from agad.detectors.compute import Compute
from agad.encoders import EncoderReference
from agad.encoders.features import open_stored_encoder, put_encoder
from agad.encoders.networks import Encoder, find_encoder, output_of
from agad.errors import AgadError
from agad.objects import open_objects
from agad.trial.confirm import trained_model
from agad.trial.model import SavedModel, with_stored_encoder
from agad.trial.training import Training, prepare
from agad.trial.trial_spec import Runtime, TrialSpec

IMAGE_SHAPE = (1, 16, 16)
"""Shape ``(C, H, W)`` of the images that are made here, as stored pictures have it."""

_NUM_FIT, _NUM_ANOMALIES = 256, 32
_NUM_SCORED = 160
"""Scored images of each kind: 320 in all, more than any batch of the checks."""

STAGE_EPOCHS = 2
"""The most epochs of each stage that the checks train."""


class ContractError(AgadError, ValueError):
    """A detector does not do what every detector must do."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A detector reduced to a laptop's budget, with the images and the trial of its checks."""

    detector: type[DetectorConfig]
    folder: Path
    """A folder for the checks alone, with a store and a cache."""

    @cached_property
    def config(self) -> DetectorConfig:
        """The detector with its defaults, reduced."""
        return self.detector().reduced()

    @property
    def needs_labels(self) -> bool:
        """Whether the detector cannot be fitted without labelled anomalies."""
        return self.config.supervision.labels == "required"

    @property
    def uses_labels(self) -> bool:
        """Whether the detector learns from labelled anomalies."""
        return self.config.supervision.labels != "unused"

    def build(self, seed: int = 0) -> Any:  # noqa: ANN401  Whatever the class builds.
        """Return a fresh detector for the images that are made here."""
        normals, _ = self._fit
        (channels, height, width) = normals.take(torch.arange(1)).shape[1:]
        shape = (channels, height, width)
        return self.config.build(shape, torch.Generator().manual_seed(seed), Compute())

    def batches(self, *, with_anomalies: bool) -> FitBatches:
        """Return smooth images to fit, with noise as labelled anomalies or with none."""
        normals, anomalies = self._fit
        if not with_anomalies:
            anomalies = replace(anomalies, index=anomalies.index[:0])
        return FitBatches.planned(
            self.config.batches(0.1 if with_anomalies else 0.0), normals, anomalies
        )

    @cached_property
    def _fit(self) -> tuple[Subset, Subset]:
        """Smooth images, and noise as labelled anomalies."""
        noise = _noise(_NUM_ANOMALIES, seed=1)
        return self._subset(_smooth(_NUM_FIT, seed=0)), self._subset(noise)

    @property
    def usual_batches(self) -> FitBatches:
        """The batches to fit for every check that is not about labels."""
        return self.batches(with_anomalies=self.uses_labels)

    @cached_property
    def images(self) -> Tensor:
        """Smooth images that no fit saw, then noise, prepared, ``(N, C, H, W)``."""
        pixels = np.concatenate([_smooth(_NUM_SCORED, seed=2), _noise(_NUM_SCORED, seed=3)])
        (images,) = self._subset(pixels).batches(len(pixels))
        return images

    @cached_property
    def is_anomaly(self) -> NDArray[np.bool_]:
        """Whether each of ``images`` is noise, ``(N,)``."""
        return np.arange(2 * _NUM_SCORED) >= _NUM_SCORED

    def schedule(self) -> list[tuple[Stage, int]]:
        """Return the epochs that the checks train: each stage, and the epoch's place in it."""
        return [
            (stage, epoch)
            for stage in self.config.stages
            for epoch in range(min(stage.epochs or STAGE_EPOCHS, STAGE_EPOCHS))
        ]

    @cached_property
    def fitted(self) -> Any:  # noqa: ANN401  Whatever the class builds.
        """A detector after the epochs of ``schedule``, for checks that only score."""
        detector = self.build()
        fit(detector, self.usual_batches, self.schedule(), np.random.default_rng(0))
        return detector

    @cached_property
    def runtime(self) -> Runtime:
        """A store for the checks alone, which holds digits, and one thread of the CPU."""
        store = open_objects(str(self.folder / "store"))
        find_manifest(Library(store), "digits")
        return Runtime(store=store.uri, cache=NodeCache(folder=str(self.folder / "cache")))

    @cached_property
    def digits(self) -> Manifest:
        """The manifest of the digits in the store."""
        return Library(open_objects(self.runtime.store)).manifest("digits")

    def spec(self, anomaly_ratio: float = 0.1) -> TrialSpec:
        """Return a confirm trial of few epochs on the digit 0."""
        return TrialSpec(
            cell=Cell(dataset="digits", normal_class=0, anomaly_ratio=anomaly_ratio),
            data=self.digits,
            task=Task(
                normal_classes=(0,),
                anomalous_classes=tuple(range(1, 10)),
                labelled_classes=tuple(range(1, 10)),
                anomaly_ratio=anomaly_ratio,
                pollution_ratio=0.0,
                num_val_anomalies=30,
                val_share=0.1,
            ),
            phase="confirm",
            number=0,
            params={},
            seed=0,
            max_epochs=min(STAGE_EPOCHS, self.config.default_scheduler().max_epochs),
            detector=self.config,
            encoder=self._encoder_for(self.digits.image_px),
        )

    def _encoder_for(self, image_px: int) -> EncoderReference | None:
        """Return the encoder for pictures of a size, its weights in the store; None for none."""
        name = self.config.input().encoder
        if not name:
            return None
        reference = find_encoder(name)
        if reference.is_stored:
            put_encoder(reference, Path(name).expanduser(), open_objects(self.runtime.store))
        return reference.suited_to(image_px)

    def opened(self, reference: EncoderReference) -> Encoder:
        """Return an encoder, to compute with."""
        return open_stored_encoder(
            reference,
            store=self.runtime.store,
            cache=self.runtime.cache,
            device=torch.device("cpu"),
        )

    @cached_property
    def trained(self) -> tuple[Training, SavedModel]:
        """A trained trial, and its model as it is written and read."""
        training = prepare(self.spec(), self.runtime)
        while training.pretrain():
            pass
        training.advance()
        weights = training.detector.scoring_weights()
        wrong = [name for name, weight in weights.items() if not isinstance(weight, Tensor)]
        if wrong:
            raise ContractError(
                f"scoring_weights() has {', '.join(wrong)}, but must return tensors by name."
            )
        model = trained_model(training, test_auroc=0.5)
        if training.spec.encoder is not None:
            model = with_stored_encoder(model, self.runtime.store, self.runtime.cache)
        return training, SavedModel.from_bytes(model.to_bytes(), "the saved model")

    def _subset(self, pixels: NDArray[np.uint8]) -> Subset:
        places, cpu = np.arange(len(pixels)), torch.device("cpu")
        reference = self._encoder_for(IMAGE_SHAPE[1])
        if reference is None:
            return on_device(pixels, places, cpu, self.config.input())
        images = on_device(pixels, places, cpu)
        encoder, output = self.opened(reference), output_of(self.config.input().layers)
        with torch.no_grad():
            features = torch.cat([encoder.module(one, output) for one in images.batches(64)])
        return Subset(images=features, index=images.index)


def fit(
    detector: Any,  # noqa: ANN401  Whatever the class builds.
    batches: FitBatches,
    epochs: list[tuple[Stage, int]],
    rng: np.random.Generator,
) -> list[dict[str, float]]:
    """Train some epochs as the engine does, and return the figures of each."""
    figures = []
    for stage, epoch in epochs:
        if epoch == 0:
            detector.begin_stage(stage, batches)
        figures.append(detector.fit_epoch(stage, batches, rng))
    return figures


def _smooth(num: int, seed: int) -> NDArray[np.uint8]:
    """Return ``(num, 1, 16, 16)`` pictures of one bright blob, a little moved and a little dark."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:16, :16]
    centres = rng.uniform(7, 9, size=(2, num, 1, 1))
    distances = (rows - centres[0]) ** 2 + (columns - centres[1]) ** 2
    blobs = rng.uniform(180, 240, size=(num, 1, 1)) * np.exp(-distances / 20)
    speckled = blobs + rng.uniform(0, 10, size=blobs.shape)
    pixels: NDArray[np.uint8] = speckled.astype(np.uint8)[:, np.newaxis]
    return pixels


def _noise(num: int, seed: int) -> NDArray[np.uint8]:
    """Return ``(num, 1, 16, 16)`` pictures of noise: every pixel is drawn alone."""
    rng = np.random.default_rng(seed)
    pixels: NDArray[np.uint8] = rng.integers(0, 256, size=(num, *IMAGE_SHAPE), dtype=np.uint8)
    return pixels
