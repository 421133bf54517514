"""Saved models: what they score, which files are refused, and the exported program."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pytest
import torch
from safetensors.torch import save

from agad.config import Cell
from agad.data import open_images
from agad.detectors import Agad, Detector
from agad.detectors.compute import Compute
from agad.errors import CheckpointError, ConfigError
from agad.objects import MissingObjectError, open_objects
from agad.records import model_key, models_prefix
from agad.trial import (
    Exported,
    ModelCard,
    PictureScorer,
    Runtime,
    SavedModel,
    TrialSpec,
    to_program,
    train_trial,
)

if TYPE_CHECKING:
    from tests.trial.conftest import MakeSpec, TaskOf

MakeTrained: TypeAlias = Callable[..., tuple[SavedModel, Detector]]
Change: TypeAlias = Callable[[dict[str, Any]], object]

_EXPORTED = Exported(
    study="a-study",
    threshold=1.5,
    false_positive_rate=0.05,
    commit="0123abcd",
    is_dirty=False,
    versions="{}",
    hardware="a processor",
)
_VARIANTS: dict[str, dict[str, Any]] = {
    "naive": {"backbone": "naive"},
    "naive of 2 x 2, unbounded": {"backbone": "naive", "bottleneck_px": 2, "tanh_output": False},
    "unet": {"backbone": "unet"},
    "unet++": {"backbone": "unet++"},
    "unet++ of each image": {"backbone": "unet++", "score_statistics": "image"},
    "naive of each image": {"backbone": "naive", "score_statistics": "image"},
    "unet without norm": {"backbone": "unet", "generator_norm": False},
    "unet with two norms": {"backbone": "unet", "advprop": True},
}


@pytest.fixture
def here(alone: Runtime) -> Runtime:
    """Keep models in a store of the test's own."""
    return replace(alone, models="models")


@pytest.fixture
def spec(make_spec: MakeSpec, task_of: TaskOf) -> TrialSpec:
    """Return the first confirm trial of two epochs on digits, class 0 being normal."""
    cell = Cell(dataset="digits", normal_class=0, anomaly_ratio=0.1)
    return make_spec(phase="confirm", seed=1, cell=cell, task=task_of(cell, val_share=0.25))


@pytest.fixture
def make_trained() -> MakeTrained:
    """Train a detector for some steps on noise; return its model beside it."""

    def make(channels: int = 1, **changes: object) -> tuple[SavedModel, Detector]:
        settings: dict[str, Any] = {"base_width": 4, "discriminator_width": 4} | changes
        config = Agad(**settings)
        rng = torch.Generator().manual_seed(0)
        detector = config.build((channels, 16, 16), rng, Compute())
        for _ in range(2):
            detector.update(torch.rand((8, channels, 16, 16), generator=rng) * 2 - 1, None)
        card = ModelCard(
            detector=config,
            mode="L" if channels == 1 else "RGB",
            image_px=16,
            filter="bilinear",
            dataset="noise",
            data_fingerprint="0" * 64,
            class_names=("a", "b"),
            normal_classes=(1,),
            cell="noise class=b ratio=0",
            trial_key="1" * 32,
            seed=1,
            num_epochs=1,
            val_auroc=0.5,
            test_auroc=0.5,
        )
        scores = torch.rand(20, generator=rng)
        weights = detector.scoring_weights()
        return SavedModel(card=card, weights=weights, val_normal_scores=scores), detector

    return make


def _pixels(num: int, channels: int = 1) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(256, size=(num, channels, 16, 16), dtype=np.uint8)


