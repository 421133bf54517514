"""The settings of the detectors that fit once on features. Nothing here loads torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from agad.config import (
    Choice,
    DetectorDefaults,
    Distribution,
    InputSpec,
    IntUniform,
    Labels,
    LogUniform,
    Supervision,
    Uniform,
)
from agad.detectors.shallow.features import FeatureKind, check_features, kind_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ShallowDetector(DetectorDefaults):
    """What the detectors that fit once on features share; no detector by itself."""

    model_module: ClassVar[str] = "agad.detectors.shallow.model"
    labels: ClassVar[Labels] = "unused"
    fits_once: ClassVar[bool] = True

    name: ClassVar[str]
    version: ClassVar[int]
    scorer: ClassVar[str]
    """Module and class of the detector's ``ShallowScorer``."""

    features: str = "pixels"
    """``pixels``: grey levels in [-1, 1]. ``pixels-standardised``: each image minus its mean,
    divided by its standard deviation, so that brightness and contrast count for nothing. Or a
    frozen encoder, whose features are scaled to length 1: a registered name such as
    ``efficientnet-lite0``, the path of a ``.safetensors`` file, ``timm:NAME`` or ``hf:NAME``."""

    def __post_init__(self) -> None:
        check_features(type(self).__name__, self.features)

    @property
    def kind(self) -> FeatureKind:
        """The kind of the features."""
        return kind_of(self.features)

    @property
    def supervision(self) -> Supervision:  # type: ignore[override]  # A ClassVar elsewhere.
        """The detector's use of labels, and the external data of its features."""
        return Supervision(labels=self.labels, external_data=self.kind.external_data)

    def input(self) -> InputSpec:
        """The pictures as their features need them."""
        return self.kind.input

    def _check_positive(self, *parameters: str) -> None:
        for one in parameters:
            self._check(one, self._is_number(one) and getattr(self, one) > 0, "above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lof(ShallowDetector):
    """Local outlier factor: how sparsely the normal images lie around an image.

    The neighbours' mean density over the density around the image: about 1 among the normal images,
    and higher outside. As in scikit-learn, exactly ``num_neighbors`` images are the neighbourhood,
    where the paper adds those equally far.

    Source: Breunig et al., "LOF: Identifying Density-Based Local Outliers", SIGMOD 2000,
    definition 7.
    """

    name: ClassVar[str] = "lof"
    version: ClassVar[int] = 1
    scorer: ClassVar[str] = "agad.detectors.shallow.neighbours:LofScorer"
    least_normals: ClassVar[int] = 2
    paper: ClassVar[str] = (
        "Breunig et al., LOF: Identifying Density-Based Local Outliers, SIGMOD 2000"
    )
    limits: ClassVar[str] = "Its model holds every normal image of the fit split."

    num_neighbors: int = 20
    """k: neighbours of an image, at least 1. All other images if the fit split has fewer."""

    def __post_init__(self) -> None:
        ShallowDetector.__post_init__(self)
        self._check_count("num_neighbors", 1)

    def default_space(self) -> Mapping[str, Distribution]:
        """Return few to many neighbours."""
        return {"num_neighbors": IntUniform(3, 50, log=True)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Knn(ShallowDetector):
    """The mean Euclidean distance of an image from its k nearest normal images.

    Source: Angiulli and Pizzuti, "Fast Outlier Detection in High Dimensional Spaces", PKDD 2002,
    definition 1, whose weight is the sum of the distances.
    """

    name: ClassVar[str] = "knn"
    version: ClassVar[int] = 1
    scorer: ClassVar[str] = "agad.detectors.shallow.neighbours:KnnScorer"
    paper: ClassVar[str] = (
        "Angiulli and Pizzuti, Fast Outlier Detection in High Dimensional Spaces, PKDD 2002"
    )
    limits: ClassVar[str] = "Its model holds every normal image of the fit split."

    num_neighbors: int = 1
    """k: neighbours of an image, at least 1. All images if the fit split has fewer."""

    def __post_init__(self) -> None:
        ShallowDetector.__post_init__(self)
        self._check_count("num_neighbors", 1)

    def default_space(self) -> Mapping[str, Distribution]:
        """Return one to many neighbours."""
        return {"num_neighbors": IntUniform(1, 20, log=True)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pca(ShallowDetector):
    """The part of an image that the principal components of the normal images do not explain.

    One fit by scikit-learn on all unlabelled images, one score: the length of the residual.

    Source: Shyu et al., "A Novel Anomaly Detection Scheme Based on Principal Component Classifier",
    2003; here the residual alone, as practitioners use it.
    """

    name: ClassVar[str] = "pca"
    version: ClassVar[int] = 1
    # A study of version 1 may be stored with ASHA and 27 epochs, and must go on as it is.
    fits_once: ClassVar[bool] = False
    scorer: ClassVar[str] = "agad.detectors.shallow.subspace:PcaScorer"
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
        ShallowDetector.__post_init__(self)
        self._check("variance", self._is_number("variance") and 0 < self.variance < 1, "in (0, 1)")

    def default_space(self) -> Mapping[str, Distribution]:
        """Return the share of the variance, from half to nearly all."""
        return {"variance": Uniform(0.5, 0.99)}


@dataclass(frozen=True, slots=True, kw_only=True)
class OneClassSvm(ShallowDetector):
    """A one-class support vector machine with a Gaussian kernel.

    The score is minus the kernel sum over the support vectors, so 0 is as anomalous as can be.

    Source: Schölkopf et al., "Estimating the Support of a High-Dimensional Distribution", Neural
    Computation 2001, equations 8 to 10.
    """

    name: ClassVar[str] = "ocsvm"
    version: ClassVar[int] = 1
    scorer: ClassVar[str] = "agad.detectors.shallow.svm:OneClassSvmScorer"
    equal_time: ClassVar[tuple[str, ...]] = ("gamma_scale",)
    paper: ClassVar[str] = (
        "Schölkopf et al., Estimating the Support of a High-Dimensional Distribution, Neural "
        "Computation 2001"
    )
    limits: ClassVar[str] = "Its model holds some normal images of the fit split."

    nu: float = 0.1
    """The share of the normal images that may lie outside, at most, in (0, 1]."""

    gamma_scale: float = 1.0
    """gamma of the kernel exp(-gamma d^2), times the number of features and their variance, above
    0. 1 is the ``gamma="scale"`` of scikit-learn."""

    def __post_init__(self) -> None:
        ShallowDetector.__post_init__(self)
        self._check("nu", self._is_number("nu") and 0 < self.nu <= 1, "in (0, 1]")
        self._check_positive("gamma_scale")

    def default_space(self) -> Mapping[str, Distribution]:
        """Return nu from 1 to 50 %, and gamma a tenth to ten times the usual one."""
        return {"nu": LogUniform(0.01, 0.5), "gamma_scale": LogUniform(0.1, 10)}


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolationForest(ShallowDetector):
    """How few random splits separate an image from the others, over many trees.

    The score is 2 to the power of minus the mean depth over the expected depth, in (0, 1).

    Source: Liu et al., "Isolation Forest", ICDM 2008, equations 1 and 2.
    """

    name: ClassVar[str] = "iforest"
    version: ClassVar[int] = 1
    scorer: ClassVar[str] = "agad.detectors.shallow.forest:IsolationForestScorer"
    least_normals: ClassVar[int] = 2
    paper: ClassVar[str] = "Liu et al., Isolation Forest, ICDM 2008"
    limits: ClassVar[str] = "A split looks at one pixel alone."

    num_trees: int = 100
    """Trees of the forest, at least 1."""

    max_samples: int = 256
    """Normal images that a tree is grown from, at least 2. All if the fit split has fewer."""

    def __post_init__(self) -> None:
        ShallowDetector.__post_init__(self)
        self._check_count("num_trees", 1)
        self._check_count("max_samples", 2)

    def default_space(self) -> Mapping[str, Distribution]:
        """Return two sizes of the forest, and a range of sizes of its trees."""
        return {"num_trees": Choice([100, 300]), "max_samples": IntUniform(32, 512, log=True)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mahalanobis(ShallowDetector):
    """The Mahalanobis distance from the mean of the normal images, with a shrunk covariance.

    Nothing is to be set: the data decide how far the covariance is shrunk.

    Source: Ledoit and Wolf, "A Well-Conditioned Estimator for Large-Dimensional Covariance
    Matrices", Journal of Multivariate Analysis 2004, for the covariance.
    """

    name: ClassVar[str] = "mahalanobis"
    version: ClassVar[int] = 1
    scorer: ClassVar[str] = "agad.detectors.shallow.subspace:MahalanobisScorer"
    paper: ClassVar[str] = (
        "Ledoit and Wolf, A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices, "
        "Journal of Multivariate Analysis 2004"
    )
    limits: ClassVar[str] = "The normal images count as one cloud, with one mean."


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe(ShallowDetector):
    """Logistic regression of the labelled anomalies against the normal images.

    Features are scaled to length 1, and both classes weigh the same. The score is the log-odds of
    an anomaly. The control for detectors that use labels: anomalies of kinds without a label need
    not score high.

    Source: Alain and Bengio, "Understanding Intermediate Layers Using Linear Classifier Probes",
    arXiv 1610.01644, 2016, for the probe.
    """

    name: ClassVar[str] = "probe"
    version: ClassVar[int] = 1
    labels: ClassVar[Labels] = "required"
    scorer: ClassVar[str] = "agad.detectors.shallow.probe:ProbeScorer"
    equal_time: ClassVar[tuple[str, ...]] = ("inverse_penalty",)
    paper: ClassVar[str] = (
        "Alain and Bengio, Understanding Intermediate Layers Using Linear Classifier Probes, arXiv "
        "1610.01644, 2016"
    )
    limits: ClassVar[str] = "Anomalies of kinds without a label need not score high."

    inverse_penalty: float = 1.0
    """C: weight of the data against the squared length of the coefficients, above 0."""

    def __post_init__(self) -> None:
        ShallowDetector.__post_init__(self)
        self._check_positive("inverse_penalty")

    def default_space(self) -> Mapping[str, Distribution]:
        """Return C, from strong to weak penalties."""
        return {"inverse_penalty": LogUniform(0.01, 100)}


@dataclass(frozen=True, slots=True, kw_only=True)
class KnnProbe(ShallowDetector):
    """The sum of ``Knn`` and ``Probe``, each in standard deviations of normal images.

    Mean and standard deviation of each part are those of a fifth of the normal images, drawn by the
    trial's seed, which the parts were not fitted on. Then both parts are fitted again, on all
    normal images. An anomaly of a kind without a label still lies far from its neighbours.
    """

    name: ClassVar[str] = "knn-probe"
    version: ClassVar[int] = 1
    labels: ClassVar[Labels] = "required"
    scorer: ClassVar[str] = "agad.detectors.shallow.probe:KnnProbeScorer"
    least_normals: ClassVar[int] = 3
    equal_time: ClassVar[tuple[str, ...]] = ("inverse_penalty",)
    limits: ClassVar[str] = "Its model holds every normal image of the fit split."

    num_neighbors: int = 1
    """k of the distance: neighbours of an image, at least 1. All images if there are fewer."""

    inverse_penalty: float = 1.0
    """C of the probe: weight of the data against the squared length of the coefficients, above
    0."""

    def __post_init__(self) -> None:
        ShallowDetector.__post_init__(self)
        self._check_count("num_neighbors", 1)
        self._check_positive("inverse_penalty")

    def default_space(self) -> Mapping[str, Distribution]:
        """Return one to many neighbours, and C from strong to weak penalties."""
        return {
            "num_neighbors": IntUniform(1, 20, log=True),
            "inverse_penalty": LogUniform(0.01, 100),
        }
