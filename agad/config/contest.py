"""The cells that each detector of a study answers, and a study's detectors as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agad.config.branches import Axis, all_axes, from_json
from agad.config.candidate import Candidate
from agad.config.cell import Cell
from agad.config.detector import DetectorConfig, Labels, Supervision, parameters_of
from agad.config.grid import Grid
from agad.config.registry import detector_class
from agad.config.scheduler import NoStopping, Scheduler, scheduler_from_json
from agad.config.search import Search
from agad.config.selection import (
    FixedEpoch,
    Labelled,
    Selection,
    searches,
    selection_from_json,
)
from agad.config.space import Setting
from agad.errors import ConfigError

_FEATURES = "features"
"""The parameter that names what a detector sees of an image."""


def cells_of_detectors(
    cells: Sequence[Cell], detectors: Sequence[tuple[str, Mapping[str, Any], str]]
) -> Iterator[tuple[Cell, ...]]:
    """Yield the cells of each detector of a study; no two cells share a label.

    The first detector has the same labels as in a study of its own. A stored study of one detector
    can therefore be extended by others. If a detector has a second candidate, its labels name the
    parameters that differ from the first. A further detector that is made from external data names
    its features too, such as ``features=efficientnet-lite0``.

    Args:
        cells: The cells of the study's grid.
        detectors: Name, parameters and external data of each detector.
    """
    firsts: dict[str, Mapping[str, Any]] = {}
    for place, (name, own, external_data) in enumerate(detectors):
        first = firsts.setdefault(name, own)
        named = {_FEATURES} if place and external_data else set()
        settings: tuple[tuple[str, Setting], ...] = tuple(
            (one, own[one]) for one in sorted(own) if own[one] != first.get(one) or one in named
        )
        yield tuple(
            replace(cell, detector=name if place else "", settings=(*cell.settings, *settings))
            for cell in cells
        )


def answered(cells: Iterable[Cell], labels: Labels, selection: Selection) -> dict[Cell, Cell]:
    """Return the cell that runs, for each cell that a detector answers.

    A detector that needs labels answers no cell without labels. A detector that uses labels neither
    for its fit nor for its selection runs once, at the first ratio or label budget. The result
    counts at every ratio and budget.

    Args:
        cells: The detector's cells.
        labels: What the detector does with labelled anomalies.
        selection: The policy that chooses the detector's configuration.
    """
    if labels == "unused" and not isinstance(selection, Labelled):
        first: dict[Cell, Cell] = {}
        return {cell: first.setdefault(cell.without_labels(), cell) for cell in cells}
    return {cell: cell for cell in cells if cell.has_labels or labels != "required"}


def unsearched(selection: Selection, epochs: int) -> FixedEpoch:
    """Return the policy of a candidate without a search: no label chooses its configuration."""
    return FixedEpoch(epochs=epochs, val_share=selection.val_share)


def detector_as_json(detector: DetectorConfig) -> dict[str, Any]:
    """Return a detector's parameters with its name and version, as plain JSON values."""
    return {**parameters_of(detector), "name": detector.name, "version": detector.version}


def _detector_from_json(values: Mapping[str, Any]) -> DetectorConfig:
    parameters = dict(values)
    name, _ = parameters.pop("name"), parameters.pop("version")
    return detector_class(name)(**parameters)


