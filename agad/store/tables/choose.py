"""The attempt of a trial that counts, and the order of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
from numpy.typing import NDArray

from agad.records import PHASES, STATES, Attempt

PLACE_COLUMNS = ("cell", "phase", "number", "trial_key", "attempt")
"""Columns that decide a trial's place in a table."""

CHOICE_COLUMNS = (*PLACE_COLUMNS, "state")
"""Columns that decide which attempt counts, and its place."""

_Place = tuple[str, int, int, str, int]
_PHASE_PLACES: dict[str, int] = {phase: place for place, phase in enumerate(PHASES)}


def all_places(trials: pa.Table) -> dict[Attempt, int]:
    """Return every attempt's place in order of cell, phase, number and attempt.

    Args:
        trials: Rows of trials with the ``PLACE_COLUMNS``.
    """
    ordered = sorted(_places(trials))
    return {(key, attempt): place for place, (*_, key, attempt) in enumerate(ordered)}


def chosen_places(trials: pa.Table) -> dict[Attempt, int]:
    """Return the places of the attempts that count, one a trial key, in the same order.

    The best state by ``STATES`` counts, then the lowest attempt.

    Args:
        trials: Rows of trials with the ``CHOICE_COLUMNS``.
    """
    best: dict[str, tuple[tuple[int, int], _Place]] = {}
    for place, state in zip(_places(trials), trials["state"].to_pylist(), strict=True):
        rank = STATES.index(state) if state in STATES else len(STATES)
        candidate = ((rank, place[4]), place)
        best[place[3]] = min(best.get(place[3], candidate), candidate)
    ordered = sorted(place for _, place in best.values())
    return {(key, attempt): place for place, (*_, key, attempt) in enumerate(ordered)}


def _places(trials: pa.Table) -> list[_Place]:
    columns = [trials[name].to_pylist() for name in PLACE_COLUMNS]
    return [
        (cell, _PHASE_PLACES.get(phase, len(PHASES)), number, key, attempt)
        for cell, phase, number, key, attempt in zip(*columns, strict=True)
    ]


def in_order(table: pa.Table, places: Mapping[Attempt, int], within: Sequence[str]) -> pa.Table:
    """Return the rows whose attempts have a place, in order of the place.

    Args:
        table: Rows with ``trial_key`` and ``attempt``.
        places: The places of the attempts that are wanted.
        within: Whole numbers that order the rows of one attempt, such as ``["epoch"]``.
    """
    ranks = _ranks(table, places)
    # The last key of a lexicographic sort is its first criterion.
    keys = [*(table[name].to_numpy() for name in reversed(within)), ranks]
    order = np.lexsort(keys)
    order = order[ranks[order] >= 0]
    if len(order) == len(ranks) and bool((order == np.arange(len(order))).all()):
        return table
    return table.take(pa.array(order))


def _ranks(table: pa.Table, places: Mapping[Attempt, int]) -> NDArray[np.int64]:
    """Return each row's place, -1 where its attempt has none."""
    if table.num_rows == 0:
        return np.empty(0, np.int64)
    encoded = table["trial_key"].combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    keys = encoded.dictionary.to_pylist()
    attempts = table["attempt"].to_numpy()
    # One number an attempt: there are far fewer attempts than rows.
    stride = int(attempts.max()) + 1
    joined = encoded.indices.to_numpy().astype(np.int64) * stride + attempts
    distinct, inverse = np.unique(joined, return_inverse=True)
    ranks = [places.get((keys[one // stride], one % stride), -1) for one in distinct.tolist()]
    return np.array(ranks, np.int64)[inverse]
