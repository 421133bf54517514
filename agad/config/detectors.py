"""The settings of each detector, with the paper's defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import ClassVar, TypeAlias

from agad.config.space import Setting
from agad.errors import ConfigError

_BACKBONE_WIDTHS = {"naive": 64, "unet++": 32}


@dataclass(frozen=True, slots=True, kw_only=True)
class Agad:
    """AGAD: a GAN that learns to rebuild normal images well and everything else badly.

    Source: "AGAD: Adversarial Generative Anomaly Detection", arXiv 2304.04211, section 4;
    what the paper leaves open has the default of the lineage it comes from (GANomaly).
    """

    name: ClassVar[str] = "agad"
    version: ClassVar[int] = 1
    """Grows when the same settings and seed give other scores; part of every trial key."""

    backbone: str = "unet++"
    """Generator: ``unet++`` (nested skip connections) or ``naive`` (a bottleneck)."""

    base_width: int | None = None
    """Channels of the generator's first level; None is the paper's (unet++ 32, naive 64)."""

    discriminator_width: int = 64
    """Channels of the discriminator's first block."""

    weight_adv: float = 1.0
    """lambda_adv, weight of the adversarial loss, at least 0."""

    weight_con: float = 50.0
    """lambda_con, weight of the reconstruction of normal images, at least 0."""

    weight_adcon: float = 15.0
    """lambda_adcon, weight of the contextual adversarial loss of normals and of its reciprocal
    counterpart of anomalies, at least 0; 0 drops both."""

    weight_lat: float = 5.0
    """lambda_lat, weight of the latent loss, at least 0."""

    lr: float = 2e-4
    """Adam's learning rate, of both networks, above 0."""

    beta1: float = 0.5
    """Adam's first decay rate, in [0, 1)."""

    batch_size: int = 256
    """Images a step, normal and anomalous together, at least 4."""

    min_batch_anomalies: int = 32
    """Labelled anomalies in every batch, at least; drawn with replacement, where there are any."""

    batch_anomaly_share: float | None = None
    """Share of labelled anomalies in every batch, in (0, 1), instead of the paper's rule: the
    ``anomaly_ratio``, and at least ``min_batch_anomalies``."""

    reciprocal_eps: float = 1e-6
    """Added to a loss before its reciprocal is taken, above 0."""

    def __post_init__(self) -> None:
        if not isinstance(self.backbone, str) or self.backbone not in _BACKBONE_WIDTHS:
            known = ", ".join(sorted(_BACKBONE_WIDTHS))
            raise ConfigError(f"Agad.backbone is {self.backbone!r}, but must be one of: {known}.")
        for name in ("weight_adv", "weight_con", "weight_adcon", "weight_lat"):
            self._check(name, self._is_number(name) and getattr(self, name) >= 0, "at least 0")
        for name in ("lr", "reciprocal_eps"):
            self._check(name, self._is_number(name) and getattr(self, name) > 0, "above 0")
        self._check("beta1", self._is_number("beta1") and 0 <= self.beta1 < 1, "in [0, 1)")
        for name, least in (("discriminator_width", 1), ("batch_size", 4)):
            self._check_count(name, least)
        if self.base_width is not None:
            self._check_count("base_width", 1)
        self._check_count("min_batch_anomalies", 2)
        self._check(
            "min_batch_anomalies",
            self.min_batch_anomalies <= self.batch_size - 2,
            f"at most batch_size - 2 = {self.batch_size - 2}, since a batch needs normals too",
        )

        share = self.batch_anomaly_share
        self._check(
            "batch_anomaly_share",
            share is None or (self._is_number("batch_anomaly_share") and 0 < share < 1),
            "in (0, 1), or None",
        )

    @property
    def generator_width(self) -> int:
        """Channels of the generator's first level, the paper's where none was given."""
        return self.base_width or _BACKBONE_WIDTHS[self.backbone]

    def num_batch_anomalies(self, anomaly_ratio: float) -> int:
        """Count the labelled anomalies of a batch: max(min, round(batch x ratio)), 0 at ratio 0.

        With ``batch_anomaly_share``, round(batch x share); a batch keeps two normals at least.

        Source: AGAD, section 4: "at least 32 anomalies in every mini-batch".
        """
        if anomaly_ratio == 0:
            return 0
        least = self.min_batch_anomalies
        if self.batch_anomaly_share is not None:
            anomaly_ratio, least = self.batch_anomaly_share, 2
        wanted = round(self.batch_size * anomaly_ratio)
        return min(max(least, wanted), self.batch_size - 2)

    def _is_number(self, name: str) -> bool:
        value = getattr(self, name)
        is_real = isinstance(value, int | float) and not isinstance(value, bool)
        return is_real and math.isfinite(value)

    def _check_count(self, name: str, least: int) -> None:
        value = getattr(self, name)
        is_count = isinstance(value, int) and not isinstance(value, bool)
        self._check(name, is_count and value >= least, f"a whole number, at least {least}")

    def _check(self, name: str, is_allowed: bool, constraint: str) -> None:
        if not is_allowed:
            raise ConfigError(f"Agad.{name} is {getattr(self, name)!r}, but must be {constraint}.")


DetectorConfig: TypeAlias = Agad
DETECTORS = (Agad,)


def with_parameters(detector: DetectorConfig, parameters: Mapping[str, Setting]) -> DetectorConfig:
    """Return the detector with some of its parameters set.

    Raises:
        ConfigError: A parameter that this detector has not, or a value it does not allow.
    """
    known = sorted(field.name for field in fields(detector))
    for name in parameters:
        if name not in known:
            raise ConfigError(
                f"{name!r} is no parameter of {type(detector).__name__}, which has: "
                f"{', '.join(known)}."
            )
    # Every value is checked again by the detector's own __post_init__.
    return replace(detector, **parameters)  # type: ignore[arg-type]
