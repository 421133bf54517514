"""Checks that the parts of a study fit each other."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from agad.config.branches import configurations
from agad.config.budget import Budget
from agad.config.detector import DetectorConfig, with_parameters
from agad.config.grid import Grid
from agad.config.search import Search
from agad.config.selection import FixedEpoch, LabelFree, Labelled, Selection
from agad.config.space import Setting
from agad.errors import ConfigError

_MAX_CORNERS = 4096


def check_study_name(name: object) -> None:
    """Refuse a name that cannot be a prefix in every store."""
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,99}", name):
        raise ConfigError(
            f"study.name is {name!r}, but must start with a lower-case letter or digit "
            "and hold only those, '.', '_' and '-', at most 100 of them."
        )


def check_development_classes(cells: Grid, search: Search) -> None:
    """Refuse development classes that are no classes of the cells."""
    known = cells.classes
    for one in search.development:
        if one not in known:
            name = "normal_class" if cells.anomalous_class is None else "anomalous_class"
            raise ConfigError(
                f"search.development_classes holds {one!r}, but cells.{name} is "
                f"{', '.join(map(repr, known))}; name classes of it, as it names them."
            )


def budgeted(cells: Grid, selection: Labelled) -> tuple[Grid, Labelled]:
    """Return the cells with the budget of a selection as their axis, and the selection without it.

    A selection that names a pool and no budget has the budget of the whole pool.
    """
    budget = selection.budget or len(selection.named)
    given = f"selection.budget is {budget}"
    if selection.budget is None:
        given = f"selection.pool names {budget} images"
    if cells.labels is not None:
        raise ConfigError(
            f"{given} and cells.labels is given, but both are label budgets; leave one of them out."
        )
    if cells.anomaly_ratio != (0.0,):
        raise ConfigError(
            f"{given} and cells.anomaly_ratio is given, but both say how many anomalies are "
            "labelled; leave one of them out."
        )
    if selection.num_anomalies is not None:
        raise ConfigError(
            f"{given} and selection.num_anomalies is {selection.num_anomalies}, but a label budget "
            "is split between fitting and validation by itself; leave num_anomalies out."
        )
    return replace(cells, labels=budget), replace(selection, budget=None)


def check_label_budgets(cells: Grid, selection: Labelled) -> None:
    """Refuse a number of validation anomalies beside budgets, and a pool that does not fit."""
    budgets: Any = cells.labels or ()
    if budgets and selection.num_anomalies is not None:
        raise ConfigError(
            f"selection.num_anomalies is {selection.num_anomalies} and cells.labels is given, but "
            "a label budget is split between fitting and validation by itself; leave num_anomalies "
            "out."
        )
    if not selection.pool:
        return
    if not any(budgets):
        raise ConfigError(
            "selection.pool names images, but cells.labels is 0 alone, which uses none of them; "
            "add a budget of at least 2, or leave the pool out."
        )
    if max(budgets) > len(selection.named):
        raise ConfigError(
            f"cells.labels holds {max(budgets)}, but selection.pool names {len(selection.named)} "
            "images; name more, or use a smaller budget."
        )
    if len(cells.datasets) > 1 or cells.labelled_classes != ["all"]:
        axis = "dataset" if len(cells.datasets) > 1 else "labelled_classes"
        raise ConfigError(
            f"selection.pool names images and cells.{axis} is given, but the names are of one data "
            "set and say themselves which classes are labelled; "
            + ("give one data set." if axis == "dataset" else "leave labelled_classes out.")
        )


def check_space(cells: Grid, search: Search, detector: DetectorConfig) -> None:
    """Refuse a searched parameter that an axis fixes, and a corner that the detector refuses.

    The detector is built at every corner of the space, with every setting of the axes.
    """
    searched = set(search.space) & set(cells.settings)
    if searched:
        raise ConfigError(
            f"{', '.join(sorted(searched))} is in search.space and in cells.settings, but an "
            "axis is never searched; take it out of one of them."
        )
    for settings in {cell.settings for cell in cells.all_cells}:
        for one in corner_detectors(dict(settings), search, detector):
            given = (detector.supervision.external_data, one.supervision.external_data)
            if given[0] != given[1]:
                raise ConfigError(
                    f"{one} has another external data ({given[1] or 'none'}) than {detector} "
                    f"({given[0] or 'none'}), but a row of the board says what it was given; give "
                    "each a Candidate of its own in study.detectors."
                )


def corner_detectors(
    settings: Mapping[str, Setting], search: Search, detector: DetectorConfig
) -> Iterator[DetectorConfig]:
    """Yield the detector at every corner of the space: each choice, and both ends of each range.

    Of a space with very many corners, only the first are yielded.

    Args:
        settings: The parameters that a cell fixes.
        search: Has the space, and configurations to start with.
        detector: The detector, with every other parameter.
    """
    every = configurations(search.space, lambda axis: axis.draw.extremes)
    corners: list[Mapping[str, Setting]] = list(itertools.islice(every, _MAX_CORNERS))
    for corner in (*corners, *search.start):
        yield with_parameters(detector, {**settings, **corner})


def check_selection(selection: Selection, search: Search, detector: DetectorConfig) -> None:
    """Refuse a search that the selection policy has no use for."""
    if not search.space and not isinstance(selection, FixedEpoch):
        raise ConfigError(
            "search.space is empty, but must hold at least one parameter, such as "
            '{"lr": LogUniform(1e-4, 1e-2)}; with nothing to search, select by '
            "FixedEpoch(epochs=...)."
        )
    weights = [name for name in detector.loss_weights if name in search.space]
    if weights and isinstance(selection, LabelFree):
        raise ConfigError(
            f"search.space holds {', '.join(weights)}, but LabelFree searches no loss weight: "
            "its figure is a part of the loss, and the search would always weigh that part alone; "
            "fix them in the detector, or select by Labelled()."
        )


def check_nothing_searched(search: Search, budget: Budget) -> None:
    """Refuse a search or a budget if the epochs are given in advance and nothing is searched."""
    num = search.num_configurations
    if num != 1:
        raise ConfigError(
            f"search.space has {'endless' if num is None else num} configurations, but "
            "FixedEpoch chooses among none; leave the search out, and set its parameters in "
            "the detector or in cells.settings."
        )
    ignored = [f"search.{name}" for name in search.given if name != "space"]
    if ignored:
        raise ConfigError(
            f"{' and '.join(ignored)} {'is' if len(ignored) == 1 else 'are'} given, but "
            "FixedEpoch searches nothing; leave out all of the search but its space."
        )
    if budget.names:
        raise ConfigError(
            f"study.budget is {budget}, but FixedEpoch searches nothing that it could "
            "end; leave it out."
        )
