"""The settings of AGAD, with the paper's defaults. Nothing here loads torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from agad.config import (
    MAX_COUNT,
    Asha,
    BatchPlan,
    DetectorDefaults,
    Distribution,
    LogUniform,
    Scheduler,
    Supervision,
)

_BACKBONE_WIDTHS = {"naive": 64, "unet": 32, "unet++": 32}
_CHOICES = {
    "backbone": tuple(_BACKBONE_WIDTHS),
    "anomaly_term": ("eq3", "alg1", "both"),
    "reciprocal_of": ("batch", "image"),
    "anomaly_pass": ("separate", "mixed", "frozen"),
    "score_statistics": ("running", "image"),
}
"""The parameters that are one of several words."""

_FLAGS = (
    "generator_norm",
    "tanh_output",
    "contextual_adversarial",
    "detach_second_pass",
    "advprop",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agad(DetectorDefaults):
    """AGAD: a GAN that learns to rebuild normal images well and everything else badly.

    Source: "AGAD: Adversarial Generative Anomaly Detection", arXiv 2304.04211, section 4;
    what the paper leaves open has the default of the lineage it comes from (GANomaly).
    """

    name: ClassVar[str] = "agad"
    version: ClassVar[int] = 2
    """Grows when the same settings and seed give other scores; part of every trial key."""
    model_module: ClassVar[str] = "agad.detectors.agad.model"

    paper: ClassVar[str] = "AGAD: Adversarial Generative Anomaly Detection, 2023, arXiv 2304.04211"
    limits: ClassVar[str] = (
        "The score of one training moves by .1 to .25 AUROC from seed to seed; many published "
        "figures chose the epoch on the test set."
    )
    supervision: ClassVar[Supervision] = Supervision(labels="optional")
    loss_weights: ClassVar[tuple[str, ...]] = (
        *("weight_adv", "weight_con", "weight_adcon", "weight_lat"),
        "contextual_adversarial",
    )
    equal_time: ClassVar[tuple[str, ...]] = ("lr", *loss_weights)
    picture_sizes: ClassVar[tuple[int, ...]] = (16, 32, 64, 128)

    backbone: str = "unet++"
    """Generator: ``unet++`` (nested skip connections), ``unet`` or ``naive`` (a bottleneck)."""

    base_width: int | None = None
    """Channels of the generator's first level; None is the paper's (unet++ 32, naive 64)."""

    generator_norm: bool = True
    """Whether a unet or unet++ has batch normalisation; without it, its convolutions have
    biases, as in the public code of UNet++."""

    bottleneck_px: int = 1
    """Height and width of the naive generator's latent: 1 (the lineage), or 2 (the caption of
    table 7)."""

    tanh_output: bool = True
    """Whether rebuilt images are bounded to [-1, 1]. Without it nothing bounds the contextual
    adversarial loss from below."""

    discriminator_width: int = 64
    """Channels of the discriminator's first block."""

    weight_adv: float = 1.0
    """lambda_adv, weight of the adversarial loss, at least 0."""

    weight_con: float = 50.0
    """lambda_con, weight of the reconstruction of normal images, at least 0."""

    weight_adcon: float = 15.0
    """lambda_adcon, weight of the contextual adversarial loss of normals and of the middle term of
    anomalies (``anomaly_term``), at least 0; 0 drops both."""

    contextual_adversarial: bool = True
    """Whether rebuilt images pass the generator again: without, normals lose the contextual
    adversarial loss, and anomalies what ``anomaly_term`` takes of it (tables 3 and 4)."""

    detach_second_pass: bool = False
    """Whether a rebuilt image is data to its second pass: no gradient flows back through it."""

    advprop: bool = False
    """Whether the second pass has batch normalisation of its own (table 5)."""

    anomaly_term: str = "eq3"
    """The middle term of anomalies, a reciprocal: ``eq3`` of |x - G(x)| (equation 3, figure 1b),
    ``alg1`` of |G(x) - G(G(x))| (Algorithm 1), or ``both``."""

    anomaly_pass: str = "separate"
    """How anomalies pass the generator: ``separate``, with batch statistics of their own;
    ``mixed`` with the normals; ``frozen``, with running statistics that they do not move."""

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

    reciprocal_of: str = "batch"
    """What a reciprocal is taken of: the ``batch``'s mean loss, or each ``image``'s."""

    max_grad_norm: float | None = None
    """The generator's gradient is shortened to this norm, above 0; None leaves it as it is."""

    reset_threshold: float = 1e-5
    """delta: the discriminator starts anew after an epoch of a lower mean loss; 0 is never."""

    score_statistics: str = "running"
    """Batch normalisation while scoring: the ``running`` statistics, or each ``image``'s own."""

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            is_known = getattr(self, name) in choices
            self._check(name, is_known, f"one of: {', '.join(sorted(choices))}")
        for name in ("weight_adv", "weight_con", "weight_adcon", "weight_lat", "reset_threshold"):
            self._check(name, self._is_number(name) and getattr(self, name) >= 0, "at least 0")
        for name in ("lr", "reciprocal_eps"):
            self._check(name, self._is_number(name) and getattr(self, name) > 0, "above 0")
        self._check("beta1", self._is_number("beta1") and 0 <= self.beta1 < 1, "in [0, 1)")
        for name in _FLAGS:
            self._check(name, isinstance(getattr(self, name), bool), "True or False")
        self._check_counts()
        self._check_optional()
        self._check_combinations()

    def _check_counts(self) -> None:
        for name, least in (("discriminator_width", 1), ("batch_size", 4)):
            self._check_count(name, least, MAX_COUNT)
        if self.base_width is not None:
            self._check_count("base_width", 1, MAX_COUNT)
        is_size = type(self.bottleneck_px) is int and self.bottleneck_px in (1, 2)
        self._check("bottleneck_px", is_size, "1 or 2")
        self._check_count("min_batch_anomalies", 2, MAX_COUNT)
        self._check(
            "min_batch_anomalies",
            self.min_batch_anomalies <= self.batch_size - 2,
            f"at most batch_size - 2 = {self.batch_size - 2}, since a batch needs normals too",
        )

    def _check_optional(self) -> None:
        share, norm = self.batch_anomaly_share, self.max_grad_norm
        is_share = share is None or (self._is_number("batch_anomaly_share") and 0 < share < 1)
        self._check("batch_anomaly_share", is_share, "in (0, 1), or None")
        is_norm = norm is None or (self._is_number("max_grad_norm") and norm > 0)
        self._check("max_grad_norm", is_norm, "above 0, or None")

    def _check_combinations(self) -> None:
        """Refuse what would be accepted and mean nothing."""
        is_naive = self.backbone == "naive"
        self._check("generator_norm", self.generator_norm or not is_naive, "True for naive")
        self._check("bottleneck_px", self.bottleneck_px == 1 or is_naive, "1 but for naive")
        needs_norm = "{} where generator_norm is False"
        self._check("advprop", self.generator_norm or not self.advprop, needs_norm.format(False))
        self._check(
            "anomaly_pass",
            self.generator_norm or self.anomaly_pass != "frozen",
            needs_norm.format("separate or mixed"),
        )
        self._check(
            "score_statistics",
            self.generator_norm or self.score_statistics == "running",
            needs_norm.format("running"),
        )
        needs_pass = "{} where contextual_adversarial is False"
        has_pass = self.contextual_adversarial
        self._check("advprop", has_pass or not self.advprop, needs_pass.format(False))
        self._check(
            "anomaly_term", has_pass or self.anomaly_term == "eq3", needs_pass.format("eq3")
        )
        is_detached = self.detach_second_pass
        self._check("detach_second_pass", has_pass or not is_detached, needs_pass.format(False))

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

    def default_space(self) -> Mapping[str, Distribution]:
        """Return the two weights that decide most, and the learning rate."""
        return {
            "weight_adcon": LogUniform(1, 100),
            "weight_con": LogUniform(5, 500),
            "lr": LogUniform(5e-5, 2e-3),
        }

    def default_scheduler(self) -> Scheduler:
        """Return the scheduler of a study that names none."""
        return Asha()

    def batches(self, anomaly_ratio: float) -> BatchPlan:
        """Return the batches of an epoch."""
        return BatchPlan(
            batch_size=self.batch_size, num_anomalies=self.num_batch_anomalies(anomaly_ratio)
        )

    def reduced(self) -> Agad:
        """Return networks of an eighth of the width."""
        return replace(
            self,
            base_width=max(4, self.generator_width // 8),
            discriminator_width=max(4, self.discriminator_width // 8),
        )