def _scored(detector: Detector, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> list[float]:
    scores: list[float] = detector.score(torch.from_numpy(pixels) / 127.5 - 1).tolist()
    return scores


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("variant", _VARIANTS)
def test_a_model_read_from_its_file_scores_as_the_detector_does(
    variant: str, channels: int, make_trained: MakeTrained
) -> None:
    model, detector = make_trained(channels, **_VARIANTS[variant])
    again = SavedModel.from_bytes(model.to_bytes(), "here")
    pixels = _pixels(40, channels)
    assert PictureScorer(again).scores(pixels).tolist() == pytest.approx(
        _scored(detector, pixels), rel=1e-6
    )


def test_a_score_depends_on_its_own_picture_alone(make_trained: MakeTrained) -> None:
    model, _ = make_trained(backbone="unet", score_statistics="image")
    scorer, pixels = PictureScorer(model), _pixels(40)
    one_by_one = [scorer.scores(pixels[number : number + 1])[0] for number in range(40)]
    assert scorer.scores(pixels).tolist() == pytest.approx(one_by_one, rel=1e-5)


def test_a_score_is_the_length_of_what_a_reconstruction_misses(make_trained: MakeTrained) -> None:
    scorer, pixels = PictureScorer(make_trained()[0]), _pixels(3)
    missed = pixels / 127.5 - 1 - scorer.rebuild(pixels)
    assert scorer.scores(pixels).tolist() == pytest.approx(
        np.sqrt((missed.reshape(3, -1) ** 2).sum(axis=1)).tolist(), rel=1e-5
    )


def test_no_pictures_have_no_scores(make_trained: MakeTrained) -> None:
    assert PictureScorer(make_trained()[0]).scores(_pixels(0)).shape == (0,)


def test_a_model_comes_back_from_its_file_as_it_was(
    make_trained: MakeTrained, tmp_path: Path
) -> None:
    model = make_trained()[0].exported(_EXPORTED)
    (tmp_path / "model").write_bytes(model.to_bytes())
    again = SavedModel.read(tmp_path / "model")
    assert again.card == model.card
    assert torch.equal(again.val_normal_scores, model.val_normal_scores)
    assert again.to_bytes() == model.to_bytes()


def test_scoring_leaves_the_model_as_it_was(make_trained: MakeTrained) -> None:
    model, _ = make_trained(backbone="unet")
    before = model.to_bytes()
    PictureScorer(model).scores(_pixels(40))
    assert model.to_bytes() == before


def test_a_device_that_is_not_there_is_refused(make_trained: MakeTrained) -> None:
    with pytest.raises(ConfigError, match="--device is cuda:77, but this machine has no"):
        PictureScorer(make_trained()[0], "cuda:77")


# The threshold.


@pytest.mark.parametrize("num", [1, 2, 19, 20, 21, 100])
@pytest.mark.parametrize("rate", [0.001, 0.01, 0.05, 0.07, 0.29, 0.5, 0.999])
def test_the_threshold_is_the_lowest_score_that_few_enough_normals_exceed(
    num: int, rate: float, make_trained: MakeTrained
) -> None:
    rng = np.random.default_rng(num)
    scores = torch.from_numpy(rng.integers(0, 50, num).astype(np.float32) / 7)
    threshold = replace(make_trained()[0], val_normal_scores=scores).threshold(rate)
    # In whole thousandths, so that no float decides.
    thousandths = round(rate * 1000)
    fitting = [
        one
        for one in scores.double().tolist()
        if 1000 * sum(other > one for other in scores.double().tolist()) <= thousandths * num
    ]
    assert threshold == min(fitting)


def test_below_one_normal_the_threshold_is_the_highest_score(make_trained: MakeTrained) -> None:
    model, _ = make_trained()
    assert model.threshold(0.049) == model.val_normal_scores.max().item()
    assert model.threshold(0.05) < model.val_normal_scores.max().item()


# Files that are no models.


def _with_metadata(model: SavedModel, change: Change) -> bytes:
    """Return a model's file whose card is changed, the digest being right again."""
    values = json.loads(model.card.to_json())
    change(values)

    class Card:
        @staticmethod
        def to_json() -> str:
            return json.dumps(values, sort_keys=True)

    return replace(model, card=Card()).to_bytes()  # type: ignore[arg-type]


@pytest.mark.parametrize("kept", [0, 7, 8, 100, 0.5, -1])
def test_a_truncated_file_is_refused(kept: float, make_trained: MakeTrained) -> None:
    data = make_trained()[0].to_bytes()
    end = int(kept * len(data)) if isinstance(kept, float) else kept
    with pytest.raises(CheckpointError, match=r"^a/file is no model of agad \(.+\); name one"):
        SavedModel.from_bytes(data[:end], "a/file")


@pytest.mark.parametrize("place", [-1, -1000, -5000])
def test_a_changed_weight_is_noticed(place: int, make_trained: MakeTrained) -> None:
    data = bytearray(make_trained()[0].to_bytes())
    data[place] ^= 1
    with pytest.raises(CheckpointError, match="a/file is damaged: its SHA-256 is another"):
        SavedModel.from_bytes(bytes(data), "a/file")


def test_a_changed_card_is_noticed(make_trained: MakeTrained) -> None:
    data = make_trained()[0].to_bytes().replace(rb"\"seed\": 1", rb"\"seed\": 2")
    with pytest.raises(CheckpointError, match="a/file is damaged: its SHA-256 is another"):
        SavedModel.from_bytes(data, "a/file")


class _Malice:
    def __reduce__(self) -> tuple[object, ...]:
        return (os._exit, (77,))


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n" + b"0" * 100,
        pickle.dumps(_Malice()),
        b"PK\x03\x04" + b"\0" * 100,
        save({"weight": torch.zeros(3)}),
        save({"weight": torch.zeros(3)}, {"agad": "{}"}),
        save({"weight": torch.zeros(3)}, {"agad": '{"card": [], "sha256": ""}'}),
        save({"weight": torch.zeros(3)}, {"agad": "[" * 100_000}),
    ],
    ids=["PNG", "pickle", "zip", "no metadata", "no card", "a list", "deep"],
)
def test_a_file_of_another_kind_is_refused(data: bytes) -> None:
    with pytest.raises(CheckpointError, match=r"^a/file is no model of agad"):
        SavedModel.from_bytes(data, "a/file")


