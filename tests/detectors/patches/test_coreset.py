"""The coreset against a loop over all patches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from agad.detectors.patches import coreset
from agad.detectors.patches.coreset import NUM_PROJECTIONS, greedy_coreset, random_coreset


def _patches(num: int, num_features: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(num, num_features))


def _naive(points: NDArray[np.float64], num: int, first: int) -> list[int]:
    """Return the places that algorithm 1 of PatchCore chooses, one look at all patches for each."""
    chosen = [first]
    while len(chosen) < num:
        gaps = points[:, None] - points[chosen]
        chosen.append(int(np.linalg.norm(gaps, axis=2).min(axis=1).argmax()))
    return chosen


@pytest.mark.parametrize("pool", [1, 7, 50, 4096])
@pytest.mark.parametrize("num", [1, 2, 40, 300])
def test_a_greedy_coreset_is_that_of_the_naive_loop(
    pool: int, num: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coreset, "_POOL", pool)
    points = _patches(300, 9)
    found = greedy_coreset(torch.from_numpy(points), num, np.random.default_rng(3))
    first = int(np.random.default_rng(3).integers(300))
    assert found.tolist() == _naive(points, num, first)


def test_many_features_are_compared_on_random_projections() -> None:
    points = _patches(200, 300)
    found = greedy_coreset(torch.from_numpy(points), 30, np.random.default_rng(3))
    rng = np.random.default_rng(3)
    directions = rng.standard_normal((300, NUM_PROJECTIONS), dtype=np.float32)
    projected = points @ (directions / NUM_PROJECTIONS**0.5).astype(np.float64)
    assert found.tolist() == _naive(projected, 30, int(rng.integers(200)))


def test_projections_keep_distances_nearly() -> None:
    points = torch.from_numpy(_patches(50, 2_000))
    projected = coreset._projected(points, np.random.default_rng(0))
    before, after = torch.pdist(points), torch.pdist(projected)
    assert ((after / before - 1).abs() < 0.35).all()


def test_equal_patches_are_chosen_last_and_each_once() -> None:
    points = torch.from_numpy(np.concatenate([_patches(5, 4), np.zeros((60, 4))]))
    found = greedy_coreset(points.float(), 65, np.random.default_rng(0))
    assert sorted(found.tolist()) == list(range(65))
    assert set(found[:7].tolist()) >= {0, 1, 2, 3, 4}


def test_a_random_coreset_is_distinct_and_ascending() -> None:
    found = random_coreset(100, 30, np.random.default_rng(0)).tolist()
    assert found == sorted(set(found))
    assert len(found) == 30
    assert found != random_coreset(100, 30, np.random.default_rng(1)).tolist()


def test_a_greedy_coreset_leaves_no_patch_as_far_as_a_random_coreset_does() -> None:
    points = torch.from_numpy(_patches(2_000, 8)).float()
    greedy = greedy_coreset(points, 100, np.random.default_rng(0))
    random = random_coreset(2_000, 100, np.random.default_rng(0))
    farthest = [float(torch.cdist(points, points[one]).amin(1).amax()) for one in (greedy, random)]
    assert farthest[0] < 0.8 * farthest[1]
