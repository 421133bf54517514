"""The scorer of stored pictures after training, without any code that trains.

Axes: B images in a batch, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from agad.config import DetectorConfig, InputSpec
from agad.data import prepare_images


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


def build_scorer(
    config: DetectorConfig, image_shape: tuple[int, int, int], weights: Mapping[str, Tensor]
) -> nn.Module:
    """Return the module that maps stored pictures in [-1, 1] to scores; it takes over the weights.

    Args:
        config: The detector.
        image_shape: Channels, height and width of a stored picture.
        weights: What the trained detector's ``scoring_weights`` returned.

    Raises:
        ValueError: The weights are not those of this detector for images of this shape.
    """
    spec = config.input()
    scorer: nn.Module = config.build_scorer(spec.shape(image_shape), weights)
    scorer.requires_grad_(requires_grad=False)
    scorer.eval()
    return scorer if spec == InputSpec() else PreparedScorer(scorer, spec)