_CHANGES: dict[str, tuple[Change, str]] = {
    "newer format": (
        lambda card: card.update(format_version=4),
        "has format version 4, but this version reads 3; install a newer agad",
    ),
    "other detector": (
        lambda card: card["detector"].update(name="vit"),
        "is of the detector 'vit' version 2, but this agad has agad version",
    ),
    "other version": (
        lambda card: card["detector"].update(version=99),
        "version 99, but this agad has agad version .*; install the agad that trained it",
    ),
    "unknown setting": (
        lambda card: card["detector"]["settings"].update(depth=3),
        "'depth' is no parameter of Agad",
    ),
    "bad setting": (
        lambda card: card["detector"]["settings"].update(backbone="vit"),
        "no model of agad .*backbone is 'vit'",
    ),
    "other backbone": (
        lambda card: card["detector"]["settings"].update(backbone="unet"),
        "no model of agad .*Missing key",
    ),
    "other width": (
        lambda card: card["detector"]["settings"].update(base_width=5),
        "no model of agad .*size mismatch",
    ),
    "width beyond any memory": (
        lambda card: card["detector"]["settings"].update(base_width=10**7),
        "no model of agad",
    ),
    "width beyond any number": (
        lambda card: card["detector"]["settings"].update(base_width=10**30),
        "no model of agad",
    ),
    "other size": (lambda card: card.update(image_px=32), "no model of agad"),
    "bad size": (lambda card: card.update(image_px=17), "--size is 17"),
    "other mode": (lambda card: card.update(mode="RGB"), "no model of agad .*size mismatch"),
    "bad mode": (lambda card: card.update(mode="CMYK"), "mode is 'CMYK'"),
    "bad filter": (lambda card: card.update(filter="magic"), "--filter is 'magic'"),
    "bad class": (lambda card: card.update(normal_classes=[2]), "normal_classes is"),
    "text for a number": (lambda card: card.update(seed="1"), "seed is '1'"),
    "true for a number": (lambda card: card.update(seed=True), "seed is True"),
    "no number": (lambda card: card.update(val_auroc=float("nan")), "val_auroc is nan"),
    "endless number": (lambda card: card.update(val_auroc=10**400), "no model of agad"),
    "text for a list": (lambda card: card.update(class_names="ab"), "class_names is 'ab'"),
    "missing": (lambda card: card.pop("cell"), "it lacks 'cell'"),
    "too much": (lambda card: card.update(more=1), "it holds 'more'"),
    "bad export": (lambda card: card.update(exported={"study": "a"}), "it lacks"),
    "export as text": (lambda card: card.update(exported="yes"), "no model of agad"),
}


@pytest.mark.parametrize("name", _CHANGES)
def test_a_card_that_is_not_of_its_weights_is_refused(name: str, make_trained: MakeTrained) -> None:
    change, match = _CHANGES[name]
    model, _ = make_trained(backbone="naive")
    with pytest.raises(CheckpointError, match=match) as raised:
        SavedModel.from_bytes(_with_metadata(model, change), "a/file")
    assert str(raised.value).startswith("a/file ")
    assert len(str(raised.value)) < 400


_TENSORS: dict[str, tuple[Callable[[dict[str, torch.Tensor]], object], str]] = {
    "missing": (lambda weights: weights.popitem(), "Missing key"),
    "one more": (lambda weights: weights.update(more=torch.zeros(1)), "Unexpected key"),
    "double": (
        lambda weights: weights.update({name: one.double() for name, one in weights.items()}),
        "float64, but must be of torch",
    ),
    "not finite": (
        lambda weights: weights.update({"decode.0.weight": torch.full((100, 8, 4, 4), torch.nan)}),
        "decode.0.weight is not finite everywhere",
    ),
}


@pytest.mark.parametrize("name", _TENSORS)
def test_weights_that_are_not_of_the_settings_are_refused(
    name: str, make_trained: MakeTrained
) -> None:
    change, match = _TENSORS[name]
    model, _ = make_trained(backbone="naive")
    weights = dict(model.weights)
    change(weights)
    with pytest.raises(CheckpointError, match=match):
        SavedModel.from_bytes(replace(model, weights=weights).to_bytes(), "a/file")


