"""The nearest normal patches: the distance of a patch from the patches of a coreset.

Axes: B images in a batch, C channels of a feature map, H rows and W columns of its places, M
patches of the coreset.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from agad.detectors.patches.configuration import PatchKnn
from agad.detectors.patches.coreset import greedy_coreset, random_coreset
from agad.detectors.patches.scorer import PatchScorer, patches_of
from agad.errors import ConfigError

_BLOCK = 1024
"""Patches of the coreset that are compared at once: what bounds the memory of a score."""


def nearest_patches(x: Tensor, coreset: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distance of each patch from its nearest patch in a coreset, and where that is.

    A matrix product finds the nearest patch of each block of the coreset. It rounds too much for
    close patches, so the distance from the nearest patch is computed from the difference.

    Args:
        x: Patches ``(num, C)``.
        coreset: ``(M, C)``.

    Returns:
        The distances ``(num,)``, and the places of the nearest patches in the coreset ``(num,)``.
    """
    centre = coreset.mean(dim=0)
    shifted = x - centre
    distances = torch.full_like(x[:, 0], torch.inf)
    places = torch.zeros_like(distances, dtype=torch.int64)
    for start in range(0, len(coreset), _BLOCK):
        block = coreset[start : start + _BLOCK]
        centred = block - centre
        # The squared length of x is the same for every patch of the coreset.
        squared = torch.addmm(centred.square().sum(dim=1), shifted, centred.T, alpha=-2)
        place = squared.argmin(dim=1)
        exact = torch.linalg.vector_norm(block.index_select(0, place) - x, dim=1)
        is_nearer = exact < distances
        distances = torch.where(is_nearer, exact, distances)
        places = torch.where(is_nearer, place + start, places)
    return distances, places


class PatchKnnScorer(PatchScorer):
    """Patches of the normal images; a patch's score is the distance from the nearest."""

    tensors: ClassVar[Mapping[str, str]] = {"coreset": "MC"}
    holds: ClassVar[str] = "features of patches of the normal images of the fit split"
    config: PatchKnn
    coreset: Tensor

    @staticmethod
    def fit(
        config: PatchKnn, batches: Iterable[Tensor], rng: np.random.Generator
    ) -> dict[str, Tensor]:
        """Return the coreset of the patches of feature maps ``(B, C, H, W)``."""
        patches = torch.cat([patches_of(maps, config.patch_size).flatten(0, 1) for maps in batches])
        least = max(1, config.reweight_neighbors)
        num = min(len(patches), max(least, round(config.coreset_share * len(patches))))
        if config.reweight_neighbors and num < 2:
            raise ConfigError(
                f"{config.name} re-weights by at least 2 patches, but the fit split has 1; use "
                "more images, or reweight_neighbors=0."
            )
        if config.coreset == "random":
            places = random_coreset(len(patches), num, rng).to(patches.device)
        else:
            places = greedy_coreset(patches, num, rng)
        return {"coreset": patches[places]}

    def patch_scores(self, patches: Tensor) -> Tensor:
        """Return the distance of each patch from the coreset: equation 6 without its maximum."""
        return nearest_patches(patches, self.coreset)[0]

    def forward(self, images: Tensor) -> Tensor:
        """Return the largest distance of each image ``(B,)``, re-weighted if that is set."""
        if not self.config.reweight_neighbors:
            return super().forward(images)
        patches = patches_of(images, self.config.patch_size)
        batch, num, channels = patches.shape
        distances, places = nearest_patches(patches.reshape(-1, channels), self.coreset)
        worst = distances.reshape(batch, num).argmax(dim=1, keepdim=True)
        x = patches.gather(1, worst[:, :, None].expand(-1, -1, channels))[:, 0]
        place = places.reshape(batch, num).gather(1, worst)
        return self._reweighted(x, place, distances.reshape(batch, num).gather(1, worst)[:, 0])

    def _reweighted(self, x: Tensor, place: Tensor, distance: Tensor) -> Tensor:
        """Return the re-weighted scores ``(B,)``: equation 7.

        One minus the share of exp(distance from the nearest patch m*) in the sum of exp(distance)
        over the b patches of the coreset around m*, m* included; times that distance.

        Args:
            x: The worst patches of the images, ``(B, C)``.
            place: The place of the nearest patch m* of each, ``(B, 1)``.
            distance: The distance of m*, ``(B,)``.
        """
        centred = self.coreset - self.coreset.mean(dim=0)
        nearest = centred[place[:, 0]]
        squared = centred.square().sum(dim=1) - 2 * nearest @ centred.T
        squared = squared.scatter(1, place, -torch.inf)  # m* comes first, whatever is rounded.
        num = min(self.config.reweight_neighbors, len(self.coreset))
        around = self.coreset[squared.topk(num, dim=1, largest=False).indices]
        distances = torch.linalg.vector_norm(around - x[:, None], dim=2)
        shares: Tensor = distances.softmax(dim=1)
        return (1 - shares[:, 0]) * distance

    def sizes(self) -> dict[str, int]:
        """Return M."""
        return {"coreset_patches": len(self.coreset)}
