"""The data of a stored study's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agad.config import StoredDetector
from agad.reading.boards import board_of, planned, searches_of, winners_of
from agad.records import TrialRow, Winner, picture_key, pictured, pictures_prefix, trial_prefix
from agad.report import (
    Curves,
    DetectorSearch,
    FigureData,
    Leaderboard,
    Picture,
    Scores,
    confirmed_rows,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from agad.objects import ObjectStore

_NUM_PICTURED_CELLS = 6
"""The most cells with reconstructions, so that a page of many cells stays small."""

_NUM_PICTURES_OF_EACH = 4
"""The most normal images, and the most anomalous images, of each of these cells."""


def stored_figure_data(objects: ObjectStore, study: str) -> tuple[Leaderboard, FigureData]:
    """Return the leaderboard of a stored study and the data of its figures.

    Raises:
        ConfigError: This version does not know the study's configuration.
        StoreError: The store cannot be reached, or an object is damaged.
    """
    from agad.store import StudyReader, read_table

    store = StudyReader(objects, study)
    plan = planned(store)
    trials, winners = store.trials(), winners_of(store, plan)
    board = board_of(plan, trials, winners)
    place_of = {row.trial_key: place for place, row in enumerate(trials)}
    scores = read_table(
        objects, [study], "scores", columns=["trial_key", "image", "is_anomaly", "score"]
    )
    return board, FigureData(
        trials=trials,
        winners=winners,
        searches=[_search_of(one) for one in plan.detectors],
        curves=stored_curves(objects, study, place_of),
        scores=_scores(scores, place_of),
        pictures=_pictures(objects, study, _first_models(board, trials, winners), scores),
    )


def _search_of(one: StoredDetector) -> DetectorSearch:
    return DetectorSearch(
        detector=one.values["name"],
        cells=frozenset(cell.label for cell in (*one.cells, *searches_of(one))),
        search=one.search,
        scheduler=one.scheduler,
        objective=one.selection.objective,
    )


def stored_curves(objects: ObjectStore, study: str, place_of: Mapping[str, int]) -> Curves:
    """Return the objective of every trial after every epoch.

    Args:
        objects: The store.
        study: The study's name.
        place_of: The place of each trial key among the study's trials.

    Raises:
        StoreError: The store cannot be reached, or an object is damaged.
    """
    import numpy as np

    from agad.store import read_table

    columns = ["trial_key", "epoch", "val_auroc", "objective"]
    table = read_table(objects, [study], "epochs", columns=columns)
    trial, order = _in_order_of_trial(table, place_of)
    # None is read as NaN. Rows of earlier versions have no objective; their AUROC is it.
    val_auroc, objective = (table[name].to_numpy().astype(float)[order] for name in columns[2:])
    return Curves(
        trial=trial,
        num_epochs=table["epoch"].to_numpy()[order] + 1,
        objective=np.where(np.isnan(objective), val_auroc, objective),
    )


def _scores(table: Any, place_of: Mapping[str, int]) -> Scores:  # noqa: ANN401  Arrow's.
    trial, order = _in_order_of_trial(table, place_of)
    return Scores(
        trial=trial,
        is_anomaly=table["is_anomaly"].to_numpy()[order],
        score=table["score"].to_numpy()[order],
    )


def _in_order_of_trial(
    table: Any,  # noqa: ANN401
    place_of: Mapping[str, int],
) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Return each row's trial, ascending, and the row's place in the table.

    Rows of trials that ended after the trials were read are left out.
    """
    import numpy as np

    keys = table["trial_key"].combine_chunks().dictionary_encode()
    places = [place_of.get(key, -1) for key in keys.dictionary.to_pylist()]
    trial = np.array([*places, -1], np.int64)[keys.indices.to_numpy()]
    order = np.argsort(trial, kind="stable")
    order = order[np.searchsorted(trial[order], 0) :]
    return trial[order], order


def _first_models(
    board: Leaderboard, trials: Sequence[TrialRow], winners: Mapping[str, Winner]
) -> list[TrialRow]:
    """Return the row of the first seed of each confirmed cell, whatever its score."""
    by_cell: dict[str, list[TrialRow]] = {}
    for row in trials:
        by_cell.setdefault(row.cell, []).append(row)
    return [
        min(scored, key=lambda row: row.seeds)
        for cell in board.cells
        if (
            scored := [
                row
                for row in confirmed_rows(by_cell.get(cell.cell, ()), winners.get(cell.cell))
                if row.test_auroc is not None
            ]
        )
    ]


def _pictures(
    objects: ObjectStore,
    study: str,
    models: Sequence[TrialRow],
    scores: Any,  # noqa: ANN401
) -> list[Picture]:
    """Return pictures of the first cells that have any, in order of cell, kind and image."""
    prefix = pictures_prefix(study)
    found: list[Picture] = []
    num_cells = 0
    for row in models:
        if num_cells == _NUM_PICTURED_CELLS:
            break
        keys = objects.list(trial_prefix(prefix, row.trial_key))
        images = pictured(prefix, row.trial_key, keys)
        if images:
            num_cells += 1
            found += _of_model(objects, prefix, row.trial_key, images, scores)
    return found


def _of_model(
    objects: ObjectStore,
    prefix: str,
    trial_key: str,
    images: Sequence[int],
    scores: Any,  # noqa: ANN401
) -> list[Picture]:
    import numpy as np

    keys = scores["trial_key"].combine_chunks().dictionary_encode()
    number = keys.dictionary.to_pylist().index(trial_key)
    rows = scores.take(np.flatnonzero(keys.indices.to_numpy() == number))
    of_image = {
        image: (is_anomaly, score)
        for image, is_anomaly, score in zip(
            *(rows[name].to_pylist() for name in ("image", "is_anomaly", "score")), strict=True
        )
    }
    known = [image for image in images if image in of_image]
    return [
        Picture(
            trial_key=trial_key,
            image=image,
            is_anomaly=wanted,
            score=of_image[image][1],
            png=objects.get(picture_key(prefix, trial_key, image)),
        )
        for wanted in (False, True)
        for image in [one for one in known if of_image[one][0] is wanted][:_NUM_PICTURES_OF_EACH]
    ]
