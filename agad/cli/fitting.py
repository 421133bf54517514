"""A study on a data set that cannot answer all of the study's questions."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from agad.config import Study, count_text
from agad.data import Manifest, num_fit_and_val


def fitted_to(study: Study, manifest: Manifest) -> tuple[Study, list[str]]:
    """Return a study without what a data set cannot answer.

    Detectors that do not take pictures of its size are left out. Numbers of normal images that a
    class lacks become all images. Label budgets above the anomalies of the training part are left
    out, and with them the detectors that nothing is left for. If no detector would be left, all
    stay, and the study is refused later.

    Returns:
        The study, and a sentence for each change.
    """
    study, told = _of_size(study, manifest)
    counts = [*_counts(study, manifest)]
    most_normals, most_labels = (min(of) for of in zip(*counts, strict=True))
    axes: dict[str, Any] = {}
    normals: Any = study.cells.num_normals
    many = [num for num in normals if num is not None and num > most_normals]
    if many:
        kept = [None if num in many else num for num in normals]
        axes["num_normals"] = list(dict.fromkeys(kept))
        told.append(
            f"{manifest.name} has {count_text(most_normals, 'normal image')} of a class to fit, "
            f"and not {_listed(many)}, so all are fitted."
        )
    budgets: Any = study.cells.labels or ()
    large = [num for num in budgets if num > most_labels]
    if large:
        axes["labels"] = [num for num in budgets if num not in large] or [0]
        told.append(
            f"{manifest.name} has {count_text(most_labels, 'anomaly', 'anomalies')} in its "
            f"training part, so label budgets of {_listed(large)} are left out."
        )
    detectors = study.detectors
    if axes.get("labels") == [0]:
        needs = [one for one in detectors if one.detector.supervision.labels == "required"]
        detectors = tuple(one for one in detectors if one not in needs)
        names = ", ".join(dict.fromkeys(one.detector.name for one in needs))
        if names and detectors:
            told.append(f"without labels, there is nothing to fit for: {names}.")
        else:
            detectors = study.detectors
    return replace(study, cells=replace(study.cells, **axes), detectors=detectors), told


def _of_size(study: Study, manifest: Manifest) -> tuple[Study, list[str]]:
    """Return a study without the detectors that do not take pictures of the data set's size."""
    image_px = manifest.image_px
    sizes = [getattr(one.detector, "picture_sizes", ()) for one in study.detectors]
    kept = [not taken or image_px in taken for taken in sizes]
    if all(kept) or not any(kept):
        return study, []
    left_out = {
        one.detector.name: taken
        for one, taken, is_kept in zip(study.detectors, sizes, kept, strict=True)
        if not is_kept
    }
    detectors = tuple(itertools.compress(study.detectors, kept))
    return replace(study, detectors=detectors), [
        f"{name} is left out: it takes pictures of {', '.join(map(str, taken))} px, but "
        f"{manifest.name} holds pictures of {image_px} px."
        for name, taken in left_out.items()
    ]


def _counts(study: Study, manifest: Manifest) -> Iterator[tuple[int, int]]:
    """Yield the normal images to fit, and the anomalies, of each class of a study."""
    counts = manifest.train.class_counts
    is_one_class = study.cells.anomalous_class is None
    for given in study.cells.classes:
        num = counts[manifest.label_of("cells", given)]
        normals, anomalies = (num, sum(counts) - num) if is_one_class else (sum(counts) - num, num)
        yield num_fit_and_val(normals, study.selection.val_share)[0], anomalies


def _listed(nums: list[int]) -> str:
    return " and ".join(f"{num:,}" for num in nums)
