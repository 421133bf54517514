"""The nearest normal images: against a loop, with images that are equal or equally far."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor

from agad.detectors import Knn, Lof
from agad.detectors.shallow.neighbours import nearest
from agad.errors import ConfigError

if TYPE_CHECKING:
    from tests.detectors.shallow.conftest import DrawPixels, FitModel, Prepare


def _by_a_loop(x: Tensor, fitted: Tensor, num: int) -> list[float]:
    means = []
    for image in x.flatten(1).tolist():
        distances = [
            math.sqrt(sum((a - b) ** 2 for a, b in zip(image, other, strict=True)))
            for other in fitted.flatten(1).tolist()
        ]
        means.append(sum(sorted(distances)[:num]) / num)
    return means


@pytest.mark.parametrize("num", [1, 2, 5])
def test_the_score_of_knn_is_that_of_a_loop_over_all_pairs(
    num: int, draw_pixels: DrawPixels, fit_model: FitModel, prepare: Prepare
) -> None:
    config, normals, x = Knn(num_neighbors=num), draw_pixels(30, 0), draw_pixels(10, 1)
    expected = _by_a_loop(prepare(config, x), prepare(config, normals), num)
    scores = fit_model(config, normals).score(prepare(config, x))
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("features", ["pixels", "pixels-standardised"])
def test_an_image_of_the_fit_split_has_distance_0_in_every_batch(
    features: str, draw_pixels: DrawPixels, fit_model: FitModel, prepare: Prepare
) -> None:
    config, normals = Knn(features=features), draw_pixels(40, 0)
    model, images = fit_model(config, normals), prepare(config, normals)
    assert (model.score(images) == 0).all()
    assert all(model.score(images[place : place + 1]) == 0 for place in range(5))


def test_an_image_equally_far_from_many_has_the_same_neighbours_in_every_batch() -> None:
    rng = np.random.default_rng(0)
    fitted = torch.from_numpy(rng.integers(0, 2, (64, 6)) / 127.5 - 1)
    x = torch.from_numpy(rng.integers(0, 2, (32, 6)) / 127.5 - 1)
    _, places = nearest(x, fitted, 5)
    alone = [nearest(one[None], fitted, 5)[1][0] for one in x]
    assert torch.equal(places, torch.stack(alone))


def test_equal_images_leave_finite_scores_of_lof(
    draw_pixels: DrawPixels, fit_model: FitModel, prepare: Prepare
) -> None:
    config, normals = Lof(num_neighbors=5), draw_pixels(3, 0).repeat(20, axis=0)
    scores = fit_model(config, normals).score(prepare(config, draw_pixels(10, 1)))
    assert scores.isfinite().all()


@pytest.mark.parametrize("config", [Lof(), Knn(num_neighbors=20)])
def test_fewer_images_than_neighbours_are_all_taken(
    config: Lof | Knn, draw_pixels: DrawPixels, fit_model: FitModel, prepare: Prepare
) -> None:
    normals, x = draw_pixels(9, 0), draw_pixels(5, 1)
    model = fit_model(config, normals)
    most = 8 if isinstance(config, Lof) else 9
    same = fit_model(type(config)(num_neighbors=most), normals)
    assert vars(model)["figures"] == {"neighbours": most}
    assert torch.equal(model.score(prepare(config, x)), same.score(prepare(config, x)))


def test_a_single_normal_image_has_no_neighbour(
    draw_pixels: DrawPixels, fit_model: FitModel
) -> None:
    with pytest.raises(ConfigError, match="lof needs at least 2 normal images, but the fit split"):
        fit_model(Lof(), draw_pixels(1, 0))
