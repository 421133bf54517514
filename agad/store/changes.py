"""How one configuration of a study differs from another, and whether it only extends it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

from agad.config import DETECTORS, Asha, Budget, Confirm, Grid, Labelled, Search, Study
from agad.errors import StudyChangedError

_GROWING_COUNTS = ("search.trials_per_cell", "confirm.seeds")
_GROWING_LIMITS = ("budget.gpu_hours", "budget.hours")
_FREE = ("confirm.keep_every",)
"""What decides no result: it may be set, changed and taken back, for what runs from then on."""

_AXES = tuple(
    f"cells.{name}"
    for name in (
        "dataset",
        "normal_class",
        "anomalous_class",
        "anomaly_ratio",
        "pollution_ratio",
        "labelled_classes",
    )
)
_FURTHER_AXES = "cells.settings."
_DATA = "data."
"""Fingerprints by data set: a data set more is no change of another."""

_BESIDE_STUDY: dict[str, Any] = {"precision": "float32", "data": {}}
"""What is kept beside a study's own fields, as it is taken where it is missing."""

_SECTIONS: dict[str, type] = {
    "cells": Grid,
    "search": Search,
    "scheduler": Asha,
    "confirm": Confirm,
    "selection": Labelled,
    "budget": Budget,
}
"""Parts of a configuration and their types; its detector's type depends on the detector's name."""


class _Missing(Enum):
    """Stands for the value of a path that one of the two configurations does not have."""

    VALUE = "(not set)"


@dataclass(frozen=True, slots=True)
class _Difference:
    path: str
    kept: object
    wanted: object

    @property
    def is_extension(self) -> bool:
        """Whether what was kept stays part of what is wanted."""
        if self.path in _FREE:
            return True
        if self.kept is _Missing.VALUE and self.path.startswith(_DATA):
            return True
        if _Missing.VALUE in (self.kept, self.wanted):
            return False
        if self.path in _GROWING_COUNTS:
            return int(str(self.wanted)) > int(str(self.kept))
        if self.path in _GROWING_LIMITS:
            return self.wanted is None or (
                self.kept is not None and float(str(self.wanted)) > float(str(self.kept))
            )
        if _is_axis(self.path):
            return _values(self.kept) < _values(self.wanted)
        return False

    def __str__(self) -> str:
        return f"{self.path} was {_shown(self.kept)} and is now {_shown(self.wanted)}"


def extends(kept: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a configuration asks for more than the one kept; False where both ask the same.

    More are: trials a cell, confirm seeds, budget, or values on an axis of the cells; any other
    ``confirm.keep_every`` counts as more, since it decides no result. A field that one of the two
    lacks, since it was written by a version without that field, is taken to be at its default, as
    in a trial's key.

    Args:
        kept: What was read from ``study.json`` or its latest extension.
        wanted: What is to be run, in plain JSON values.

    Raises:
        StudyChangedError: They differ in any other way, such as by less of something.
    """
    differences = list(_differences(_with_defaults(kept), _with_defaults(wanted), ""))
    refused = [one for one in differences if not one.is_extension]
    if refused:
        raise StudyChangedError(
            f"study {wanted.get('name')!r} is stored already and was another one: "
            f"{'; '.join(map(str, refused))}. Choose another study name, or undo the change; only "
            "more trials_per_cell, more confirm seeds, more budget and more values on an axis "
            "extend a study, and confirm.keep_every may change."
        )
    return bool(differences)


def _with_defaults(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with the fields that it lacks, but for those without a default."""
    filled = _BESIDE_STUDY | _defaults(Study) | config
    detectors = {one.name: one for one in DETECTORS}
    for name, kind in _SECTIONS.items():
        if isinstance(config.get(name), dict):
            filled[name] = _defaults(kind) | config[name]
    detector = config.get("detector")
    if isinstance(detector, dict) and detector.get("name") in detectors:
        filled["detector"] = _defaults(detectors[detector["name"]]) | detector
    return filled


def _defaults(kind: type) -> dict[str, Any]:
    """Return the JSON values of the fields that have a default."""
    values: dict[str, Any] = {}
    for field in fields(kind):
        if field.default is not MISSING:
            values[field.name] = field.default
        elif field.default_factory is not MISSING:
            value: Any = field.default_factory()
            is_value = is_dataclass(value) and not isinstance(value, type)
            values[field.name] = asdict(value) if is_value else value
    return values


def _differences(kept: object, wanted: object, path: str) -> Iterator[_Difference]:
    if isinstance(kept, dict) and isinstance(wanted, dict):
        for name in sorted(kept.keys() | wanted.keys()):
            yield from _differences(
                kept.get(name, _Missing.VALUE),
                wanted.get(name, _Missing.VALUE),
                f"{path}.{name}" if path else name,
            )
    elif not _is_same(kept, wanted, path):
        yield _Difference(path, kept, wanted)


def _is_same(kept: object, wanted: object, path: str) -> bool:
    if _is_axis(path) and (isinstance(kept, list) or isinstance(wanted, list)):
        # The order of an axis changes no cell; a default is one value, not in a list.
        return _values(kept) == _values(wanted)
    # Python takes True for 1.
    return kept == wanted and isinstance(kept, bool) == isinstance(wanted, bool)


def _is_axis(path: str) -> bool:
    return path in _AXES or path.startswith(_FURTHER_AXES)


def _values(axis: object) -> set[tuple[bool, Any]]:
    values = axis if isinstance(axis, list) else [axis]
    # JSON has made lists of tuples, and lists cannot be in a set.
    return {(isinstance(one, bool), tuple(one) if isinstance(one, list) else one) for one in values}


def _shown(value: object) -> str:
    return str(value.value) if isinstance(value, _Missing) else json.dumps(value)
