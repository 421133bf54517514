"""Trials of detectors that take features of a frozen encoder in place of pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors  # type: ignore[import-untyped]
from torch import Tensor
from torch.nn import functional

from agad.config import InputSpec
from agad.data import Part, draw_split, on_device, open_images
from agad.detectors import Knn
from agad.encoders import EncoderReference
from agad.encoders.features import FeatureKey, put_encoder
from agad.encoders.networks import find_encoder, open_encoder
from agad.errors import CheckpointError, ConfigError
from agad.objects import open_objects
from agad.records import features_prefix, models_prefix
from agad.trial import (
    EpochResult,
    Exported,
    FeatureProgress,
    Instance,
    PictureScorer,
    Runtime,
    SavedModel,
    TrialSpec,
    to_program,
    train_trial,
    trial_steps,
    with_stored_encoder,
)
from agad.trial.confirm import open_test, trained_model
from agad.trial.measure import measure_epoch
from agad.trial.scorer import of_pictures
from agad.trial.training import prepare

MakeSpec: TypeAlias = Callable[..., TrialSpec]


@pytest.fixture
def reference(tiny_file: Path, alone: Runtime) -> EncoderReference:
    """Return the tiny encoder, its weights in the test's own store."""
    found = find_encoder(str(tiny_file))
    put_encoder(found, tiny_file, open_objects(alone.store))
    return found


@pytest.fixture
def encoded(make_spec: MakeSpec, reference: EncoderReference, tiny_file: Path) -> MakeSpec:
    """Build a trial of kNN on the tiny encoder."""

    def build(**changes: Any) -> TrialSpec:  # noqa: ANN401
        detector = Knn(features=str(tiny_file), num_neighbors=2)
        return make_spec(detector=detector, encoder=reference, max_epochs=1, **changes)

    return build


def _kept(spec: TrialSpec, runtime: Runtime, part: Part) -> set[str]:
    """Return the files of a part's features in the store and in the node's cache."""
    assert spec.encoder is not None
    key = FeatureKey(
        data_fingerprint=spec.data.fingerprint, part=part, encoder=spec.encoder, output="global"
    )
    stored = open_objects(runtime.store).list(features_prefix(key.digest))
    return {*stored, *map(str, runtime.cache.paths(f"features-{key.digest}"))}


def _features(spec: TrialSpec, pixels: NDArray[np.uint8], path: Path) -> Tensor:
    """Return the features of pictures as a detector takes them, without cache and store."""
    assert spec.encoder is not None
    encoder = open_encoder(spec.encoder, weights=path)
    images = on_device(pixels, np.arange(len(pixels)), torch.device("cpu"))
    return functional.normalize(encoder.features(images.take(torch.arange(len(pixels)))), dim=1)


def test_a_search_on_an_encoder_leaves_no_test_features_and_none_of_unused_images(
    encoded: MakeSpec, alone: Runtime
) -> None:
    spec = encoded(phase="search")
    steps = list(trial_steps(spec, alone))
    features = [one for one in steps if isinstance(one, FeatureProgress)]
    labels = open_images(spec.data, "train", store=alone.store, cache=alone.cache).labels
    split = draw_split(labels, spec.task, spec.seed)
    used = [split.fit_normals, split.val_normals, split.val_anomalies]
    assert [(one.num_done, one.is_done) for one in features] == [
        (0, False),
        (sum(map(len, used)), True),
    ]
    assert _kept(spec, alone, "train")
    assert not _kept(spec, alone, "test")


def test_a_confirm_trial_computes_test_features_after_its_last_epoch(
    encoded: MakeSpec, alone: Runtime
) -> None:
    spec = encoded(phase="confirm")
    kinds = [type(one).__name__ for one in trial_steps(spec, alone)]
    assert kinds[:2] == ["FeatureProgress"] * 2
    assert kinds[2:] == ["FeatureProgress", "FeatureProgress", "FeatureProgress", "EpochResult"]
    assert _kept(spec, alone, "test")


def test_a_second_trial_on_the_same_images_computes_no_feature(
    encoded: MakeSpec, alone: Runtime
) -> None:
    first = list(train_trial(encoded(phase="confirm"), alone))
    steps = list(trial_steps(encoded(phase="confirm"), alone))
    assert all(isinstance(one, EpochResult) for one in steps)
    (again,) = steps
    assert isinstance(again, EpochResult)
    assert replace(again, train_s=0.0) == replace(first[0], train_s=0.0)


def test_scores_are_those_of_scikit_learn_on_features_of_length_1(
    encoded: MakeSpec, alone: Runtime, tiny_file: Path
) -> None:
    spec = encoded(phase="confirm")
    (result,) = train_trial(spec, alone)
    train, test = (
        open_images(spec.data, part, store=alone.store, cache=alone.cache)
        for part in ("train", "test")
    )
    fit = draw_split(train.labels, spec.task, spec.seed).fit_normals
    x = _features(spec, train.pixels[fit], tiny_file).double().numpy()
    y = _features(spec, test.pixels, tiny_file).double().numpy()
    distances, _ = NearestNeighbors(n_neighbors=2).fit(x).kneighbors(y)
    assert result.test is not None
    np.testing.assert_allclose(result.test.scores, distances.mean(axis=1), atol=1e-6, rtol=1e-5)


