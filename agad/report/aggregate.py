"""From the rows of one study to its leaderboard: cells, ratios and totals, none of it rounded."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from statistics import fmean, stdev

from agad.config import Cell, variant_label
from agad.errors import ConfigError
from agad.records import TrialRow
from agad.report.results import CellResult, Leaderboard, Provenance, RatioResult, Totals


def leaderboard(
    rows: Sequence[TrialRow],
    *,
    study: str = "",
    planned_cells: Sequence[Cell] = (),
    confirm_seeds: int | None = None,
) -> Leaderboard:
    """Aggregate the rows of one study.

    Args:
        rows: One row a trial key, as ``StudyMemory.trials`` returns them.
        study: The study's name; needed only where there are no rows yet.
        planned_cells: All cells, so that one without rows is shown as missing.
        confirm_seeds: Seeds a cell is confirmed with; None where that is not known.

    Raises:
        ConfigError: The rows are of several studies, or hold a trial key twice.
    """
    _check_rows(rows)
    planned = {cell.label: cell for cell in planned_cells}
    by_cell: dict[str, list[TrialRow]] = {label: [] for label in planned}
    for row in rows:
        by_cell.setdefault(row.cell, []).append(row)
    study = rows[0].study if rows else study
    detectors = sorted({row.detector for row in rows})
    missing_detector = detectors[0] if len(detectors) == 1 else ""
    cells = [
        _cell_result(of_cell, planned.get(label), confirm_seeds)
        if of_cell
        else _missing_cell(study, planned[label], missing_detector, confirm_seeds)
        for label, of_cell in by_cell.items()
    ]
    cells.sort(key=_cell_order)
    return Leaderboard(
        study=study,
        cells=tuple(cells),
        ratios=tuple(_ratio_results(cells)),
        totals=_totals(rows, cells),
        provenance=_provenance(rows),
    )


def _check_rows(rows: Sequence[TrialRow]) -> None:
    studies = sorted({row.study for row in rows})
    if len(studies) > 1:
        raise ConfigError(
            f"rows are of the studies {', '.join(studies)}, but must be of one; "
            "build one leaderboard a study."
        )
    for key, count in Counter(row.trial_key for row in rows).items():
        if count > 1:
            raise ConfigError(
                f"rows hold the trial key {key} {count} times, but must hold each once; "
                "pass what StudyMemory.trials() returns."
            )


def _cell_order(cell: CellResult) -> tuple[object, ...]:
    given = cell.given_class
    place = (0, given, "") if isinstance(given, int) else (1, 0, given)
    return (cell.dataset, cell.detector, cell.variant, *place, cell.anomaly_ratio)


def _cell_result(
    rows: Sequence[TrialRow], planned: Cell | None, confirm_seeds: int | None
) -> CellResult:
    search = [row for row in rows if row.phase == "search"]
    confirm = [row for row in rows if row.phase == "confirm"]
    chosen = confirmed_rows(rows)
    scored = sorted(filter(_is_scored, chosen), key=lambda row: (row.seeds, row.number))
    test_aurocs = tuple(row.test_auroc for row in scored if row.test_auroc is not None)
    ends = Counter(row.state for row in search)
    confirm_ends = Counter(row.state for row in chosen)
    first = rows[0]
    return CellResult(
        study=first.study,
        cell=first.cell,
        dataset=first.dataset,
        detector=first.detector,
        given_class=planned.given_class if planned else _class_of(first),
        anomaly_ratio=first.anomaly_ratio,
        variant=variant_label(
            protocol=first.protocol,
            pollution_ratio=first.pollution_ratio,
            labelled_classes=first.labelled_classes,
            settings=json.loads(first.settings),
        ),
        selection=", ".join(sorted({row.selection for row in rows})),
        num_trials=len(search),
        num_finished=ends["finished"],
        num_pruned=ends["pruned"],
        num_diverged=ends["diverged"],
        num_failed=ends["failed"],
        num_confirmed=len(scored),
        num_confirm_planned=max(confirm_seeds or 0, len(chosen)),
        num_confirm_diverged=confirm_ends["diverged"],
        num_confirm_failed=confirm_ends["failed"],
        num_other_confirm_trials=len(confirm) - len(chosen),
        test_auroc=_mean(test_aurocs),
        test_auroc_sd=_sd(test_aurocs),
        test_aurocs=test_aurocs,
        seeds=tuple(seed for row in scored for seed in row.seeds),
        test_average_precision=_mean(_known(row.test_average_precision for row in scored)),
        val_auroc=_mean(_known(row.val_auroc for row in scored)),
        best_params=json.loads(scored[0].params) if scored else None,
        num_val_anomalies=max(row.num_val_anomalies for row in rows),
        num_fit_anomalies=max(row.num_fit_anomalies for row in rows),
        total_s=math.fsum(row.seconds for row in rows),
        gpu_s=math.fsum(row.gpu_s for row in rows),
        num_epochs=sum(row.epochs for row in rows),
        num_search_epochs=sum(row.epochs for row in search),
        num_planned_search_epochs=sum(row.max_epochs for row in search),
    )


def _is_scored(row: TrialRow) -> bool:
    return row.state == "finished" and row.test_auroc is not None


def confirmed_rows(rows: Sequence[TrialRow]) -> Sequence[TrialRow]:
    """Return the confirm rows of a cell's configuration, or all where none has a test score.

    A study that was extended may have confirmed a configuration that is no longer its best. The
    one with the most test scores counts; among equals the highest mean confirm validation AUROC;
    then the lowest trial key. No test score is compared.

    Args:
        rows: All rows of one cell.
    """
    confirm = [row for row in rows if row.phase == "confirm"]
    by_params = defaultdict(list)
    for row in confirm:
        by_params[json.dumps(json.loads(row.params), sort_keys=True)].append(row)

    def rank(rows: Sequence[TrialRow]) -> tuple[int, float, str]:
        scored = [row for row in rows if _is_scored(row)]
        val_auroc = _mean(_known(row.val_auroc for row in scored))
        lowest_key = min(row.trial_key for row in rows)
        return (-len(scored), -val_auroc if val_auroc is not None else math.inf, lowest_key)

    if not any(_is_scored(row) for row in confirm):
        return confirm
    return min(by_params.values(), key=rank)


def _class_of(row: TrialRow) -> int:
    label = row.normal_class if row.anomalous_class is None else row.anomalous_class
    assert label is not None
    return label


def _missing_cell(study: str, cell: Cell, detector: str, confirm_seeds: int | None) -> CellResult:
    """Return a planned cell that has no row."""
    return CellResult(
        study=study,
        cell=cell.label,
        dataset=cell.dataset,
        detector=detector,
        given_class=cell.given_class,
        anomaly_ratio=cell.anomaly_ratio,
        variant=cell.variant,
        num_confirm_planned=confirm_seeds or 0,
    )


def _ratio_results(cells: Iterable[CellResult]) -> list[RatioResult]:
    groups: dict[Hashable, list[CellResult]] = defaultdict(list)
    for cell in cells:
        groups[cell.dataset, cell.detector, cell.variant, cell.anomaly_ratio].append(cell)
    results = [_ratio_result(group) for group in groups.values()]
    return sorted(
        results, key=lambda one: (one.dataset, one.detector, one.variant, one.anomaly_ratio)
    )


def _ratio_result(cells: Sequence[CellResult]) -> RatioResult:
    means = _known(cell.test_auroc for cell in cells)
    return RatioResult(
        dataset=cells[0].dataset,
        detector=cells[0].detector,
        variant=cells[0].variant,
        anomaly_ratio=cells[0].anomaly_ratio,
        test_auroc=_mean(means),
        sd_over_classes=_sd(means),
        sd_over_seeds=_pooled_sd(cells),
        test_average_precision=_mean(_known(cell.test_average_precision for cell in cells)),
        num_classes=len(means),
        num_missing=len(cells) - len(means),
        num_confirmed=sum(cell.num_confirmed for cell in cells),
    )


def _pooled_sd(cells: Iterable[CellResult]) -> float | None:
    """Return the SD over seeds inside a cell, pooled over cells: sqrt of the mean variance.

    The variance of a cell with n seeds weighs n - 1, its degrees of freedom.
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


