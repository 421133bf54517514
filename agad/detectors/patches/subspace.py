"""The principal components of the normal patches, and what they leave over of a patch.

Axes: C channels of a feature map, which are the features of a patch, K components.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from agad.detectors.patches.configuration import PatchPca
from agad.detectors.patches.scorer import PatchScorer, patches_of


class PatchPcaScorer(PatchScorer):
    """A mean and K orthonormal components; a patch's score is the length of its residual."""

    tensors: ClassVar[Mapping[str, str]] = {"mean": "C", "components": "KC"}
    config: PatchPca
    mean: Tensor
    components: Tensor

    @staticmethod
    def fit(
        config: PatchPca,
        batches: Iterable[Tensor],
        rng: np.random.Generator,  # noqa: ARG004  Nothing is drawn.
    ) -> dict[str, Tensor]:
        """Return the components that explain ``variance`` of patches of maps ``(B, C, H, W)``.

        K is the smallest number whose components explain more than ``variance``, as in
        scikit-learn's PCA, but less than C, so that a residual is left. K is 0 if all patches are
        alike.
        """
        mean, covariance = _moments(config, batches)
        variances, axes = torch.linalg.eigh(covariance)  # Ascending, an axis a column.
        variances, axes = variances.flip(0).clamp_min(0), axes.flip(1)
        explained = variances.cumsum(0) / variances.sum()  # Not a number without any variance.
        num = int((explained <= config.variance).sum()) + 1 if variances.sum() > 0 else 0
        num = min(num, len(variances) - 1)
        return {"mean": mean.float(), "components": axes.T[:num].float()}

    def patch_scores(self, patches: Tensor) -> Tensor:
        """Return the length of each patch's residual."""
        centred = patches - self.mean
        residual = centred - (centred @ self.components.T) @ self.components
        lengths: Tensor = torch.linalg.vector_norm(residual, dim=1)
        return lengths

    def sizes(self) -> dict[str, int]:
        """Return K."""
        return {"components": len(self.components)}


def _moments(config: PatchPca, batches: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the mean ``(C,)`` and the covariance ``(C, C)`` of all patches, float64 on the CPU."""
    num = 0
    for maps in batches:
        x = patches_of(maps, config.patch_size).flatten(0, 1).cpu().double()
        if num == 0:
            # Sums of what is near 0 keep their digits.
            shift = x.mean(dim=0)
            total, products = torch.zeros_like(shift), x.new_zeros((len(shift), len(shift)))
        x -= shift
        num += len(x)
        total += x.sum(dim=0)
        products += x.T @ x
    mean = total / num
    return shift + mean, products / num - torch.outer(mean, mean)
