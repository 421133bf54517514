"""Stored searches as Optuna studies, for Optuna's plots and dashboard."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from agad.reading.boards import planned
from agad.reading.figure_data import stored_curves
from agad.reading.tables import opened
from agad.records import State, TrialRow
from agad.report import Curves

if TYPE_CHECKING:
    import optuna

    from agad.objects import ObjectStore
    from agad.search import EndedSearch, EndedTrial


def to_optuna(
    store: str | os.PathLike[str] | None = None, study: str | None = None
) -> dict[str, optuna.Study]:
    """Return the search of each cell as an Optuna study, all in one storage in memory.

    A finished trial is COMPLETE, a stopped trial PRUNED, a diverged or failed trial FAIL. Each has
    its parameters with their distributions, its objective after every epoch, and the user
    attributes ``trial_key``, ``cell``, ``number``, ``state``, ``stop_reason``, ``epochs``,
    ``seconds`` and ``gpu_s``. The name of a parameter on a branch is the label of the branch.
    Confirm trials are left out: they repeat one configuration on other seeds.

    Args:
        store: A folder or ``s3://bucket/prefix``; the default is ``$AGAD_STORE``, else
            ``~/.agad/store``.
        study: Only this study, instead of all in the store.

    Returns:
        Optuna studies by their names, ``<study>/<label of the cell>``; a cell without a search
        trial has no Optuna study.

    Raises:
        ConfigError: The store holds no study, or no study of this name.
        StoreError: The store cannot be reached, or an object is damaged, such as a row whose
            parameters are not of its study's space.
    """
    # Optuna takes half a second to import; `import agad` does without it.
    from agad.search import optuna_studies

    return optuna_studies(stored_searches(store, study))


def stored_searches(store: str | os.PathLike[str] | None, study: str | None) -> list[EndedSearch]:
    """Return the search of each cell that has any search trial.

    Arguments and errors are those of ``to_optuna``.
    """
    objects, studies = opened(store, study)
    return [one for name in studies for one in _searches(objects, name)]


def _searches(objects: ObjectStore, study: str) -> list[EndedSearch]:
    from agad.search import EndedSearch
    from agad.store import StudyReader

    store = StudyReader(objects, study)
    plan = planned(store)
    trials = store.trials()
    curves = stored_curves(
        objects, study, {row.trial_key: place for place, row in enumerate(trials)}
    )
    places: dict[str, list[int]] = {}
    for place, row in enumerate(trials):
        if row.phase == "search":
            places.setdefault(row.cell, []).append(place)
    return [
        EndedSearch(
            name=f"{study}/{cell}",
            search=plan.of_cell(cell).search,
            trials=_ended(trials, sorted(of_cell, key=lambda one: trials[one].number), curves),
            attributes={"study": study, "cell": cell},
        )
        for cell, of_cell in places.items()
    ]


def _ended(trials: Sequence[TrialRow], places: Sequence[int], curves: Curves) -> list[EndedTrial]:
    import numpy as np

    from agad.search import EndedTrial

    found = []
    for place, span in zip(places, curves.spans(places), strict=True):
        row = trials[place]
        is_known = np.isfinite(curves.objective[span])
        epochs = curves.num_epochs[span][is_known] - 1
        found.append(
            EndedTrial(
                params=json.loads(row.params),
                state=cast("State", row.state),
                objectives=dict(
                    zip(epochs.tolist(), curves.objective[span][is_known].tolist(), strict=True)
                ),
                attributes={
                    "trial_key": row.trial_key,
                    "cell": row.cell,
                    "number": row.number,
                    "state": row.state,
                    "stop_reason": row.stop_reason,
                    "epochs": row.epochs,
                    "seconds": row.seconds,
                    "gpu_s": row.gpu_s,
                },
                started_at=row.started_at,
                ended_at=row.ended_at,
            )
        )
    return found