def detectors_from_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a ``Study`` that hold its detectors, from a ``study.json``.

    Raises:
        ConfigError: A detector is not installed, or refuses a value.
        KeyError: A field is missing.
        TypeError: A detector has a parameter that this version does not know.
    """
    if "detectors" not in values:
        return {
            "detector": _detector_from_json(values["detector"]),
            "scheduler": scheduler_from_json(values["scheduler"]),
        }
    return {
        "detectors": [
            Candidate(
                _detector_from_json(one["detector"]),
                space=_space_of(one),
                trials=one.get("trials"),
                scheduler=scheduler_from_json(one["scheduler"]),
            )
            for one in values["detectors"]
        ]
    }


def _space_of(candidate: Mapping[str, Any]) -> Any:  # noqa: ANN401  A mapping of distributions.
    return Search.from_json({"space": candidate["space"], "trials_per_cell": 1}).space


def stored_axes(config: Mapping[str, Any]) -> tuple[Axis, ...]:
    """Return every searched parameter of a ``study.json`` on every branch, of all its detectors.

    Raises:
        ConfigError: This version does not know a distribution.
    """
    spaces = [config.get("search", {}).get("space", {})]
    spaces += [one["space"] for one in config.get("detectors", ())]
    return tuple(
        axis
        for space in spaces
        for axis in all_axes({name: from_json(one) for name, one in space.items()})
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDetector:
    """A detector of a stored study, which need not be installed here."""

    values: Mapping[str, Any]
    """The detector's parameters, ``name`` and ``version``."""

    search: Search
    scheduler: Scheduler
    selection: Selection
    answers: Mapping[Cell, Cell]
    """The same as ``Entry.answers``."""

    external_data: str = ""
    """The same as ``Supervision.external_data``."""

    left_out: tuple[Cell, ...] = ()
    """The same as ``Entry.left_out``."""

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells that run."""
        return tuple(dict.fromkeys(self.answers.values()))

    @property
    def num_cell_trials(self) -> int:
        """Search trials of a cell; 0 if nothing is searched."""
        return self.search.num_cell_trials if self.selection.searches else 0

    def searches(self, cell: Cell) -> bool:
        """Whether configurations are tried in a cell before one is confirmed."""
        return searches(self.selection, cell.labels)


def stored_detectors(config: Mapping[str, Any]) -> tuple[StoredDetector, ...]:
    """Return the detectors of a ``study.json``, whether or not they are installed here.

    Raises:
        ConfigError: This version does not know a value.
        KeyError: A field is missing.
        TypeError: A part has a field that this version does not know.
    """
    grid = Grid.from_json(config["cells"]).all_cells
    search = Search.from_json(config["search"])
    selection = selection_from_json(config.get("selection", {}))
    if "detectors" not in config:
        values = config.get("detector", {"name": "agad"})
        one = StoredDetector(
            values=values,
            search=search,
            scheduler=scheduler_from_json(config.get("scheduler", {"rule": NoStopping.rule})),
            selection=selection,
            answers=answered(grid, _labels_of(values), selection),
            external_data=_external_data(config, values),
        )
        return (one,)
    stored = config["detectors"]
    parameters = [
        {name: value for name, value in one["detector"].items() if name not in ("name", "version")}
        for one in stored
    ]
    names = [one["detector"]["name"] for one in stored]
    external = [one.get("external_data", "") for one in stored]
    own_cells = cells_of_detectors(grid, list(zip(names, parameters, external, strict=True)))
    return tuple(
        _stored_candidate(one, search, selection, cells)
        for one, cells in zip(stored, own_cells, strict=True)
    )


def _stored_candidate(
    one: Mapping[str, Any], search: Search, selection: Selection, cells: tuple[Cell, ...]
) -> StoredDetector:
    scheduler = scheduler_from_json(one["scheduler"])
    space = _space_of(one)
    if space:
        search = replace(search, space=space, trials_per_cell=one["trials"])
    else:
        search, selection = Search(), unsearched(selection, scheduler.max_epochs)
    answers = answered(cells, one["labels"], selection)
    return StoredDetector(
        values=one["detector"],
        search=search,
        scheduler=scheduler,
        selection=selection,
        answers=answers,
        left_out=tuple(cell for cell in cells if cell not in answers),
        external_data=one.get("external_data", ""),
    )


def _external_data(config: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """Return the external data of a study's only detector, which need not be installed here."""
    told = {one.get("external_data", "") for one in config.get("encoders", {}).values()} - {""}
    found = supervision_of(values)
    return ", ".join(sorted(told)) or (found.external_data if found is not None else "")


def supervision_of(values: Mapping[str, Any]) -> Supervision | None:
    """Return what a detector of a ``study.json`` is given; None if it is not installed here.

    A detector that refuses its stored parameters is taken with its defaults.
    """
    try:
        kind = detector_class(values.get("name", ""))
    except ConfigError:
        return None
    try:
        return _detector_from_json({"version": kind.version, **values}).supervision
    except (ConfigError, TypeError):
        return kind().supervision


def _labels_of(values: Mapping[str, Any]) -> Labels:
    """Return how a detector uses labels; an unknown detector is assumed to use them."""
    found = supervision_of(values)
    return "optional" if found is None else found.labels
