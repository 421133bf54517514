"""The settings of the PCA detector. Nothing here loads torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from agad.config import DetectorDefaults, Distribution, Uniform


@dataclass(frozen=True, slots=True, kw_only=True)
class Pca(DetectorDefaults):
    """The part of an image that the principal components of the normal images do not explain.

    One fit by scikit-learn on all unlabelled images, one score: the length of the residual.

    Source: Shyu et al., "A Novel Anomaly Detection Scheme Based on Principal Component Classifier",
    2003; here the residual alone, as practitioners use it.
    """

    name: ClassVar[str] = "pca"
    version: ClassVar[int] = 1
    model_module: ClassVar[str] = "agad.detectors.pca.model"
    paper: ClassVar[str] = (
        "Shyu et al., A Novel Anomaly Detection Scheme Based on Principal Component Classifier, "
        "2003"
    )
    limits: ClassVar[str] = (
        "It compares pixels place by place: an object that moved is an anomaly to it."
    )

    variance: float = 0.9
    """Share of the variance of the normal images that the kept components explain, in (0, 1)."""

    def __post_init__(self) -> None:
        self._check("variance", self._is_number("variance") and 0 < self.variance < 1, "in (0, 1)")

    def default_space(self) -> Mapping[str, Distribution]:
        """Return the share of the variance, from half to nearly all."""
        return {"variance": Uniform(0.5, 0.99)}
