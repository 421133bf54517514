"""Which patches of the normal images a model keeps.

Axes: N patches, M chosen patches, D features of a patch, Q projections.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

NUM_PROJECTIONS = 128
"""Q. Random projections keep distances nearly (Johnson and Lindenstrauss, 1984)."""

_POOL = 4096
"""Patches among which the next ones are sought at once."""

_BLOCK = 64
"""Chosen patches whose distances from all patches are computed at once."""


def random_coreset(num_patches: int, num: int, rng: np.random.Generator) -> Tensor:
    """Return the places of some patches ``(M,)``, drawn without replacement, ascending.

    Args:
        num_patches: N.
        num: M, from 1 to N.
        rng: Source of the draw, advanced in place.
    """
    return torch.from_numpy(np.sort(rng.choice(num_patches, num, replace=False)))


def greedy_coreset(patches: Tensor, num: int, rng: np.random.Generator) -> Tensor:
    """Return the places of the chosen patches ``(M,)``, on the device of the patches.

    Each chosen patch is the farthest from all that were chosen before. The first one is drawn.
    Distances are those of ``NUM_PROJECTIONS`` random projections if a patch
    has more features.

    Source: Roth et al., CVPR 2022, equation 5 and algorithm 1. The result is that of the algorithm;
    the way there is shorter. A patch only comes nearer to the chosen ones. So the farthest patch
    lies in a pool of patches that were far before, as long as the pool has one that is farther than
    every patch beside the pool was. Then a chosen patch is compared with the pool, and with all
    patches only later, together with others.

    Args:
        patches: ``(N, D)``.
        num: M, from 1 to N.
        rng: Source of the projections and of the first patch, advanced in place.
    """
    points = _projected(patches - patches.mean(dim=0), rng)
    squares = points.square().sum(dim=1)
    new = torch.tensor([int(rng.integers(len(points)))], device=points.device)
    chosen = [new]
    distances = torch.full_like(squares, torch.inf)
    while (num_left := num - sum(map(len, chosen))) > 0:
        _approach(distances, points, squares, new)
        new = _farthest(distances, points, squares, num_left)
        chosen.append(new)
    return torch.cat(chosen)


def _projected(points: Tensor, rng: np.random.Generator) -> Tensor:
    num_features = points.shape[1]
    if num_features <= NUM_PROJECTIONS:
        return points
    drawn = rng.standard_normal((num_features, NUM_PROJECTIONS), dtype=np.float32)
    directions = torch.from_numpy(drawn / NUM_PROJECTIONS**0.5)
    return points @ directions.to(points.device, points.dtype)


def _approach(distances: Tensor, points: Tensor, squares: Tensor, new: Tensor) -> None:
    """Let squared distances ``(N,)`` from the chosen patches know of further ones."""
    for block in torch.split(new, _BLOCK):
        relative = torch.addmm(squares[block], points, points[block].T, alpha=-2)
        torch.minimum(distances, relative.amin(dim=1).add_(squares), out=distances)
    distances[new] = -torch.inf  # A chosen patch is never chosen again.


def _farthest(distances: Tensor, points: Tensor, squares: Tensor, most: int) -> Tensor:
    """Return the places of the next patches, at least one and at most ``most``."""
    found = distances.topk(min(_POOL, len(distances)))
    is_all = len(found.values) == len(distances)
    farthest_beside = -torch.inf if is_all else float(found.values[-1])
    pool = found.indices.sort().values
    near, at, lengths = distances[pool], points[pool], squares[pool]
    taken: list[int] = []
    while len(taken) < most:
        place = int(near.argmax())
        if taken and float(near[place]) < farthest_beside:
            break
        taken.append(place)
        squared = torch.addmv(lengths + lengths[place], at, at[place], alpha=-2)
        torch.minimum(near, squared, out=near)
        near[place] = -torch.inf
    return pool[torch.tensor(taken, device=pool.device)]
