"""How one configuration of a study differs from another, and whether it only extends it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

from agad.config import (
    Asha,
    Budget,
    Confirm,
    Grid,
    Labelled,
    Search,
    Study,
    detector_class,
    known_names,
    supervision_of,
)
from agad.errors import StudyChangedError

_GROWING_COUNTS = ("search.trials_per_cell", "confirm.seeds")
_GROWING_LIMITS = ("budget.gpu_hours", "budget.hours")
_FREE = ("confirm.keep_every",)
"""Fields that decide no result: any change is allowed, and counts for what runs from then on."""

_AXES = tuple(
    f"cells.{name}"
    for name in (
        "dataset",
        "normal_class",
        "anomalous_class",
        "anomaly_ratio",
        "pollution_ratio",
        "labelled_classes",
        "num_normals",
        "labels",
    )
)
_FURTHER_AXES = "cells.settings."
_BY_NAME = ("data.", "encoders.")
"""Fingerprints by data set, and encoders by name: an added one changes no other."""

_CANDIDATE = re.compile(r"detectors\.\d+")
"""A detector added at the end changes no other detector."""

_TRIALS = re.compile(r"detectors\.\d+\.trials")

_BESIDE_STUDY: dict[str, Any] = {"precision": "float32", "data": {}, "encoders": {}}
"""The fields kept beside a study's own fields, and their values if they are missing."""

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
        """Whether everything that was kept stays part of the wanted configuration."""
        if self.path in _FREE:
            return True
        if self.kept is _Missing.VALUE and (
            self.path.startswith(_BY_NAME) or _CANDIDATE.fullmatch(self.path)
        ):
            return True
        if _Missing.VALUE in (self.kept, self.wanted):
            return False
        if self.path in _GROWING_COUNTS or _TRIALS.fullmatch(self.path):
            # With several detectors, each counts its own trials.
            counts = (self.kept, self.wanted)
            return None not in counts and int(str(self.wanted)) > int(str(self.kept))
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
    """Whether a configuration asks for more than the kept one; False if both ask for the same.

    "More" means more trials a cell, confirm seeds, budget, or values on an axis of the cells. A
    different ``confirm.keep_every`` also counts as more, since it decides no result. A field that
    an older version did not write counts as its default, as in a trial's key.

    Args:
        kept: The configuration read from ``study.json`` or its latest extension.
        wanted: The configuration to run, in plain JSON values.

    Raises:
        StudyChangedError: The two differ in any other way, for example if ``wanted`` has fewer
            trials.
    """
    if wanted.get("detectors"):
        kept = _as_several(kept)
    differences = list(_differences(_with_defaults(kept), _with_defaults(wanted), ""))
    refused = [one for one in differences if not one.is_extension]
    if refused:
        raise StudyChangedError(
            f"study {wanted.get('name')!r} is stored already and was another one: "
            f"{'; '.join(map(str, refused))}. Choose another study name, or undo the change; only "
            "more trials_per_cell, more confirm seeds, more budget, more values on an axis and "
            "more detectors at the end extend a study, and confirm.keep_every may change."
        )
    return bool(differences)


def _with_defaults(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with its missing fields at their defaults.

    A missing field without a default stays missing.
    """
    filled = _BESIDE_STUDY | _defaults(Study) | config
    for name, kind in _SECTIONS.items():
        if isinstance(config.get(name), dict):
            filled[name] = _defaults(kind) | config[name]
    if isinstance(config.get("detector"), dict):
        filled["detector"] = _detector(config["detector"])
    if config.get("detectors"):
        del filled["detector"], filled["scheduler"]
        # Each candidate has its own.
        filled["search"] = filled["search"] | {"trials_per_cell": None}
        filled["detectors"] = {
            str(place): {**one, "detector": _detector(one["detector"])}
            for place, one in enumerate(config["detectors"])
        }
    return filled


def _detector(values: dict[str, Any]) -> dict[str, Any]:
    """Return a detector with its missing parameters at their defaults."""
    name = values.get("name")
    return values if name not in known_names() else _defaults(detector_class(name)) | values


def _as_several(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration of one detector in the form of several detectors."""
    if config.get("detectors"):
        return config
    search = dict(config["search"])
    one = {
        "detector": config["detector"],
        "space": search.pop("space"),
        "scheduler": config["scheduler"],
    }
    supervision = supervision_of(config["detector"])
    if supervision is not None:
        one["labels"] = supervision.labels
        if supervision.external_data:
            one["external_data"] = supervision.external_data
    if one["space"]:
        one["trials"] = search["trials_per_cell"]
    rest = {key: value for key, value in config.items() if key not in ("detector", "scheduler")}
    return rest | {"search": {"space": {}, **search}, "detectors": [one]}


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
