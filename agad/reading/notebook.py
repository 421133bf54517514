"""Leaderboards and figures of a store in a script or a notebook."""

from __future__ import annotations

import os
from typing import Any

from agad.errors import ConfigError
from agad.reading.boards import stored_leaderboard
from agad.reading.figure_data import stored_figure_data
from agad.reading.tables import imported, opened
from agad.report import Figure, cell_rows, check_renderer, mean_rows
from agad.report import figures as study_figures

_ROWS_OF = {"cells": cell_rows, "means": mean_rows}


def leaderboard(
    store: str | os.PathLike[str] | None = None, study: str | None = None, *, of: str = "cells"
) -> Any:  # noqa: ANN401  pandas is imported late.
    """Return leaderboards as a data frame, at full precision.

    Args:
        store: A folder or ``s3://bucket/prefix``; the default is ``$AGAD_STORE``, else
            ``~/.agad/store``.
        study: Only this study, instead of all in the store.
        of: ``cells`` for a row for each cell, with or without a result; ``means`` for the means
            over cells, as in ``agad report --means-csv``.

    Returns:
        A ``pandas.DataFrame``. The ends of an interval are in ``x_low`` and ``x_high``; an unknown
        value is None or NaN.

    Raises:
        ConfigError: A value is not allowed, pandas is not installed, or the store holds no study,
            or no study of this name.
        StoreError: The store cannot be reached, or an object is damaged.
    """
    if of not in _ROWS_OF:
        raise ConfigError(f"of is {of!r}, but must be one of: {', '.join(_ROWS_OF)}.")
    pandas = imported("pandas", "a data frame is asked for", "use agad report --csv")
    objects, studies = opened(store, study)
    return pandas.DataFrame(_ROWS_OF[of](*(stored_leaderboard(objects, one) for one in studies)))


def figures(store: str | os.PathLike[str] | None = None, study: str | None = None) -> list[Figure]:
    """Return every figure of a store's studies. A notebook shows a figure that ends its cell.

    Args:
        store: As in ``leaderboard``.
        study: Only this study, instead of all in the store.

    Raises:
        ConfigError: The store holds no study, or no study of this name.
        NotInstalledError: The renderer of figures is not installed.
        StoreError: The store cannot be reached, or an object is damaged.
    """
    check_renderer()
    objects, studies = opened(store, study)
    return [one for name in studies for one in study_figures(*stored_figure_data(objects, name))]