def test_instances_in_lock_step_and_a_measured_epoch_take_features(
    encoded: MakeSpec, alone: Runtime
) -> None:
    spec = encoded(phase="search")
    several = replace(spec, further=(Instance(task=spec.task, seed=1),))
    (result,) = train_trial(several, alone)
    assert result.objective > 0.5
    assert measure_epoch(spec, alone).step_s > 0


def test_an_encoder_is_part_of_the_key_and_its_name_is_not(encoded: MakeSpec) -> None:
    spec = encoded()
    assert spec.encoder is not None
    renamed = replace(spec, encoder=replace(spec.encoder, name="another.safetensors"))
    others = [
        replace(spec, encoder=replace(spec.encoder, **change))
        for change in ({"sha256": "0" * 64}, {"image_px": 64, "native_px": 64}, {"version": 2})
    ]
    assert renamed.key == spec.key
    assert len({spec.key, *(one.key for one in others)}) == 4


def _model(spec: TrialSpec, runtime: Runtime) -> tuple[SavedModel, Any]:
    training = prepare(spec, runtime)
    training.advance()
    return trained_model(training, test_auroc=0.5), training


EXPORTED = Exported(
    study="a-study",
    threshold=0.5,
    false_positive_rate=0.05,
    commit="",
    is_dirty=False,
    versions="{}",
    hardware="a processor",
)


def test_a_model_with_its_encoder_scores_pictures_without_the_store(
    encoded: MakeSpec, alone: Runtime, tiny_file: Path
) -> None:
    spec = encoded(phase="confirm")
    model, training = _model(spec, alone)
    whole = with_stored_encoder(model, alone.store, alone.cache).exported(EXPORTED)
    data = whole.to_bytes()
    tiny_file.unlink()
    again = SavedModel.from_bytes(data, "here")
    assert again.card.encoder == spec.encoder
    images = open_images(spec.data, "train", store=alone.store, cache=alone.cache)
    split = draw_split(images.labels, spec.task, spec.seed)
    found = PictureScorer(again).scores(images.pixels[split.val_normals])
    expected = training.detector.score(training.val_images.take(torch.arange(len(found))))
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4)
    assert "features of every normal image" in again.holds
    assert len(to_program(again)) > 0


@pytest.mark.parametrize("lost", ["all", "one", "changed"])
def test_an_exported_model_without_its_encoders_weights_is_refused(
    encoded: MakeSpec, alone: Runtime, lost: str
) -> None:
    model, _ = _model(encoded(phase="confirm"), alone)
    whole = with_stored_encoder(model, alone.store, alone.cache).exported(EXPORTED)
    encoder = dict(whole.encoder)
    first = next(iter(encoder))
    if lost == "all":
        encoder = {}
    elif lost == "one":
        del encoder[first]
    else:
        encoder[first] = encoder[first] * np.inf
    data = replace(whole, encoder=encoder).to_bytes()
    with pytest.raises(CheckpointError, match="is no model of agad"):
        SavedModel.from_bytes(data, "here")


def test_the_store_keeps_a_model_without_the_weights_of_its_encoder(
    encoded: MakeSpec, alone: Runtime
) -> None:
    spec = encoded(phase="confirm")
    runtime = replace(alone, models=models_prefix("a-study"))
    list(train_trial(spec, runtime))
    objects = open_objects(alone.store)
    (key,) = objects.list("a-study/models/")
    model = SavedModel.from_bytes(objects.get(key), key)
    assert model.encoder == {}
    assert model.card.feature_shape == (16, 1, 1)


def test_a_card_of_pictures_is_written_as_before(make_spec: MakeSpec, alone: Runtime) -> None:
    model, _ = _model(make_spec(detector=Knn(), phase="confirm", max_epochs=1), alone)
    assert "encoder" not in model.card.to_json()
    assert "feature_shape" not in model.card.to_json()


def test_a_search_that_asks_for_test_features_is_refused(encoded: MakeSpec, alone: Runtime) -> None:
    with pytest.raises(ConfigError, match="a search reads the training part alone"):
        open_test(encoded(phase="search"), alone)


class _Localizer(torch.nn.Module):
    """Scores by the mean of the features; its map is their mean over the channels."""

    def forward(self, features: Tensor) -> Tensor:
        return features.mean(dim=(1, 2, 3))

    def anomaly_map(self, features: Tensor) -> Tensor:
        return features.mean(dim=1)


def test_a_localizers_map_is_resized_to_the_picture(tiny_file: Path) -> None:
    encoder = open_encoder(find_encoder(str(tiny_file)), weights=tiny_file)
    spec = InputSpec(encoder=str(tiny_file), layers=("first", "second"))
    scorer: Any = of_pictures(_Localizer(), spec, encoder.module)
    images = torch.rand((3, 1, 20, 24)) * 2 - 1
    outputs = encoder.outputs(images, ["first", "second"])
    larger = functional.interpolate(outputs["second"], size=(4, 4), mode="bilinear")
    both = torch.cat([outputs["first"], larger], dim=1)
    torch.testing.assert_close(scorer(images), both.mean(dim=(1, 2, 3)))
    coarse = both.mean(dim=1, keepdim=True)
    expected = functional.interpolate(coarse, size=(20, 24), mode="bilinear")[:, 0]
    torch.testing.assert_close(scorer.anomaly_map(images), expected)
