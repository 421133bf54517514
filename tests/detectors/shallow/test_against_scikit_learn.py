"""Scores of the shallow detectors, beside scikit-learn called directly on the same arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf  # type: ignore[import-untyped]
from sklearn.decomposition import PCA  # type: ignore[import-untyped]
from sklearn.ensemble import (  # type: ignore[import-untyped]
    IsolationForest as ScikitForest,
)
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.neighbors import (  # type: ignore[import-untyped]
    LocalOutlierFactor,
    NearestNeighbors,
)
from sklearn.preprocessing import normalize  # type: ignore[import-untyped]
from sklearn.svm import OneClassSVM  # type: ignore[import-untyped]

from agad.detectors import (
    IsolationForest,
    Knn,
    KnnProbe,
    Lof,
    Mahalanobis,
    OneClassSvm,
    Pca,
    Probe,
)
from agad.detectors.shallow.configuration import ShallowDetector

if TYPE_CHECKING:
    from tests.detectors.shallow.conftest import DrawPixels, FitModel, Prepare

Rows: TypeAlias = NDArray[np.float64]
Reference: TypeAlias = Callable[[Any, Rows, Rows, Rows], Rows]
"""From a configuration, normals, anomalies and images to scores."""


def _lof(config: Lof, fit: Rows, _: Rows, x: Rows) -> Rows:
    lof = LocalOutlierFactor(n_neighbors=config.num_neighbors, novelty=True).fit(fit)
    return -np.asarray(lof.score_samples(x))


def _knn(config: Knn, fit: Rows, _: Rows, x: Rows) -> Rows:
    distances, _places = NearestNeighbors(n_neighbors=config.num_neighbors).fit(fit).kneighbors(x)
    return np.asarray(distances.mean(axis=1))


def _pca(config: Pca, fit: Rows, _: Rows, x: Rows) -> Rows:
    pca = PCA(config.variance, svd_solver="full").fit(fit)
    return np.asarray(np.linalg.norm(x - pca.inverse_transform(pca.transform(x)), axis=1))


def _ocsvm(config: OneClassSvm, fit: Rows, _: Rows, x: Rows) -> Rows:
    return -np.asarray(OneClassSVM(nu=config.nu, gamma="scale").fit(fit).score_samples(x))


def _iforest(config: IsolationForest, fit: Rows, _: Rows, x: Rows) -> Rows:
    seed = int(np.random.default_rng(0).integers(2**31 - 1))
    forest = ScikitForest(
        n_estimators=config.num_trees, max_samples=config.max_samples, random_state=seed
    )
    return -np.asarray(forest.fit(fit).score_samples(x))


def _mahalanobis(_config: Mahalanobis, fit: Rows, _: Rows, x: Rows) -> Rows:
    return np.asarray(np.sqrt(LedoitWolf().fit(fit).mahalanobis(x)))


def _probe(config: Probe | KnnProbe, fit: Rows, anomalies: Rows, x: Rows) -> Rows:
    labels = [0] * len(fit) + [1] * len(anomalies)
    probe = LogisticRegression(C=config.inverse_penalty, class_weight="balanced", max_iter=10_000)
    probe.fit(normalize(np.concatenate([fit, anomalies])), labels)
    return np.asarray(probe.decision_function(normalize(x)))


def _knn_probe(config: KnnProbe, fit: Rows, anomalies: Rows, x: Rows) -> Rows:
    order = np.random.default_rng(0).permutation(len(fit))
    held_out, rest = fit[order[: len(fit) // 5]], fit[order[len(fit) // 5 :]]
    total = np.zeros(len(x))
    for part in (_knn, _probe):
        of_part: Reference = part
        reference = of_part(config, rest, anomalies, held_out)
        total += (of_part(config, fit, anomalies, x) - reference.mean()) / reference.std(ddof=1)
    return total


CASES: dict[str, tuple[ShallowDetector, Reference]] = {
    "lof": (Lof(), _lof),
    "lof of 3": (Lof(num_neighbors=3), _lof),
    "knn": (Knn(), _knn),
    "knn of 7": (Knn(num_neighbors=7), _knn),
    "pca": (Pca(), _pca),
    "ocsvm": (OneClassSvm(), _ocsvm),
    "ocsvm of half": (OneClassSvm(nu=0.5), _ocsvm),
    "iforest": (IsolationForest(max_samples=64), _iforest),
    "mahalanobis": (Mahalanobis(), _mahalanobis),
    "probe": (Probe(), _probe),
    "probe of little weight": (Probe(inverse_penalty=0.05), _probe),
    "knn-probe": (KnnProbe(), _knn_probe),
    "knn-probe of 3": (KnnProbe(num_neighbors=3, inverse_penalty=10.0), _knn_probe),
}


@pytest.mark.parametrize("num_normals", [40, 300], ids=["fewer than features", "more"])
@pytest.mark.parametrize("features", ["pixels", "pixels-standardised"])
@pytest.mark.parametrize("name", CASES)
def test_scores_are_those_of_scikit_learn(  # noqa: PLR0913  Fixtures, and what they are given.
    name: str,
    features: str,
    num_normals: int,
    draw_pixels: DrawPixels,
    fit_model: FitModel,
    prepare: Prepare,
) -> None:
    given, reference = CASES[name]
    config = replace(given, features=features)
    if isinstance(config, IsolationForest) and num_normals < config.max_samples:
        config = IsolationForest(max_samples=num_normals, features=features)
    normals, anomalies = draw_pixels(num_normals, 0), draw_pixels(12, 1, noise=30.0)
    x = np.concatenate([draw_pixels(60, 2), draw_pixels(60, 3, noise=30.0)])
    model = fit_model(config, normals, anomalies)
    rows = [prepare(config, one).double().flatten(1).numpy() for one in (normals, anomalies, x)]
    scores = model.score(prepare(config, x)).double().numpy()
    np.testing.assert_allclose(scores, reference(config, *rows), rtol=1e-6, atol=1e-6)


def test_standardised_pixels_ignore_brightness_and_contrast(
    draw_pixels: DrawPixels, fit_model: FitModel, prepare: Prepare
) -> None:
    config, normals = Knn(features="pixels-standardised"), draw_pixels(50, 0)
    model = fit_model(config, normals)
    darker = (normals[:20] // 4 * 2).astype(np.uint8)
    brighter = (darker // 2 + 60).astype(np.uint8)
    one, other = (model.score(prepare(config, pixels)) for pixels in (darker, brighter))
    np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-4)
