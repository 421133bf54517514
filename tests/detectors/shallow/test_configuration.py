"""The settings of the shallow detectors."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

import pytest

from agad.config import InputSpec, Labelled, NoStopping, parameter_docs, parameters_of
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
from agad.errors import ConfigError

ALL = (Lof, Knn, Pca, OneClassSvm, IsolationForest, Mahalanobis, Probe, KnnProbe)
every = pytest.mark.parametrize("detector", ALL)


@every
def test_an_unknown_kind_of_features_is_refused_with_all_that_are_allowed(
    detector: type[ShallowDetector],
) -> None:
    message = (
        rf"{detector.__name__}\.features is 'resnet', but must be one of: pixels, "
        r"pixels-standardised, efficientnet-lite0, efficientnet-lite1, efficientnet-lite2; or the "
        r"path of a \.safetensors file; or timm:NAME or hf:NAME\.$"
    )
    with pytest.raises(ConfigError, match=message):
        detector(features="resnet")


@every
def test_the_kind_of_features_decides_how_an_image_is_prepared(
    detector: type[ShallowDetector],
) -> None:
    assert detector().input() == InputSpec()
    assert detector(features="pixels-standardised").input() == InputSpec(scaling="standardised")


@every
def test_a_shallow_detector_fits_in_one_epoch_that_nothing_stops(
    detector: type[ShallowDetector],
) -> None:
    assert detector().default_scheduler() == NoStopping(max_epochs=1)


@every
def test_every_parameter_is_explained_and_the_default_space_searches_known_ones(
    detector: type[ShallowDetector],
) -> None:
    names = set(parameters_of(detector()))
    assert set(parameter_docs(detector)) == names
    assert set(detector().default_space()) <= names


def test_only_probes_need_labels() -> None:
    needs = {one.name for one in ALL if one().supervision.labels == "required"}
    assert needs == {"probe", "knn-probe"}
    assert Labelled().searches
    assert str(Knn().supervision) == "nothing"


@pytest.mark.parametrize(
    ("detector", "parameter", "values", "constraint"),
    [
        (
            Lof,
            "num_neighbors",
            (0, 1.5, True),
            "a whole number, at least 1 and at most 2,147,483,647",
        ),
        (
            Knn,
            "num_neighbors",
            (0, -1, "3"),
            "a whole number, at least 1 and at most 2,147,483,647",
        ),
        (OneClassSvm, "nu", (0, 1.1, True), r"in \(0, 1\]"),
        (OneClassSvm, "gamma_scale", (0, -1.0), "above 0"),
        (
            IsolationForest,
            "num_trees",
            (0, 2.5),
            "a whole number, at least 1 and at most 2,147,483,647",
        ),
        (
            IsolationForest,
            "max_samples",
            (1, 2.5),
            "a whole number, at least 2 and at most 2,147,483,647",
        ),
        (Probe, "inverse_penalty", (0, -1.0), "above 0"),
        (KnnProbe, "inverse_penalty", (0, float("inf")), "above 0"),
        (KnnProbe, "num_neighbors", (0,), "a whole number, at least 1 and at most 2,147,483,647"),
    ],
)
def test_a_value_without_a_meaning_is_refused(
    detector: type[Any], parameter: str, values: tuple[object, ...], constraint: str
) -> None:
    for value in values:
        message = rf"{detector.__name__}\.{parameter} is .*, but must be {constraint}\."
        with pytest.raises(ConfigError, match=message):
            detector(**{parameter: value})


def test_parameters_of_pca_before_features_keep_their_default() -> None:
    (features,) = [one for one in dataclasses.fields(Pca) if one.name == "features"]
    assert features.default == "pixels"
    assert Pca.version == 1


def test_configurations_need_neither_torch_nor_scikit_learn() -> None:
    code = (
        "import sys, agad\n"
        "for one in (agad.Lof, agad.Knn, agad.Pca, agad.OneClassSvm, agad.IsolationForest, "
        "agad.Mahalanobis, agad.Probe, agad.KnnProbe):\n"
        "    one(features='pixels-standardised').default_space()\n"
        "    one(features='efficientnet-lite0').supervision\n"
        "print([one for one in ('torch', 'sklearn', 'scipy', 'torchvision') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@every
@pytest.mark.parametrize(
    ("features", "external_data"),
    [
        ("efficientnet-lite1", "ImageNet"),
        ("weights/mine.safetensors", "the training data of mine.safetensors"),
        ("timm:resnet18", "the training data of timm:resnet18"),
        ("hf:facebook/dinov2-small", "the training data of hf:facebook/dinov2-small"),
    ],
)
def test_an_encoder_gives_the_input_and_the_external_data(
    detector: type[ShallowDetector], features: str, external_data: str
) -> None:
    config = detector(features=features)
    assert config.input() == InputSpec(encoder=features)
    assert config.supervision.external_data == external_data


@pytest.mark.parametrize("features", [".safetensors", "timm:", "hf:", "", "Efficientnet-lite0"])
def test_a_text_that_names_no_encoder_is_refused(features: str) -> None:
    with pytest.raises(ConfigError, match=r"or the path of a \.safetensors file"):
        Knn(features=features)
