"""The PCA detector, against scikit-learn called directly."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA  # type: ignore[import-untyped]
from torch import Tensor

from agad.config import TRAIN
from agad.data import FitBatches, on_device
from agad.detectors import Pca, Rebuilder
from agad.detectors.compute import Compute
from agad.detectors.shallow.model import RebuildingModel
from agad.errors import ConfigError
from agad.trial import ModelCard
from agad.trial.contract.bench import Bench

Fit: TypeAlias = Callable[..., RebuildingModel]

SHAPE = (2, 6, 6)
CPU = torch.device("cpu")


def _pixels(num: int, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Draw images near a plane of few directions, so that few components explain them."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(7).normal(size=(5, int(np.prod(SHAPE))))
    images = 128 + 20 * rng.normal(size=(num, 5)) @ directions + rng.normal(size=(num, 72))
    return images.clip(0, 255).astype(np.uint8).reshape(num, *SHAPE)


def _batches(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> FitBatches:
    return FitBatches(
        normals=on_device(pixels, np.arange(len(pixels)), CPU),
        anomalies=on_device(pixels, np.arange(0), CPU),
        num_normals=len(pixels),
        num_anomalies=0,
    )


def _build(config: Pca) -> RebuildingModel:
    built: RebuildingModel = config.build(SHAPE, torch.Generator().manual_seed(0), Compute())
    return built


def _fitted(variance: float = 0.9, num: int = 300) -> tuple[RebuildingModel, dict[str, float]]:
    detector = _build(Pca(variance=variance))
    batches = _batches(_pixels(num, 0))
    detector.begin_stage(TRAIN, batches)
    return detector, detector.fit_epoch(TRAIN, batches, np.random.default_rng(0))


def _images(num: int = 40, seed: int = 1) -> Tensor:
    return torch.from_numpy(_pixels(num, seed)).div(127.5).sub(1.0)


@pytest.mark.parametrize("variance", [0.5, 0.9, 0.99])
def test_scores_are_the_residuals_of_scikit_learns_pca(variance: float) -> None:
    detector, figures = _fitted(variance)
    fit = (_pixels(300, 0).astype(np.float64) / 127.5 - 1).reshape(300, -1)
    pca = PCA(variance, svd_solver="full").fit(fit)
    x = _images().double().flatten(1).numpy()
    residuals = x - pca.inverse_transform(pca.transform(x))
    assert figures == {"components": float(pca.n_components_)}
    np.testing.assert_allclose(
        detector.score(_images()).numpy(), np.linalg.norm(residuals, axis=1), rtol=1e-4
    )


def test_an_image_is_rebuilt_as_scikit_learn_rebuilds_it() -> None:
    detector, _ = _fitted()
    fit = (_pixels(300, 0).astype(np.float64) / 127.5 - 1).reshape(300, -1)
    pca = PCA(0.9, svd_solver="full").fit(fit)
    x = _images().double().flatten(1).numpy()
    expected = pca.inverse_transform(pca.transform(x)).reshape(-1, *SHAPE)
    assert isinstance(detector, Rebuilder)
    np.testing.assert_allclose(detector.rebuild(_images()).numpy(), expected, atol=1e-5)


def test_the_exported_scorer_scores_as_the_detector_does() -> None:
    detector, _ = _fitted()
    scorer = Pca().build_scorer(SHAPE, detector.scoring_weights())
    assert torch.equal(scorer(_images()), detector.score(_images()))


def test_a_restored_detector_scores_bit_for_bit_as_before() -> None:
    detector, _ = _fitted()
    other = _build(Pca())
    other.restore(detector.state())
    assert torch.equal(other.score(_images()), detector.score(_images()))


def test_a_trial_key_is_that_of_before_pca_took_features(tmp_path: Path) -> None:
    spec = Bench(detector=Pca, folder=tmp_path).spec()
    assert spec.key == "2f06ed60bbdd82702748593f08238b96"
    further = replace(spec, detector=Pca(variance=0.5))
    assert further.key == "8e33f0bcffcae8859a77d6b75d13d988"


def test_a_state_and_a_model_of_before_pca_took_features_are_read(tmp_path: Path) -> None:
    bench = Bench(detector=Pca, folder=tmp_path)
    training, model = bench.trained
    assert set(model.weights) == set(training.detector.state()["scorer"]) == {"mean", "components"}
    document = json.loads(model.card.to_json())
    del document["detector"]["settings"]["features"]
    card = ModelCard.from_json(json.dumps(document), "here")
    assert card == model.card


def test_an_image_off_the_plane_scores_higher_than_one_on_it() -> None:
    detector, _ = _fitted()
    noise = torch.rand((20, *SHAPE), generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert detector.score(noise).min() > detector.score(_images()).max()


@pytest.mark.parametrize("kind", ["black", "one image"])
def test_images_without_variance_leave_finite_scores(kind: str) -> None:
    pixels = np.zeros((10, *SHAPE), np.uint8) if kind == "black" else _pixels(1, 0).repeat(10, 0)
    detector = _build(Pca())
    detector.fit_epoch(TRAIN, _batches(pixels), np.random.default_rng(0))
    assert detector.score(_images()).isfinite().all()


@pytest.mark.parametrize("broken", ["missing", "shape", "type", "nan"])
def test_weights_of_another_model_are_refused(broken: str) -> None:
    weights = _fitted()[0].scoring_weights()
    mean = weights.pop("mean")
    changed: dict[str, dict[str, Tensor]] = {
        "missing": {},
        "shape": {"mean": mean[:5]},
        "type": {"mean": mean.float()},
        "nan": {"mean": torch.full_like(mean, torch.nan)},
    }
    with pytest.raises(ValueError, match="mean"):
        Pca().build_scorer(SHAPE, weights | changed[broken])


def test_the_work_of_a_score_is_unknown_before_the_fit() -> None:
    with pytest.raises(ValueError, match="the size of its model is known after the fit"):
        Pca().build_scorer(SHAPE, None)


@pytest.mark.parametrize("variance", [0, 1, -0.5, 2.0, float("nan"), True, "0.9", None], ids=repr)
def test_a_share_of_the_variance_is_between_0_and_1(variance: float) -> None:
    with pytest.raises(ConfigError, match=r"Pca\.variance is .*, but must be in \(0, 1\)"):
        Pca(variance=variance)
