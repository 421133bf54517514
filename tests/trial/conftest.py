"""Trials small enough to train in a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from agad.config import Agad, Cell
from agad.data import Task
from agad.trial import Runtime, TrialSpec

if TYPE_CHECKING:
    from agad.data import Library, Manifest, NodeCache

MakeSpec: TypeAlias = Callable[..., TrialSpec]
TaskOf: TypeAlias = Callable[..., Task]


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
    """Build a tiny trial on digits, with some of its fields changed; its task is its cell's."""

    def build(**changes: Any) -> TrialSpec:  # noqa: ANN401
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
            "detector": Agad(
                backbone="naive",
                base_width=4,
                discriminator_width=4,
                batch_size=32,
                min_batch_anomalies=16,
                lr=2e-3,
            ),
        }
        return TrialSpec(**(values | changes))

    return build


@pytest.fixture
def runtime(digits_library: Library, session_cache: NodeCache) -> Runtime:
    """One thread of the CPU, beside the session's digits."""
    return Runtime(store=digits_library.uri, cache=session_cache)
