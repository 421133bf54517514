"""The settings of the detectors of patches. Nothing here loads torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from agad.config import (
    Choice,
    DetectorDefaults,
    Distribution,
    InputSpec,
    Supervision,
    Uniform,
)
from agad.encoders import encoder_names, external_data_of, is_encoder_name

_CORESETS = ("greedy", "random")
_LAYERS = re.compile(r"[\w.]+(,[\w.]+)*")
_MAX_PATCH_SIZE = 31
_MAX_NEIGHBORS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchDetector(DetectorDefaults):
    """What the detectors of patches share; no detector by itself.

    A patch is a place of an encoder's feature map, described by the mean of its neighbourhood. The
    detectors differ in the score of a patch. An image's score is the score of its worst patch.
    """

    model_module: ClassVar[str] = "agad.detectors.patches.model"
    fits_once: ClassVar[bool] = True

    name: ClassVar[str]
    version: ClassVar[int]
    scorer: ClassVar[str]
    """Module and class of the detector's ``PatchScorer``."""

    features: str = "efficientnet-lite0"
    """The encoder: a registered name, the path of a ``.safetensors`` file, ``timm:NAME`` or
    ``hf:NAME``."""

    layers: str = "stage3,stage5"
    """Layers of the encoder, separated by commas. The maps of the later ones are enlarged to the
    grid of the first. The default layers are those of strides 8 and 16 of the EfficientNets."""

    patch_size: int = 3
    """p: a patch is the mean of p x p places of the map, an odd number; 1 is the place alone. At
    the border, the mean is that of the places that exist."""

    def __post_init__(self) -> None:
        is_encoder = isinstance(self.features, str) and is_encoder_name(self.features)
        named = ", ".join(encoder_names())
        self._check(
            "features",
            is_encoder,
            f"one of: {named}; or the path of a .safetensors file; or timm:NAME or hf:NAME",
        )
        is_list = isinstance(self.layers, str) and _LAYERS.fullmatch(self.layers) is not None
        self._check("layers", is_list, "names of layers, separated by commas")
        names = self.layers.split(",")
        self._check("layers", len(set(names)) == len(names), "names of different layers")
        # The features of the whole image have no places.
        self._check("layers", "global" not in names, "names of layers, which 'global' is not")
        self._check_count("patch_size", 1, _MAX_PATCH_SIZE)
        self._check("patch_size", self.patch_size % 2 == 1, "an odd number")

    @property
    def supervision(self) -> Supervision:  # type: ignore[override]  # A ClassVar elsewhere.
        """No labels, and the external data that the encoder was trained on."""
        return Supervision(external_data=external_data_of(self.features))

    def input(self) -> InputSpec:
        """The maps of the layers."""
        return InputSpec(encoder=self.features, layers=tuple(self.layers.split(",")))


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchKnn(PatchDetector):
    """The distance of an image's worst patch from the nearest patch of the normal images.

    The method of PatchCore. Three details differ from the paper. The maps are joined before the
    mean of the neighbourhoods is taken; the paper takes the mean in each layer. Features are not
    pooled to another number. The mean at the border leaves out places that do not exist.

    Source: Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022,
    equations 1 to 7 and algorithm 1.
    """

    name: ClassVar[str] = "patch-knn"
    version: ClassVar[int] = 1
    scorer: ClassVar[str] = "agad.detectors.patches.nearest:PatchKnnScorer"
    paper: ClassVar[str] = (
        "Roth et al., Towards Total Recall in Industrial Anomaly Detection, CVPR 2022"
    )
    limits: ClassVar[str] = (
        "Its model holds features of patches of the normal images. The time of a greedy coreset "
        "grows with the square of the number of images."
    )

    coreset: str = "greedy"
    """How patches of the normal images are chosen. ``greedy``: the patch that is farthest from
    those already chosen, one after another (k-centre), on 128 random projections if there are more
    features. ``random``: by lot."""

    coreset_share: float = 0.01
    """The share of the patches that is kept, in (0, 1]; at least one patch is. The paper's shares
    are 0.01, 0.1 and 0.25."""

    reweight_neighbors: int = 0
    """b of equation 7: patches of the coreset around the nearest patch, the nearest included, that
    change the weight of the image's score. 0 for the plain largest distance; else at least 2, such
    as the 9 of Anomalib. The coreset has at least b patches, if there are so many."""

    def __post_init__(self) -> None:
        PatchDetector.__post_init__(self)
        self._check("coreset", self.coreset in _CORESETS, f"one of: {', '.join(_CORESETS)}")
        is_share = self._is_number("coreset_share") and 0 < self.coreset_share <= 1
        self._check("coreset_share", is_share, "in (0, 1]")
        self._check_count("reweight_neighbors", 0, _MAX_NEIGHBORS)
        # The only neighbour would have all the weight, and every score would be 0.
        self._check("reweight_neighbors", self.reweight_neighbors != 1, "0, or at least 2")

    def default_space(self) -> Mapping[str, Distribution]:
        """Return sizes of a patch, and the re-weighting."""
        return {"patch_size": Choice([1, 3, 5]), "reweight_neighbors": Choice([0, 3, 9])}


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchPca(PatchDetector):
    """The part of an image's worst patch that principal components of normal patches leave over.

    Source: Lendering et al., "SubspaceAD: Training-Free Few-Shot Anomaly Detection via Subspace
    Modeling", CVPR 2026, arXiv 2602.23013, for the residual of patches. Here, an image's score is
    its largest residual, and patches are means of neighbourhoods.
    """

    name: ClassVar[str] = "patch-pca"
    version: ClassVar[int] = 1
    scorer: ClassVar[str] = "agad.detectors.patches.subspace:PatchPcaScorer"
    paper: ClassVar[str] = (
        "Lendering et al., SubspaceAD: Training-Free Few-Shot Anomaly Detection via Subspace "
        "Modeling, CVPR 2026"
    )
    limits: ClassVar[str] = "The normal patches count as one cloud, with one mean."

    variance: float = 0.99
    """Share of the variance of the normal patches that the kept components explain, in (0, 1)."""

    def __post_init__(self) -> None:
        PatchDetector.__post_init__(self)
        self._check("variance", self._is_number("variance") and 0 < self.variance < 1, "in (0, 1)")

    def default_space(self) -> Mapping[str, Distribution]:
        """Return sizes of a patch, and the share of the variance, from most to nearly all."""
        return {"patch_size": Choice([1, 3, 5]), "variance": Uniform(0.8, 0.999)}
