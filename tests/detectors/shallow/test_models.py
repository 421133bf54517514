"""States, exported scorers and refused weights of every shallow detector."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from agad.detectors import (
    IsolationForest,
    Knn,
    KnnProbe,
    Lof,
    Mahalanobis,
    OneClassSvm,
    Pca,
    Probe,
    Rebuilder,
)
from agad.detectors.compute import Compute
from agad.detectors.shallow.configuration import ShallowDetector
from agad.detectors.shallow.features import KINDS, FeatureKind
from agad.detectors.shallow.model import ShallowModel
from agad.errors import ConfigError
from agad.trial.checkpoint import from_bytes, to_bytes
from tests.detectors.shallow.conftest import SHAPE

if TYPE_CHECKING:
    from tests.detectors.shallow.conftest import DrawPixels, FitModel, Prepare

ALL = (
    Lof(),
    Knn(),
    Pca(),
    OneClassSvm(),
    IsolationForest(),
    Mahalanobis(),
    Probe(),
    KnnProbe(),
)
every = pytest.mark.parametrize("config", ALL, ids=[one.name for one in ALL])
kinds = pytest.mark.parametrize("features", list(KINDS))


@pytest.fixture
def fitted(draw_pixels: DrawPixels, fit_model: FitModel) -> Any:  # noqa: ANN401
    """Fit a detector on 60 normal images, and on 8 anomalies."""

    def fit(config: ShallowDetector, seed: int = 0) -> ShallowModel:
        return fit_model(config, draw_pixels(60, 0), draw_pixels(8, 1, noise=40.0), seed)

    return fit


@pytest.fixture
def images(draw_pixels: DrawPixels, prepare: Prepare) -> Any:  # noqa: ANN401
    """Return 30 images, as a detector takes them."""
    return lambda config: prepare(config, draw_pixels(30, 2))


@every
@kinds
def test_a_state_is_tensors_alone_and_restores_bit_for_bit(
    config: ShallowDetector,
    features: str,
    fitted: Any,  # noqa: ANN401
    images: Any,  # noqa: ANN401
) -> None:
    config = replace(config, features=features)
    model, x = fitted(config), images(config)
    state = model.state()["scorer"]
    assert all(isinstance(one, Tensor) for one in state.values())
    other = config.build(SHAPE, torch.Generator(), Compute())
    other.restore(from_bytes(to_bytes(model.state()), "here"))
    assert torch.equal(other.score(x), model.score(x))


@every
@kinds
def test_an_exported_scorer_scores_bit_for_bit_as_the_detector(
    config: ShallowDetector,
    features: str,
    fitted: Any,  # noqa: ANN401
    images: Any,  # noqa: ANN401
) -> None:
    config = replace(config, features=features)
    model, x = fitted(config), images(config)
    scorer = config.build_scorer(SHAPE, model.scoring_weights())
    with torch.no_grad():
        assert torch.equal(scorer(x), model.score(x))


@every
def test_the_seed_alone_decides_a_fit(
    config: ShallowDetector,
    fitted: Any,  # noqa: ANN401
    images: Any,  # noqa: ANN401
) -> None:
    x = images(config)
    assert torch.equal(fitted(config, 1).score(x), fitted(config, 1).score(x))
    draws = isinstance(config, IsolationForest | KnnProbe)
    assert torch.equal(fitted(config, 1).score(x), fitted(config, 2).score(x)) is not draws


@every
def test_a_state_before_the_fit_is_one_to_go_on_from(config: ShallowDetector) -> None:
    model = config.build(SHAPE, torch.Generator(), Compute())
    model.restore(model.state())
    assert model.state() == {"scorer": {}}


@every
@pytest.mark.parametrize("broken", ["missing", "another axis", "type", "nan"])
def test_weights_of_another_model_are_refused(
    config: ShallowDetector,
    broken: str,
    fitted: Any,  # noqa: ANN401
) -> None:
    weights = fitted(config).scoring_weights()
    name = next(iter(weights))
    tensor = weights.pop(name)
    changed: dict[str, dict[str, Tensor]] = {
        "missing": {},
        "another axis": {name: tensor[None]},
        "type": {name: tensor.to(torch.float16)},
        "nan": {name: torch.full_like(tensor.double(), torch.nan).to(torch.float64)},
    }
    with pytest.raises(ValueError, match=name):
        config.build_scorer(SHAPE, weights | changed[broken])


def test_a_forest_with_a_node_that_does_not_exist_is_refused(
    fitted: Any,  # noqa: ANN401
) -> None:
    config = IsolationForest()
    weights = fitted(config).scoring_weights()
    weights["left"] = weights["left"] + 10_000
    with pytest.raises(ValueError, match="names a node or feature that is not"):
        config.build_scorer(SHAPE, weights)


@every
def test_a_scorer_says_which_training_images_it_holds(
    config: ShallowDetector,
    fitted: Any,  # noqa: ANN401
    draw_pixels: DrawPixels,
    prepare: Prepare,
) -> None:
    weights = fitted(config).scoring_weights()
    normals = prepare(config, draw_pixels(60, 0)).flatten(1)
    holds = any(
        tensor.shape[-1:] == (72,) and (tensor.float() == normals[:, None]).all(-1).any()
        for tensor in weights.values()
        if tensor.ndim == 2
    )
    text = config.build_scorer(SHAPE, weights).holds
    assert bool(text) is holds
    assert not text or text.startswith("the pixels of ")


def test_only_pca_on_pixels_rebuilds_images(fitted: Any) -> None:  # noqa: ANN401
    rebuilders = {one.name for one in ALL if isinstance(fitted(one), Rebuilder)}
    assert rebuilders == {"pca"}


def test_a_device_without_float64_is_refused() -> None:
    with pytest.raises(ConfigError, match="--device is mps, but lof computes in float64, which"):
        Lof().build(SHAPE, torch.Generator(), Compute(device="mps"))


def test_a_further_kind_of_features_plugs_in_at_one_place(
    monkeypatch: pytest.MonkeyPatch,
    fitted: Any,  # noqa: ANN401
    images: Any,  # noqa: ANN401
) -> None:
    further = FeatureKind(
        input=Knn(features="pixels-standardised").input(),
        external_data="ImageNet",
        module=__name__,
        holds="embeddings",
    )
    monkeypatch.setitem(KINDS, "learned", further)
    config = Knn(features="learned")
    model, x = fitted(config), images(config)
    assert config.supervision.external_data == "ImageNet"
    weights = model.scoring_weights()
    assert set(weights) == {"fitted", "features.mix"}
    assert weights["fitted"].shape == (60, 3)
    scorer = config.build_scorer(SHAPE, weights)
    assert torch.equal(scorer(x), model.score(x))
    assert scorer.holds == "the embeddings of every normal image of the fit split"
    with pytest.raises(ValueError, match=r"features\.mix"):
        config.build_scorer(SHAPE, {"fitted": weights["fitted"]})


def build(image_shape: tuple[int, int, int]) -> Any:  # noqa: ANN401
    """Return three features that weights make of the pixels: a kind that this module brings."""
    from agad.detectors.shallow.pixels import Features

    class Learned(Features):
        num_features = 3

        def __init__(self) -> None:
            super().__init__()
            rng = torch.Generator().manual_seed(5)
            num_pixels = image_shape[0] * image_shape[1] * image_shape[2]
            if torch.empty(0).device.type == "meta":
                self.register_buffer("mix", torch.empty(num_pixels, 3))
            else:
                self.register_buffer("mix", torch.randn(num_pixels, 3, generator=rng))

        def of(self, images: Tensor) -> Tensor:
            mix: Any = self.mix
            found: Tensor = images.flatten(1) @ mix
            return found

    return Learned()
