"""The scorer of stored pictures after training, without any code that trains.

Axes: B images in a batch, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from agad.config import DetectorConfig, InputSpec
from agad.data import prepare_images
from agad.encoders.networks import PictureEncoder, output_of


class PreparedScorer(nn.Module):
    """A detector's scorer behind its input: the size and the scale that the detector takes."""

    def __init__(self, scorer: nn.Module, spec: InputSpec) -> None:
        """Take a scorer over.

        Args:
            scorer: Maps prepared pictures to scores.
            spec: How a stored picture is prepared.
        """
        super().__init__()
        self.scorer = scorer
        self.spec = spec

    @property
    def holds(self) -> str:
        """The scorer's text about the training images that it holds; empty if it has none."""
        return getattr(self.scorer, "holds", "")

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``(B, C, H, W)`` in [-1, 1] to scores ``(B,)``: higher is more anomalous."""
        scores: Tensor = self.scorer(prepare_images(images, self.spec))
        return scores


class EncodedScorer(nn.Module):
    """A detector's scorer behind the encoder whose features the detector takes."""

    def __init__(self, scorer: nn.Module, encoder: PictureEncoder, spec: InputSpec) -> None:
        """Take a scorer and an encoder over.

        Args:
            scorer: Maps features to scores.
            encoder: Maps stored pictures to features.
            spec: Which features the detector takes.
        """
        super().__init__()
        self.encoder = encoder
        self.scorer = scorer
        self.output = output_of(spec.layers)

    @property
    def holds(self) -> str:
        """The scorer's text about the training images that it holds; empty if it has none."""
        return getattr(self.scorer, "holds", "")

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``(B, C, H, W)`` in [-1, 1] to scores ``(B,)``: higher is more anomalous."""
        scores: Tensor = self.scorer(self.encoder(images, self.output))
        return scores


class EncodedLocalizer(EncodedScorer):
    """``EncodedScorer`` of a scorer that tells where an image is anomalous."""

    def anomaly_map(self, images: Tensor) -> Tensor:
        """Map images ``(B, C, H, W)`` in [-1, 1] to how anomalous each pixel is, ``(B, H, W)``."""
        localizer: Any = self.scorer
        return _resized(localizer.anomaly_map(self.encoder(images, self.output)), images)


class PreparedLocalizer(PreparedScorer):
    """``PreparedScorer`` of a scorer that tells where an image is anomalous."""

    def anomaly_map(self, images: Tensor) -> Tensor:
        """Map images ``(B, C, H, W)`` in [-1, 1] to how anomalous each pixel is, ``(B, H, W)``."""
        localizer: Any = self.scorer
        return _resized(localizer.anomaly_map(prepare_images(images, self.spec)), images)


def _resized(maps: Tensor, images: Tensor) -> Tensor:
    """Return maps ``(B, H', W')`` at the size of images ``(B, C, H, W)``."""
    return functional.interpolate(
        maps[:, None], size=images.shape[2:], mode="bilinear", align_corners=False
    )[:, 0]


def build_scorer(
    config: DetectorConfig, shape: tuple[int, int, int], weights: Mapping[str, Tensor]
) -> nn.Module:
    """Return the module that maps what a detector takes to scores; it takes over the weights.

    Args:
        config: The detector.
        shape: Channels, height and width of what the detector takes of a picture.
        weights: What the trained detector's ``scoring_weights`` returned.

    Raises:
        ValueError: The weights are not those of this detector for images of this shape.
    """
    scorer: nn.Module = config.build_scorer(shape, weights)
    scorer.requires_grad_(requires_grad=False)
    return scorer.eval()


def of_pictures(
    scorer: nn.Module, spec: InputSpec, encoder: PictureEncoder | None = None
) -> nn.Module:
    """Return a detector's scorer as one of stored pictures in [-1, 1].

    Args:
        scorer: What ``build_scorer`` returned.
        spec: What the detector takes of a picture.
        encoder: The encoder of ``spec``, if ``spec`` names one.
    """
    localizes = hasattr(scorer, "anomaly_map")
    if encoder is None:
        if spec == InputSpec():
            return scorer
        return (PreparedLocalizer if localizes else PreparedScorer)(scorer, spec)
    kind = EncodedLocalizer if localizes else EncodedScorer
    return kind(scorer, encoder, spec).eval()
