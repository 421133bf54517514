"""Scores: of each image alone, and those that leak, for diagnosis."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
import torch
from torch import Tensor

from agad.detectors.agad.training import AgadDetector

MakeDetector: TypeAlias = Callable[..., AgadDetector]
MakeImages: TypeAlias = Callable[..., Tensor]

_KINDS: list[dict[str, Any]] = [
    {"backbone": "naive"},
    {"backbone": "naive", "score_statistics": "image"},
    {"backbone": "unet"},
    {"backbone": "unet", "score_statistics": "image"},
    {"backbone": "unet", "generator_norm": False},
    {"backbone": "unet++"},
    {"backbone": "unet++", "score_statistics": "image"},
    {"backbone": "unet++", "advprop": True},
]


@pytest.fixture(params=_KINDS, ids=lambda one: "-".join(map(str, one.values())))
def trained(request: pytest.FixtureRequest, make_detector: MakeDetector) -> AgadDetector:
    """Return a detector whose running statistics and weights have moved."""
    return make_detector(lr=2e-3, num_updates=4, **request.param)


def test_scores_do_not_depend_on_the_batch_or_its_order(
    trained: AgadDetector, make_images: MakeImages
) -> None:
    images = make_images(64, seed=9)
    whole = trained.score(images)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1))
    for size in (1, 7, 64):
        pieces = torch.cat([trained.score(some) for some in torch.split(images[order], size)])
        torch.testing.assert_close(pieces, whole[order], rtol=1e-5, atol=0)


def test_a_score_does_not_depend_on_its_neighbours(
    trained: AgadDetector, make_images: MakeImages
) -> None:
    images = make_images(8, seed=9)
    among_others = torch.cat([images[:1], torch.ones(63, 1, 16, 16)])
    alone = trained.score(images[:1])
    torch.testing.assert_close(trained.score(among_others)[:1], alone, rtol=1e-5, atol=0)


@pytest.mark.parametrize("backbone", ["naive", "unet", "unet++"])
def test_a_score_is_the_norm_of_the_reconstruction_error_in_eval(
    backbone: str, make_detector: MakeDetector, make_images: MakeImages
) -> None:
    detector = make_detector(backbone=backbone, num_updates=4)
    images = make_images(8, seed=9)
    generator = copy.deepcopy(detector.generator).eval()
    with torch.no_grad():
        error = (images - generator(images)).flatten(1).double()
    expected = [math.sqrt(sum(value * value for value in one)) for one in error.tolist()]
    scores = detector.score(images)
    assert scores.shape == (8,)
    assert scores.tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("backbone", ["naive", "unet", "unet++"])
def test_a_score_by_the_images_own_statistics_is_that_of_training_on_it_alone(
    backbone: str, make_detector: MakeDetector, make_images: MakeImages
) -> None:
    detector = make_detector(backbone=backbone, score_statistics="image", num_updates=4)
    images = make_images(8, seed=9)
    generator = copy.deepcopy(detector.generator).train()
    with torch.no_grad():
        expected = [float((image - generator(image)).norm()) for image in torch.split(images, 1)]
    assert detector.score(images).tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("backbone", ["naive", "unet", "unet++"])
def test_a_leaking_score_is_that_of_a_pass_without_eval(
    backbone: str, make_detector: MakeDetector, make_images: MakeImages
) -> None:
    detector = make_detector(backbone=backbone, num_updates=4)
    images = make_images(8, seed=9)
    generator = copy.deepcopy(detector.generator).train()
    with torch.no_grad():
        expected = (images - generator(images)).flatten(1).norm(dim=1)
    torch.testing.assert_close(detector.score_with_batch_statistics(images), expected)


def test_a_leaking_score_depends_on_its_neighbours(
    make_detector: MakeDetector, make_images: MakeImages
) -> None:
    detector, images = make_detector(backbone="unet", num_updates=4), make_images(8, seed=9)
    among_others = torch.cat([images[:1], torch.ones(7, 1, 16, 16)])
    alone, beside = map(detector.score_with_batch_statistics, (images, among_others))
    assert alone is not None
    assert beside is not None
    assert not torch.allclose(alone[0], beside[0], rtol=1e-3)


@pytest.mark.parametrize("name", ["score", "score_with_batch_statistics"])
def test_scoring_leaves_weights_and_running_statistics_untouched(
    name: str, trained: AgadDetector, make_images: MakeImages
) -> None:
    networks = (trained.generator, trained.discriminator)
    before = [copy.deepcopy(network.state_dict()) for network in networks]
    getattr(trained, name)(make_images(16, seed=9))
    after = [network.state_dict() for network in networks]
    torch.testing.assert_close(after, before, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["score", "score_with_batch_statistics"])
def test_scoring_between_updates_changes_no_update(
    name: str, make_detector: MakeDetector, make_images: MakeImages
) -> None:
    quiet, scored = make_detector(), make_detector()
    for step in range(3):
        getattr(scored, name)(make_images(5, seed=50 + step))
        for detector in (quiet, scored):
            detector.update(make_images(16, seed=step), None)
    torch.testing.assert_close(
        quiet.generator.state_dict(), scored.generator.state_dict(), rtol=0, atol=0
    )


@pytest.mark.parametrize("name", ["score", "score_with_batch_statistics", "rebuild"])
def test_scores_carry_no_gradient(
    name: str, make_detector: MakeDetector, make_images: MakeImages
) -> None:
    assert not getattr(make_detector(), name)(make_images(2)).requires_grad
