"""Scores of many images, and detectors whose scores are not of each image alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from agad.data import Subset
from agad.detectors import Agad
from agad.detectors.agad.training import AgadDetector
from agad.detectors.compute import Compute
from agad.errors import ScoreError
from agad.trial.score import check_scores, score, score_with_batch_statistics

if TYPE_CHECKING:
    from tests.trial.conftest import MakeStub

_KINDS: list[dict[str, Any]] = [
    {"backbone": "naive"},
    {"backbone": "naive", "score_statistics": "image"},
    {"backbone": "unet"},
    {"backbone": "unet", "score_statistics": "image"},
    {"backbone": "unet", "generator_norm": False},
    {"backbone": "unet++"},
    {"backbone": "unet++", "score_statistics": "image"},
]


def _images(num_images: int) -> Subset:
    rng = torch.Generator().manual_seed(5)
    pixels = torch.randint(256, (num_images + 3, 1, 16, 16), generator=rng).to(torch.uint8)
    return Subset(images=pixels, index=torch.randperm(num_images + 3, generator=rng)[:num_images])


def _greys(num_images: int) -> Subset:
    pixels = torch.arange(num_images).remainder(256).to(torch.uint8).view(-1, 1, 1, 1)
    return Subset(images=pixels, index=torch.arange(num_images))


def _mean_grey(images: Tensor) -> Tensor:
    return images.mean(dim=(1, 2, 3))


@pytest.fixture(params=_KINDS, ids=lambda one: "-".join(map(str, one.values())))
def trained(request: pytest.FixtureRequest) -> AgadDetector:
    """Return a detector of 16 x 16 images after three steps."""
    config = Agad(base_width=4, discriminator_width=4, lr=2e-3, **request.param)
    detector = AgadDetector(config, (1, 16, 16), torch.Generator().manual_seed(0), Compute())
    batch = _images(24).take(torch.arange(24))
    for _ in range(3):
        detector.update(batch[:16], batch[16:])
    return detector


@pytest.mark.parametrize("num_images", [1, 255, 256, 257, 600])
def test_score_returns_one_score_an_image_in_the_order_of_the_subset(
    num_images: int, make_stub: MakeStub
) -> None:
    scores = score(make_stub(), _greys(num_images))
    expected = torch.arange(num_images) % 256 / 127.5 - 1
    torch.testing.assert_close(scores, expected)


def test_scores_do_not_depend_on_the_order_of_the_subset(trained: AgadDetector) -> None:
    images = _images(300)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(1))
    shuffled = Subset(images=images.images, index=images.index[order])
    torch.testing.assert_close(
        score(trained, shuffled), score(trained, images)[order], rtol=1e-5, atol=0
    )


@pytest.mark.parametrize("num_images", [1, 5, 32, 100])
def test_check_scores_allows_scores_of_each_image_alone(
    num_images: int, trained: AgadDetector
) -> None:
    check_scores(trained, _images(num_images))


def test_check_scores_refuses_scores_by_the_statistics_of_a_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = Agad(backbone="unet", base_width=4, discriminator_width=4)
    detector = AgadDetector(config, (1, 16, 16), torch.Generator().manual_seed(0), Compute())
    monkeypatch.setattr(detector, "score", detector.score_with_batch_statistics)
    message = r"scores of the same images .* differ by .* must not depend on batch size"
    with pytest.raises(ScoreError, match=message):
        check_scores(detector, _images(100))


@pytest.mark.parametrize(
    ("scored", "way"),
    [
        (lambda images: _mean_grey(images) + len(images), "backwards in batches of 7"),
        (lambda images: _mean_grey(images) - images.mean(), "backwards in batches of 7"),
        (lambda images: _mean_grey(images) + 9 + torch.arange(len(images)), "backwards in"),
        (lambda images: _mean_grey(images) + 9 + (len(images) == 1), "one by one"),
    ],
    ids=["batch-size", "neighbours", "order", "alone"],
)
def test_check_scores_refuses_scores_that_depend_on_anything_else(
    scored: Callable[[Tensor], Tensor], way: str, make_stub: MakeStub
) -> None:
    with pytest.raises(ScoreError, match=f"scores of the same images {way}"):
        check_scores(make_stub(scores=scored), _images(100))


def test_check_scores_allows_the_rounding_of_another_order_of_summation(
    make_stub: MakeStub,
) -> None:
    def scored(images: Tensor) -> Tensor:
        return 100 + _mean_grey(images) * (1 + 1e-6 * len(images))

    check_scores(make_stub(scores=scored), _images(100))


def test_check_scores_looks_at_images_of_the_whole_subset(make_stub: MakeStub) -> None:
    seen: list[Tensor] = []

    def scored(images: Tensor) -> Tensor:
        seen.append(images)
        return _mean_grey(images)

    check_scores(make_stub(scores=scored), _greys(200))
    greys = {round((value + 1) * 127.5) for value in seen[0].flatten().tolist()}
    assert len(greys) == 32
    assert {0, 199} < greys


@pytest.mark.parametrize("score_statistics", ["running", "image"])
def test_leaking_scores_depend_on_the_batches_and_their_order(score_statistics: str) -> None:
    config = Agad(
        backbone="unet",
        base_width=4,
        discriminator_width=4,
        score_statistics=score_statistics,
    )
    detector = AgadDetector(config, (1, 16, 16), torch.Generator().manual_seed(0), Compute())
    images = _images(64)
    backwards = Subset(images=images.images, index=images.index.flip(0))
    whole = score_with_batch_statistics(detector, images, 64)
    halves = score_with_batch_statistics(detector, images, 32)
    turned = score_with_batch_statistics(detector, backwards, 48)
    assert whole is not None
    assert halves is not None
    assert turned is not None
    for other in (halves, turned.flip(0)):
        assert not torch.allclose(other, whole, rtol=1e-4)
    torch.testing.assert_close(halves[:32], detector.score_with_batch_statistics(_first(images)))


def _first(images: Subset) -> Tensor:
    return images.take(torch.arange(32))


def test_leaking_scores_leave_the_running_statistics_untouched(trained: AgadDetector) -> None:
    before = {name: value.clone() for name, value in trained.generator.state_dict().items()}
    score_with_batch_statistics(trained, _images(100), 32)
    torch.testing.assert_close(trained.generator.state_dict(), before, rtol=0, atol=0)


def test_a_generator_without_normalisation_has_no_leaking_scores() -> None:
    config = Agad(backbone="unet", base_width=4, discriminator_width=4, generator_norm=False)
    detector = AgadDetector(config, (1, 16, 16), torch.Generator().manual_seed(0), Compute())
    assert score_with_batch_statistics(detector, _images(64), 16) is None
