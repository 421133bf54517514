"""From the rows of one study to its leaderboard."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from agad.config import ranked_apart
from agad.errors import ConfigError
from agad.records import TrialRow, Winner
from agad.report.numbers.cells import cell_result, missing_cell, standing_cell
from agad.report.numbers.development import Development
from agad.report.numbers.leaderboard import Leaderboard, RowOrigins, Totals
from agad.report.numbers.methods import contrasts
from agad.report.numbers.planned import PlannedDetector, PlannedStudy
from agad.report.numbers.prices import wall_seconds
from agad.report.numbers.rankings import rankings
from agad.report.numbers.results import CellResult
from agad.report.numbers.summaries import ratio_results, summaries


def leaderboard(
    rows: Sequence[TrialRow],
    *,
    study: str = "",
    planned: Sequence[PlannedDetector] = (),
    confirm_seeds: int = 0,
    winners: Mapping[str, Winner] | None = None,
) -> Leaderboard:
    """Aggregate the rows of one study.

    Candidates of a study are compared with each other, whatever chose their configurations.
    Otherwise, cells of another selection policy are ranked apart.

    Args:
        rows: One row for each trial key, as ``StudyMemory.trials`` returns them.
        study: The study's name; needed only if there are no rows yet.
        planned: The detectors and their cells, so that a cell without rows is shown as missing.
        confirm_seeds: Number of seeds that confirm a cell; 0 if unknown.
        winners: The winners kept for what is planned, by the labels of the cells that they are
            confirmed in.

    Raises:
        ConfigError: The rows are of several studies, or hold a trial key twice.
    """
    _check_rows(rows)
    plan = PlannedStudy(planned)
    results = _results(rows, rows[0].study if rows else study, plan, winners or {})
    results.sort(key=_cell_order)
    developed = Development.of(rows, plan.searches)
    confirmed = {
        _searched_for(cell): cell.best_params for cell in results if cell.best_params is not None
    }
    searched = [
        replace(
            _budgeted(cell, 0, plan.num_trials.get(cell.cell, 0)),
            is_search=True,
            best_params=confirmed.get(_searched_for(cell)),
        )
        for cell in results
        if cell.cell in developed.searches
    ]
    ran = [
        _budgeted(cell, confirm_seeds, plan.num_trials.get(cell.cell, 0))
        for cell in results
        if cell.cell not in developed.searches
    ]
    cells = [
        replace(cell, is_development=developed.holds(cell))
        for cell in [*ran, *_standing(ran, plan)]
    ]
    cells.sort(key=_cell_order)
    return Leaderboard(
        study=rows[0].study if rows else study,
        cells=tuple(cells),
        ratios=tuple(ratio_results(cells)),
        summaries=tuple(summaries(cells)),
        contrasts=tuple(contrasts(cells, is_one_contest=plan.has_several)),
        rankings=tuple(rankings(cells, is_one_contest=plan.has_several)),
        totals=_totals(rows, [*cells, *searched]),
        provenance=_provenance(rows),
        searches=tuple(searched),
        detectors=_names(plan) if plan.has_several else (),
        left_out=tuple((one.method, len(one.left_out)) for one in planned if one.left_out),
    )


def _results(
    rows: Sequence[TrialRow], study: str, plan: PlannedStudy, winners: Mapping[str, Winner]
) -> list[CellResult]:
    """Return the result of every cell that has rows or is planned to run."""
    by_cell: dict[str, list[TrialRow]] = {label: [] for label in plan.cells}
    for row in rows:
        by_cell.setdefault(row.cell, []).append(row)
    detectors = sorted({row.detector for row in rows})
    policies = sorted({ranked_apart(row.selection) for row in rows})
    found = []
    for label, of_cell in by_cell.items():
        candidate = plan.by_cell.get(label) if plan.has_several else None
        if of_cell:
            cell = plan.cells.get(label)
            planned = plan.by_cell.get(label)
            found.append(
                cell_result(
                    of_cell,
                    cell,
                    winners.get(label),
                    candidate=candidate,
                    external_data=planned.external_data if planned else "",
                )
            )
        elif candidate is not None:
            missing = (study, plan.cells[label], candidate.name, candidate.policy)
            found.append(missing_cell(*missing, is_ranked_apart=False))
        else:
            detector = detectors[0] if len(detectors) == 1 else ""
            policy = policies[0] if len(policies) == 1 else ""
            found.append(missing_cell(study, plan.cells[label], detector, policy))
    return found


def _standing(ran: Iterable[CellResult], plan: PlannedStudy) -> list[CellResult]:
    """Return the results of the cells that a detector answers without running there."""
    by_label = {cell.cell: cell for cell in ran}
    return [standing_cell(by_label[label], asked) for asked, label in plan.standing]


def _names(plan: PlannedStudy) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.name for one in plan.detectors))


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
    return (cell.dataset, cell.detector, *cell.variant_order, *place, cell.anomaly_ratio)


def _searched_for(cell: CellResult) -> tuple[object, ...]:
    """Return what a search on development classes shares with the cells that it is for."""
    return (cell.dataset, cell.detector, cell.variant, cell.anomaly_ratio)


def _budgeted(cell: CellResult, confirm_seeds: int, cell_trials: int) -> CellResult:
    """Return a cell with the confirm seeds and search trials that were planned for it."""
    return replace(
        cell,
        num_confirm_planned=max(confirm_seeds, cell.num_confirm_planned),
        num_trials_planned=max(cell_trials, cell.num_trials),
    )


def _totals(rows: Sequence[TrialRow], cells: Sequence[CellResult]) -> Totals:
    ends = Counter((row.phase, row.state) for row in rows)
    return Totals(
        num_trials=sum(cell.num_trials for cell in cells),
        num_trials_planned=sum(cell.num_trials_planned for cell in cells),
        num_pruned=ends["search", "pruned"],
        num_diverged=ends["search", "diverged"],
        num_failed=ends["search", "failed"],
        num_confirm_trials=sum(row.phase == "confirm" for row in rows),
        num_confirm_diverged=ends["confirm", "diverged"] + ends["test", "diverged"],
        num_confirm_failed=ends["confirm", "failed"] + ends["test", "failed"],
        total_s=math.fsum(row.seconds for row in rows),
        gpu_s=math.fsum(row.gpu_s for row in rows),
        encode_s=math.fsum(row.encode_s for row in rows),
        wall_s=wall_seconds(rows),
        num_epochs=sum(row.epochs * row.num_instances for row in rows),
        num_search_epochs=sum(cell.num_search_epochs for cell in cells),
        num_planned_search_epochs=sum(cell.num_planned_search_epochs for cell in cells),
        num_saved_epochs=sum(
            (row.max_epochs - row.epochs) * row.num_instances
            for row in rows
            if row.phase == "search" and row.state == "pruned"
        ),
        unstopped_cells=tuple(
            cell.cell
            for cell in cells
            # A trial of one epoch cannot be stopped early.
            if cell.num_planned_search_epochs > cell.num_trials * cell.num_instances
            and not cell.num_pruned
        ),
    )


def _provenance(rows: Sequence[TrialRow]) -> RowOrigins:
    return RowOrigins(
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
