"""The specifications of trials that have ended, made again from their rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import cast

from agad.config import Study
from agad.data import Library
from agad.errors import StudyChangedError
from agad.records import Phase, TrialRow
from agad.study.cell_data import find_cell_data
from agad.trial import TrialSpec


def specs_of_rows(study: Study, library: Library, rows: Sequence[TrialRow]) -> list[TrialSpec]:
    """Return what was trained for some confirm or test rows of a study, in their order.

    Raises:
        ConfigError: A data set is gone, or too small by now.
        StudyChangedError: The data or the detector are no longer those of a row.
    """
    found = find_cell_data(study, library).values()
    cell_data = {cell.cell.label: cell for one in found for cell in one.confirmed}
    specs = []
    for row in rows:
        cell = cell_data.get(row.cell)
        params = json.loads(row.params)
        spec = cell.spec(study, cast(Phase, row.phase), row.number, params) if cell else None
        if spec is None or spec.key != row.trial_key:
            raise StudyChangedError(
                f"trial {row.number} of {row.cell} in study {study.name} was made of other data, "
                f"or by another version than this agad's of {row.detector}, so it cannot be built "
                "again; use the data and the version that ran it."
            )
        specs.append(spec)
    return specs
