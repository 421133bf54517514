"""The settings of Deep SVDD. Nothing here loads torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from agad.config import (
    MAX_COUNT,
    TRAIN,
    Asha,
    BatchPlan,
    DetectorDefaults,
    Distribution,
    InputSpec,
    LogUniform,
    Scheduler,
    Stage,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepSvdd(DetectorDefaults):
    """Deep SVDD, one-class: a network without biases learns to map normal images near a centre.

    An autoencoder is trained first; the encoder's mean embedding of the normal images becomes the
    centre, and the encoder then learns to come close. The score is the squared distance.

    Source: Ruff et al., "Deep One-Class Classification", ICML 2018, equation 4. The images are
    contrast-normalised and brought to [0, 1] by the extremes of the normal images of the fit split,
    as in the authors' code.
    """

    name: ClassVar[str] = "deep-svdd"
    version: ClassVar[int] = 1
    model_module: ClassVar[str] = "agad.detectors.deep_svdd.model"
    paper: ClassVar[str] = "Ruff et al., Deep One-Class Classification, ICML 2018"
    limits: ClassVar[str] = "Labelled anomalies are not used; the paper trains for 150 epochs."
    equal_time: ClassVar[tuple[str, ...]] = ("lr", "weight_decay", "pretrain_lr")

    pretrain_epochs: int = 50
    """Epochs of the autoencoder, at least 0; with 0 the centre is that of random weights."""

    pretrain_lr: float = 1e-4
    """Adam's learning rate of the autoencoder, above 0."""

    lr: float = 1e-4
    """Adam's learning rate of the encoder, above 0."""

    weight_decay: float = 5e-7
    """Adam's weight decay of the encoder, at least 0."""

    pretrain_weight_decay: float = 5e-4
    """Adam's weight decay of the autoencoder, at least 0."""

    image_px: int = 28
    """Height and width that images are brought to: 28 (the paper's MNIST), 32 (its CIFAR-10), or
    any multiple of 4 from 8 on."""

    batch_size: int = 200
    """Images a step, at least 2."""

    def __post_init__(self) -> None:
        self._check_count("pretrain_epochs", 0, MAX_COUNT)
        self._check_count("batch_size", 2, MAX_COUNT)
        self._check_count("image_px", 8, MAX_COUNT)
        self._check("image_px", self.image_px % 4 == 0, "a multiple of 4")
        for name in ("lr", "pretrain_lr"):
            self._check(name, self._is_number(name) and getattr(self, name) > 0, "above 0")
        for name in ("weight_decay", "pretrain_weight_decay"):
            self._check(name, self._is_number(name) and getattr(self, name) >= 0, "at least 0")

    @property
    def stages(self) -> tuple[Stage, ...]:
        """``pretrain``, the autoencoder's, and ``train``."""
        if self.pretrain_epochs == 0:
            return (TRAIN,)
        return (Stage(name="pretrain", epochs=self.pretrain_epochs), TRAIN)

    def default_space(self) -> Mapping[str, Distribution]:
        """Return the learning rate and the weight decay of the encoder."""
        return {"lr": LogUniform(1e-5, 1e-3), "weight_decay": LogUniform(1e-7, 1e-3)}

    def default_scheduler(self) -> Scheduler:
        """Return half the pretraining's epochs, with two rungs."""
        return Asha(max_epochs=27, grace_period=3, reduction_factor=3)

    def input(self) -> InputSpec:
        """Return contrast-normalised images of ``image_px``."""
        return InputSpec(image_px=self.image_px, scaling="contrast")

    def batches(self, anomaly_ratio: float) -> BatchPlan:  # noqa: ARG002  Labels are not used.
        """Return batches of normal images."""
        return BatchPlan(batch_size=self.batch_size)

    def reduced(self) -> DeepSvdd:
        """Return at most two epochs of the autoencoder."""
        return replace(self, pretrain_epochs=min(2, self.pretrain_epochs))
