"""Means of cells over classes, ratios and data sets."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from statistics import fmean, stdev

from agad.report.numbers.development import with_and_without
from agad.report.numbers.results import CellResult, RatioResult, Summary
from agad.report.numbers.statistics import (
    interquartile_mean,
    interquartile_mean_interval,
    mean_interval,
)


def ratio_results(cells: Iterable[CellResult]) -> list[RatioResult]:
    """Return one result for each data set, detector, variant and ratio, in that order.

    If some classes are development classes, a result without them follows.
    """
    groups: dict[tuple[str, str, str, float], list[CellResult]] = defaultdict(list)
    for cell in cells:
        groups[cell.dataset, cell.detector, cell.variant, cell.anomaly_ratio].append(cell)
    return _marked(
        _ratio_result(counted, left_out)
        for key in sorted(groups, key=lambda key: _group_order(groups[key][0]))
        for counted, left_out in with_and_without(groups[key])
    )


def _marked(results: Iterable[RatioResult]) -> list[RatioResult]:
    """Return the means; the highest of a task is marked, among those that were given the same."""
    rivals: dict[Hashable, list[float]] = defaultdict(list)
    keyed = [
        (one, (one.dataset, one.anomaly_ratio, one.left_out, one.task, one.given))
        for one in results
    ]
    for one, key in keyed:
        if one.test_auroc is not None and not one.num_missing:
            rivals[key].append(one.test_auroc)
    return [
        replace(
            one,
            is_highest=bool(one.given)
            and not one.num_missing
            and len(rivals[key]) > 1
            and one.test_auroc == max(rivals[key]),
        )
        for one, key in keyed
    ]


def _group_order(cell: CellResult) -> tuple[object, ...]:
    return (cell.dataset, cell.detector, *cell.variant_order, cell.anomaly_ratio)


def _ratio_result(cells: Sequence[CellResult], left_out: tuple[int | str, ...]) -> RatioResult:
    means = [cell.test_auroc for cell in cells if cell.test_auroc is not None]
    precisions = [
        cell.test_average_precision for cell in cells if cell.test_average_precision is not None
    ]
    strata = [cell.test_aurocs for cell in cells if cell.test_aurocs]
    return RatioResult(
        dataset=cells[0].dataset,
        detector=cells[0].detector,
        variant=cells[0].variant,
        anomaly_ratio=cells[0].anomaly_ratio,
        label_budget=cells[0].label_budget,
        test_auroc=fmean(means) if means else None,
        interval=mean_interval(strata),
        iqm=interquartile_mean([score for scores in strata for score in scores]),
        iqm_interval=interquartile_mean_interval(strata),
        sd_over_classes=_sd(means),
        sd_over_seeds=_pooled_sd(cells),
        test_average_precision=fmean(precisions) if precisions else None,
        num_classes=len(means),
        num_missing=len(cells) - len(means),
        num_confirmed=sum(cell.num_confirmed for cell in cells),
        left_out=left_out,
        given=" or ".join(sorted({cell.given for cell in cells} - {""})),
        task=cells[0].task,
        num_normals=cells[0].num_normals,
        stands=all(cell.stands_for for cell in cells),
    )


def summaries(cells: Sequence[CellResult]) -> list[Summary]:
    """Return the means over ratios, over data sets and over both, if there are several."""
    over_ratios: dict[Hashable, list[CellResult]] = defaultdict(list)
    over_datasets: dict[Hashable, list[CellResult]] = defaultdict(list)
    over_both: dict[Hashable, list[CellResult]] = defaultdict(list)
    for cell in cells:
        method = (cell.detector, cell.variant)
        over_ratios[cell.dataset, *method].append(cell)
        over_datasets[*method, cell.anomaly_ratio].append(cell)
        over_both[method].append(cell)
    groups = [
        *(group for group in over_ratios.values() if _counts(group)[1] > 1),
        *(group for group in over_datasets.values() if _counts(group)[0] > 1),
        *(group for group in over_both.values() if min(_counts(group)) > 1),
    ]
    return [
        _summary(counted, left_out)
        for group in groups
        for counted, left_out in with_and_without(group)
    ]


def _counts(cells: Iterable[CellResult]) -> tuple[int, int]:
    """Count the data sets and the ratios of some cells."""
    places = [(cell.dataset, cell.anomaly_ratio) for cell in cells]
    return len({dataset for dataset, _ in places}), len({ratio for _, ratio in places})


def _summary(cells: Sequence[CellResult], left_out: tuple[int | str, ...]) -> Summary:
    confirmed = [cell for cell in cells if cell.test_auroc is not None]
    weights = _weights(confirmed)
    # A result that stands at several ratios varies only once with its seeds.
    scores = {cell.origin: cell.test_aurocs for cell in confirmed}
    strata = list(scores.values())
    shares = dict.fromkeys(scores, 0.0)
    for cell, weight in zip(confirmed, weights, strict=True):
        shares[cell.origin] += weight
    by_dataset: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for cell, weight in zip(confirmed, weights, strict=True):
        assert cell.test_auroc is not None
        by_dataset[cell.dataset].append((weight, cell.test_auroc))
    means = [_weighted_mean(pairs) for pairs in by_dataset.values()]
    num_datasets, num_ratios = _counts(cells)
    num_confirmed_datasets, num_confirmed_ratios = _counts(confirmed)
    return Summary(
        dataset=cells[0].dataset if num_datasets == 1 else "",
        detector=cells[0].detector,
        variant=cells[0].variant,
        anomaly_ratio=cells[0].anomaly_ratio if num_ratios == 1 else None,
        label_budget=cells[0].label_budget,
        num_datasets=num_confirmed_datasets,
        num_ratios=num_confirmed_ratios,
        test_auroc=fmean(means) if means else None,
        interval=mean_interval(strata, list(shares.values())),
        iqm=interquartile_mean([score for one in strata for score in one]),
        iqm_interval=interquartile_mean_interval(strata),
        sd_over_datasets=_sd(means),
        sd_over_seeds=_pooled_sd(cells),
        num_cells=len(confirmed),
        num_missing=len(cells) - len(confirmed),
        num_confirmed=sum({cell.origin: cell.num_confirmed for cell in cells}.values()),
        left_out=left_out,
    )


def _weights(cells: Sequence[CellResult]) -> list[float]:
    """Return each cell's weight in a mean over classes, then ratios, then data sets."""
    ratios: dict[str, set[float]] = defaultdict(set)
    classes: dict[tuple[str, float], int] = defaultdict(int)
    for cell in cells:
        ratios[cell.dataset].add(cell.anomaly_ratio)
        classes[cell.dataset, cell.anomaly_ratio] += 1
    return [
        1 / (len(ratios) * len(ratios[cell.dataset]) * classes[cell.dataset, cell.anomaly_ratio])
        for cell in cells
    ]


def _weighted_mean(pairs: Sequence[tuple[float, float]]) -> float:
    total = math.fsum(weight for weight, _ in pairs)
    return math.fsum(weight * value for weight, value in pairs) / total


def _pooled_sd(cells: Iterable[CellResult]) -> float | None:
    """Return the SD over seeds inside a cell, pooled over cells: sqrt of the mean variance.

    The variance of a cell with n seeds has the weight n - 1, its degrees of freedom.
    """
    pairs = [
        (cell.num_confirmed - 1, cell.test_auroc_sd)
        for cell in cells
        if cell.test_auroc_sd is not None
    ]
    if not pairs:
        return None
    squares = math.fsum(freedom * sd**2 for freedom, sd in pairs)
    return math.sqrt(squares / sum(freedom for freedom, _ in pairs))


def _sd(values: Sequence[float]) -> float | None:
    """Return the sample SD (ddof 1), None for fewer than two values."""
    return stdev(values) if len(values) > 1 else None
