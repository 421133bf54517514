"""Trials small enough to train in a test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
import torch
from torch import Tensor

from agad.config import Cell, with_parameters
from agad.data import Images, NodeCache, Part, Task, open_images
from agad.detectors import Agad, Detector, StepwiseDetector
from agad.trial import EpochResult, Runtime, TrialSpec, train_trial

if TYPE_CHECKING:
    from agad.data import Library, Manifest

MakeSpec: TypeAlias = Callable[..., TrialSpec]
TaskOf: TypeAlias = Callable[..., Task]
MakeStub: TypeAlias = Callable[..., Detector]
UseStub: TypeAlias = Callable[..., None]
Load: TypeAlias = Callable[[Part], Images]
Undisturbed: TypeAlias = Callable[[TrialSpec], list[EpochResult]]

_TINY = Agad(
    backbone="naive",
    base_width=4,
    discriminator_width=4,
    batch_size=32,
    min_batch_anomalies=16,
    lr=2e-3,
)


@pytest.fixture(autouse=True)
def _always_one_thread(one_thread: None) -> None:
    """Train on one thread, as every trial here asks for."""


def _task_of(cell: Cell, **changes: object) -> Task:
    rest = tuple(label for label in range(10) if label != cell.given_class)
    given = (int(cell.given_class),)
    is_one_class = cell.protocol == "one-class"
    anomalous = rest if is_one_class else given
    which: Any = cell.labelled_classes
    values: dict[str, Any] = {
        "normal_classes": given if is_one_class else rest,
        "anomalous_classes": anomalous,
        "labelled_classes": anomalous if which == "all" else which,
        "anomaly_ratio": cell.anomaly_ratio,
        "pollution_ratio": cell.pollution_ratio,
        "num_val_anomalies": 30,
        "val_share": 0.1,
    }
    return Task(**(values | changes))


@pytest.fixture(scope="session")
def task_of() -> TaskOf:
    """Return what a cell of digits whose classes are labels asks for, some of it changed."""
    return _task_of


@pytest.fixture(scope="session")
def make_spec(digits: Manifest) -> MakeSpec:
    """Build a tiny trial on digits, some of its fields or its detector's parameters changed.

    Its task is its cell's.
    """

    def build(**changes: Any) -> TrialSpec:  # noqa: ANN401
        parameters = {
            one.name: changes.pop(one.name) for one in fields(Agad) if one.name in changes
        }
        cell = changes.get("cell", Cell(dataset="digits", normal_class=0, anomaly_ratio=0.1))
        values: dict[str, Any] = {
            "cell": cell,
            "data": digits,
            "task": changes.get("task") or _task_of(cell),
            "phase": "search",
            "number": 0,
            "params": {},
            "seed": 0,
            "max_epochs": 2,
            "detector": with_parameters(changes.pop("detector", _TINY), parameters),
        }
        return TrialSpec(**(values | changes))

    return build


@pytest.fixture(scope="session")
def runtime(digits_library: Library, session_cache: NodeCache) -> Runtime:
    """One thread of the CPU, beside the session's digits."""
    return Runtime(store=digits_library.uri, cache=session_cache)


@pytest.fixture(scope="session")
def undisturbed(runtime: Runtime) -> Undisturbed:
    """Return a trial's epochs as they are without checkpoints; each trial is trained once."""
    trained: dict[str, list[EpochResult]] = {}

    def train(spec: TrialSpec) -> list[EpochResult]:
        if spec.key not in trained:
            trained[spec.key] = list(train_trial(spec, runtime))
        return trained[spec.key]

    return train


@pytest.fixture
def alone(digits_library: Library, tmp_path: Path) -> Runtime:
    """A store with digits and a cache for one test alone."""
    shutil.copytree(digits_library.uri, tmp_path / "store")
    cache = NodeCache(folder=str(tmp_path / "cache"))
    return Runtime(store=str(tmp_path / "store"), cache=cache)


def _greys(images: Tensor) -> Tensor:
    return images.mean(dim=(1, 2, 3))


@dataclass
class _StubDetector(StepwiseDetector):
    """Losses and scores as they are given; it learns and keeps nothing."""

    losses: Sequence[float] = (1.0,)
    """``loss_g`` of each step; the last one of all that follow."""

    scores: Callable[[Tensor], Tensor] = _greys
    num_steps: int = 0

    def update(self, normals: Tensor, anomalies: Tensor | None) -> dict[str, Tensor]:
        del normals, anomalies
        loss = self.losses[min(self.num_steps, len(self.losses) - 1)]
        self.num_steps += 1
        return {"con": torch.tensor(0.25), "loss_g": torch.tensor(loss)}

    def end_epoch(self, losses: Mapping[str, float]) -> dict[str, float]:
        return {"twice_con": 2 * losses["con"]}

    def score(self, images: Tensor) -> Tensor:
        return self.scores(images)

    def score_with_batch_statistics(self, images: Tensor) -> Tensor:
        return self.scores(images)

    def scoring_weights(self) -> dict[str, Tensor]:
        return {}

    def state(self) -> dict[str, Any]:
        return {"num_steps": self.num_steps}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.num_steps = state["num_steps"]


@pytest.fixture(scope="session")
def make_stub() -> MakeStub:
    """Build a detector of given ``losses`` and ``scores``, which are mean greys by default."""
    return _StubDetector


@pytest.fixture
def use_stub(make_stub: MakeStub, monkeypatch: pytest.MonkeyPatch) -> UseStub:
    """Train a stub of these losses and scores in place of AGAD, a fresh stub each trial."""

    def use(**given: object) -> None:
        monkeypatch.setattr(Agad, "build", lambda *_: make_stub(**given))

    return use


@pytest.fixture
def load(digits: Manifest, runtime: Runtime) -> Load:
    """Open a part of the imported digits."""
    return lambda part: open_images(digits, part, store=runtime.store, cache=runtime.cache)
