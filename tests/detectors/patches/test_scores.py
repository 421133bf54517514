"""Scores and maps against loops that share no code with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA  # type: ignore[import-untyped]

from agad.detectors import PatchKnn, PatchPca
from agad.detectors.patches.nearest import nearest_patches
from agad.detectors.patches.scorer import patches_of
from agad.detectors.patches.subspace import PatchPcaScorer

if TYPE_CHECKING:
    from tests.detectors.patches.conftest import DrawMaps, FitPatches


def _patches(maps: torch.Tensor, patch_size: int) -> NDArray[np.float64]:
    """Return ``(B, H, W, C)`` means of neighbourhoods, place by place."""
    x = maps.double().numpy()
    reach = patch_size // 2
    found = np.empty((len(x), *x.shape[2:], x.shape[1]))
    for row in range(x.shape[2]):
        for column in range(x.shape[3]):
            rows = slice(max(0, row - reach), row + reach + 1)
            columns = slice(max(0, column - reach), column + reach + 1)
            found[:, row, column] = x[:, :, rows, columns].mean(axis=(2, 3))
    return found


def _distances(patches: NDArray[np.float64], coreset: NDArray[np.float64]) -> NDArray[np.float64]:
    gaps = patches[..., None, :] - coreset
    found: NDArray[np.float64] = np.sqrt((gaps**2).sum(axis=-1))
    return found


@pytest.mark.parametrize("patch_size", [1, 3, 5])
def test_a_patch_is_the_mean_of_the_places_that_exist(patch_size: int, draw_maps: DrawMaps) -> None:
    maps = draw_maps(3, 1)
    found = patches_of(maps, patch_size).numpy()
    assert found == pytest.approx(_patches(maps, patch_size).reshape(3, -1, 12), abs=1e-6)


@pytest.mark.parametrize("coreset", ["greedy", "random"])
def test_a_map_is_the_distance_from_the_nearest_patch_of_the_coreset(
    coreset: str, draw_maps: DrawMaps, fit_patches: FitPatches
) -> None:
    model = fit_patches(PatchKnn(coreset=coreset, coreset_share=0.2))
    kept = model.scoring_weights()["coreset"].double().numpy()
    assert len(kept) == 72  # A fifth of 12 maps of 30 places.
    normal = _patches(draw_maps(12, 0), 3).reshape(-1, 12)
    assert _distances(kept, normal).min(axis=1) == pytest.approx(0, abs=1e-6)
    maps = draw_maps(8, 1, noise=30.0)
    expected = _distances(_patches(maps, 3), kept).min(axis=-1)
    assert model.anomaly_map(maps).numpy() == pytest.approx(expected, rel=1e-5)
    assert model.score(maps).numpy() == pytest.approx(expected.max(axis=(1, 2)), rel=1e-5)


def test_the_nearest_patch_is_found_in_every_block_of_a_large_coreset() -> None:
    rng = np.random.default_rng(0)
    coreset, x = rng.normal(size=(2_500, 6)) + 50, rng.normal(size=(90, 6)) + 50
    distances, places = nearest_patches(
        torch.from_numpy(x).float(), torch.from_numpy(coreset).float()
    )
    every = _distances(x, coreset)
    assert (places.numpy() == every.argmin(axis=1)).mean() > 0.98  # Rounded inputs swap some.
    assert distances.numpy() == pytest.approx(every.min(axis=1), abs=1e-5)
    assert len({place // 1024 for place in places.tolist()}) == 3


def test_a_patch_of_the_coreset_is_at_distance_zero() -> None:
    coreset = torch.randn(1_500, 30, generator=torch.Generator().manual_seed(0)) + 9
    distances, places = nearest_patches(coreset, coreset)
    assert torch.equal(places, torch.arange(1_500))
    assert not distances.any()


@pytest.mark.parametrize("num_neighbors", [2, 3, 9])
def test_a_score_is_re_weighted_by_equation_7(
    num_neighbors: int, draw_maps: DrawMaps, fit_patches: FitPatches
) -> None:
    config = PatchKnn(coreset_share=0.1, reweight_neighbors=num_neighbors)
    model, maps = fit_patches(config), draw_maps(8, 1, noise=30.0)
    kept = model.scoring_weights()["coreset"].double().numpy()
    expected = []
    for patches in _patches(maps, 3).reshape(8, -1, 12):
        distances = _distances(patches, kept)
        worst = distances.min(axis=1).argmax()
        nearest = distances[worst].argmin()
        around = np.argsort(_distances(kept[nearest], kept))[:num_neighbors]
        share = np.exp(distances[worst, nearest]) / np.exp(distances[worst, around]).sum()
        expected.append((1 - share) * distances[worst, nearest])
    assert model.score(maps).numpy() == pytest.approx(np.array(expected), rel=1e-5)
    plain = fit_patches(PatchKnn(coreset_share=0.1))
    assert torch.equal(model.anomaly_map(maps), plain.anomaly_map(maps))


@pytest.mark.parametrize("variance", [0.5, 0.9, 0.985])
def test_a_map_is_the_residual_of_scikit_learns_components(
    variance: float, draw_maps: DrawMaps, fit_patches: FitPatches
) -> None:
    model = fit_patches(PatchPca(variance=variance, patch_size=1))
    normal = _patches(draw_maps(12, 0), 1).reshape(-1, 12)
    fitted: Any = PCA(variance, svd_solver="full").fit(normal)
    maps = draw_maps(8, 1, noise=30.0)
    patches = _patches(maps, 1).reshape(-1, 12)
    rebuilt = fitted.inverse_transform(fitted.transform(patches))
    expected = np.linalg.norm(patches - rebuilt, axis=1).reshape(8, 5, 6)
    assert len(model.scoring_weights()["components"]) == fitted.n_components_
    assert model.anomaly_map(maps).numpy() == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert model.score(maps).numpy() == pytest.approx(expected.max(axis=(1, 2)), rel=1e-5)


def test_patches_that_are_all_alike_leave_the_distance_from_them() -> None:
    alike = torch.full((2, 12, 5, 6), 0.25)
    fitted = PatchPcaScorer.fit(PatchPca(), [alike], np.random.default_rng(0))
    assert fitted["components"].shape == (0, 12)
    model = PatchPca().build_scorer((12, 5, 6), fitted)
    assert model(alike + 1).numpy() == pytest.approx(12**0.5, rel=1e-6)


def test_components_that_explain_all_leave_one_direction(
    draw_maps: DrawMaps, fit_patches: FitPatches
) -> None:
    model = fit_patches(PatchPca(variance=0.9999, patch_size=1))
    assert model.scoring_weights()["components"].shape == (11, 12)
    assert (model.anomaly_map(draw_maps(8, 1, noise=30.0)) > 1e-4).all()