def _totals(rows: Sequence[TrialRow], cells: Sequence[CellResult]) -> Totals:
    ends = Counter((row.phase, row.state) for row in rows)
    return Totals(
        num_trials=sum(cell.num_trials for cell in cells),
        num_pruned=ends["search", "pruned"],
        num_diverged=ends["search", "diverged"],
        num_failed=ends["search", "failed"],
        num_confirm_trials=sum(row.phase == "confirm" for row in rows),
        num_confirm_diverged=ends["confirm", "diverged"],
        num_confirm_failed=ends["confirm", "failed"],
        total_s=math.fsum(row.seconds for row in rows),
        gpu_s=math.fsum(row.gpu_s for row in rows),
        num_epochs=sum(row.epochs for row in rows),
        num_search_epochs=sum(cell.num_search_epochs for cell in cells),
        num_planned_search_epochs=sum(cell.num_planned_search_epochs for cell in cells),
        unstopped_cells=tuple(
            cell.cell for cell in cells if cell.num_trials and not cell.num_pruned
        ),
    )


def _provenance(rows: Sequence[TrialRow]) -> Provenance:
    return Provenance(
        detectors=_distinct(f"{row.detector} version {row.detector_version}" for row in rows),
        commits=_distinct(
            (row.commit[:12] or "no commit") + (" with changes" if row.is_dirty else "")
            for row in rows
        ),
        fingerprints=_distinct(f"{row.dataset} {row.data_fingerprint[:12]}" for row in rows),
        versions=_distinct(_versions_text(row.versions) for row in rows),
        hardware=_distinct(row.hardware for row in rows),
    )


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(texts)))


def _versions_text(versions: str) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(json.loads(versions).items()))


def _known(values: Iterable[float | None]) -> tuple[float, ...]:
    return tuple(value for value in values if value is not None)


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _sd(values: Sequence[float]) -> float | None:
    """Return the sample SD (ddof 1), None for fewer than two values."""
    return stdev(values) if len(values) > 1 else None