@pytest.mark.parametrize(
    "scores",
    [torch.zeros(0), torch.zeros(2, 2), torch.zeros(2).double(), torch.tensor([1.0, torch.inf])],
    ids=["none", "a table", "double", "not finite"],
)
def test_validation_scores_that_give_no_threshold_are_refused(
    scores: torch.Tensor, make_trained: MakeTrained
) -> None:
    model = replace(make_trained()[0], val_normal_scores=scores)
    with pytest.raises(CheckpointError, match="val_normal_scores are"):
        SavedModel.from_bytes(model.to_bytes(), "a/file")


@pytest.mark.timeout(10)
def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(CheckpointError, match="is no regular file"):
            SavedModel.read(tmp_path / name)
    with pytest.raises(CheckpointError, match=r"nothing cannot be read \(No such file"):
        SavedModel.read(tmp_path / "nothing")


# What a trial keeps.


def _kept(runtime: Runtime, spec: TrialSpec) -> bytes:
    assert runtime.models is not None
    return open_objects(runtime.store).get(model_key(runtime.models, spec.key))


def test_the_first_confirm_trial_keeps_the_model_that_was_scored(
    spec: TrialSpec, here: Runtime
) -> None:
    last = [*train_trial(spec, here)][-1]
    model = SavedModel.from_bytes(_kept(here, spec), "here")
    assert last.test is not None
    assert model.card.test_auroc == last.test.auroc
    assert model.card.val_auroc == last.val_auroc
    assert model.card.detector == spec.detector
    assert model.card.class_names[model.card.normal_classes[0]] == "0"
    assert model.card.exported is None

    images = open_images(spec.data, "test", store=here.store, cache=here.cache)
    scores = PictureScorer(model).scores(images.pixels)
    above = scores[images.labels != 0][:, None] - scores[images.labels == 0][None]
    assert np.mean((above > 0) + 0.5 * (above == 0)) == pytest.approx(last.test.auroc, abs=1e-4)


def test_the_scores_kept_are_those_of_the_validation_normals(
    spec: TrialSpec, here: Runtime
) -> None:
    [*train_trial(spec, here)]
    model = SavedModel.from_bytes(_kept(here, spec), "here")
    images = open_images(spec.data, "train", store=here.store, cache=here.cache)
    normals = PictureScorer(model).scores(images.pixels[images.labels == 0])
    kept = model.val_normal_scores.double().numpy()
    assert len(kept) == pytest.approx(0.25 * len(normals), abs=1)
    assert all(np.isclose(normals, one, rtol=1e-5).any() for one in kept)


def test_the_same_trial_again_changes_nothing(spec: TrialSpec, here: Runtime) -> None:
    [*train_trial(spec, here)]
    before = _kept(here, spec)
    [*train_trial(spec, here)]
    assert _kept(here, spec) == before


def test_a_trial_that_goes_on_after_its_last_epoch_keeps_the_same_model(
    spec: TrialSpec, here: Runtime, tmp_path: Path
) -> None:
    [*train_trial(spec, here, tmp_path / "checkpoint")]
    elsewhere = replace(here, models=f"{here.models}-again")
    [*train_trial(spec, elsewhere, tmp_path / "checkpoint")]
    assert _kept(elsewhere, spec) == _kept(here, spec)


@pytest.mark.parametrize(
    "changes", [{"phase": "search"}, {"number": 1}], ids=["search", "another seed"]
)
def test_no_other_trial_keeps_a_model(
    changes: dict[str, Any], spec: TrialSpec, here: Runtime
) -> None:
    other = replace(spec, **changes)
    [*train_trial(other, here)]
    with pytest.raises(MissingObjectError, match="does not exist"):
        _kept(here, other)


def test_without_a_place_no_model_is_kept(spec: TrialSpec, here: Runtime) -> None:
    before = open_objects(here.store).list("")
    [*train_trial(spec, replace(here, models=None))]
    assert open_objects(here.store).list("") == before


def test_the_models_of_a_study_lie_below_it() -> None:
    assert model_key(models_prefix("tiny"), "0f") == "tiny/models/0f.safetensors"


# The exported program.


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["naive", "unet", "unet++ of each image", "unet without norm"])
def test_the_program_scores_any_number_of_images_as_the_model_does(
    variant: str, make_trained: MakeTrained, tmp_path: Path
) -> None:
    model, detector = make_trained(3, **_VARIANTS[variant])
    (tmp_path / "model.pt2").write_bytes(to_program(model))
    program = torch.export.load(tmp_path / "model.pt2").module()
    for num in (1, 2, 7):
        pixels = _pixels(num, 3)
        scores = program(torch.from_numpy(pixels) / 127.5 - 1)
        assert scores.shape == (num,)
        assert scores.tolist() == pytest.approx(_scored(detector, pixels), rel=1e-5)
