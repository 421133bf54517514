"""From the rows of one study to its leaderboard: cells, ratios and totals, none of it rounded."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, stdev

from agad.config import Cell, Setting, labelled_text, ranked_apart, variant_label
from agad.errors import ConfigError
from agad.records import TrialRow, Winner, objective_of
from agad.report.numbers.development import Development
from agad.report.numbers.methods import contrasts, rankings
from agad.report.numbers.results import CellResult, Leaderboard, RowOrigins, Totals
from agad.report.numbers.statistics import t_interval
from agad.report.numbers.summaries import ratio_results, summaries


def leaderboard(  # noqa: PLR0913  A keyword for each thing that is known of the study.
    rows: Sequence[TrialRow],
    *,
    study: str = "",
    planned_cells: Sequence[Cell] = (),
    confirm_seeds: int | None = None,
    cell_trials: int | None = None,
    winners: Mapping[str, Winner] | None = None,
    searches: Sequence[Cell] = (),
) -> Leaderboard:
    """Aggregate the rows of one study.

    Args:
        rows: One row a trial key, as ``StudyMemory.trials`` returns them.
        study: The study's name; needed only where there are no rows yet.
        planned_cells: All cells, so that one without rows is shown as missing.
        confirm_seeds: Seeds a cell is confirmed with; None where that is not known.
        cell_trials: Search trials planned for a cell; None where that is not known.
        winners: The winner that is kept for what is planned, by the label of each cell that it is
            confirmed in.
        searches: The cells that search on development classes, where there are any.

    Raises:
        ConfigError: The rows are of several studies, or hold a trial key twice.
    """
    _check_rows(rows)
    planned = {cell.label: cell for cell in (*planned_cells, *searches)}
    by_cell: dict[str, list[TrialRow]] = {label: [] for label in planned}
    for row in rows:
        by_cell.setdefault(row.cell, []).append(row)
    study = rows[0].study if rows else study
    detectors = sorted({row.detector for row in rows})
    missing_detector = detectors[0] if len(detectors) == 1 else ""
    policies = sorted({ranked_apart(row.selection) for row in rows})
    missing_policy = policies[0] if len(policies) == 1 else ""
    results = [
        _cell_result(of_cell, planned.get(label), (winners or {}).get(label))
        if of_cell
        else _missing_cell(study, planned[label], missing_detector, missing_policy)
        for label, of_cell in by_cell.items()
    ]
    results.sort(key=_cell_order)
    developed = Development.of(rows, searches)
    confirmed = {
        _searched_for(cell): cell.best_params for cell in results if cell.best_params is not None
    }
    searched = [
        replace(
            _budgeted(cell, 0, cell_trials or 0),
            is_search=True,
            best_params=confirmed.get(_searched_for(cell)),
        )
        for cell in results
        if cell.cell in developed.searches
    ]
    own_trials = 0 if searched else cell_trials or 0
    cells = [
        replace(
            _budgeted(cell, confirm_seeds or 0, own_trials), is_development=developed.holds(cell)
        )
        for cell in results
        if cell.cell not in developed.searches
    ]
    return Leaderboard(
        study=study,
        cells=tuple(cells),
        ratios=tuple(ratio_results(cells)),
        summaries=tuple(summaries(cells)),
        contrasts=tuple(contrasts(cells)),
        rankings=tuple(rankings(cells)),
        totals=_totals(rows, [*cells, *searched]),
        provenance=_provenance(rows),
        searches=tuple(searched),
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


def priced(board: Leaderboard, price_per_gpu_hour: float) -> Leaderboard:
    """Return a leaderboard with what its GPU time costs.

    Args:
        board: Any.
        price_per_gpu_hour: 0 or more, in any currency.
    """
    price_per_s = price_per_gpu_hour / 3600

    def with_cost(cells: Iterable[CellResult]) -> tuple[CellResult, ...]:
        return tuple(replace(cell, cost=cell.gpu_s * price_per_s) for cell in cells)

    return replace(
        board,
        cells=with_cost(board.cells),
        searches=with_cost(board.searches),
        totals=replace(board.totals, cost=board.totals.gpu_s * price_per_s),
    )


def _searched_for(cell: CellResult) -> tuple[object, ...]:
    """Return what the cells of one search on development classes share with it."""
    return (cell.dataset, cell.detector, cell.variant, cell.anomaly_ratio)


def _budgeted(cell: CellResult, confirm_seeds: int, cell_trials: int) -> CellResult:
    """Return a cell with what was planned for it."""
    return replace(
        cell,
        num_confirm_planned=max(confirm_seeds, cell.num_confirm_planned),
        num_trials_planned=max(cell_trials, cell.num_trials),
    )


def _cell_result(
    rows: Sequence[TrialRow], planned: Cell | None, winner: Winner | None
) -> CellResult:
    search = [row for row in rows if row.phase == "search"]
    chosen = confirmed_rows(rows, winner)
    scored = sorted(filter(_is_scored, chosen), key=lambda row: (row.seeds, row.number))
    test_aurocs = tuple(row.test_auroc for row in scored if row.test_auroc is not None)
    ends = Counter(row.state for row in search)
    confirm_ends = Counter(row.state for row in chosen)
    first = rows[0]
    settings = json.loads(first.settings)
    policy = ranked_apart(first.selection)
    return CellResult(
        study=first.study,
        cell=first.cell,
        dataset=first.dataset,
        detector=first.detector,
        given_class=_given(planned) if planned else _class_of(first),
        anomaly_ratio=first.anomaly_ratio,
        variant=_apart(
            policy,
            variant_label(
                protocol=first.protocol,
                pollution_ratio=first.pollution_ratio,
                labelled_classes=first.labelled_classes,
                settings=settings,
            ),
        ),
        task=_apart(policy, _task(first.protocol, first.pollution_ratio, first.labelled_classes)),
        method=_method(first.detector, settings),
        policy=policy,
        selection=", ".join(sorted({row.selection for row in rows})),
        num_trials=len(search),
        ended_by=winner.ended_by if winner else "",
        num_finished=ends["finished"],
        num_pruned=ends["pruned"],
        num_diverged=ends["diverged"],
        num_failed=ends["failed"],
        num_confirmed=len(scored),
        num_confirm_planned=len({row.seeds for row in chosen}),
        num_confirm_diverged=confirm_ends["diverged"],
        num_confirm_failed=confirm_ends["failed"],
        num_other_confirm_trials=len(_by_seed(rows)) - len(chosen),
        num_candidates=_num_candidates(rows),
        test_auroc=_mean(test_aurocs),
        test_auroc_sd=stdev(test_aurocs) if len(test_aurocs) > 1 else None,
        test_auroc_interval=t_interval(test_aurocs),
        test_aurocs=test_aurocs,
        seeds=tuple(seed for row in scored for seed in row.seeds),
        test_average_precision=_mean(_known(row.test_average_precision for row in scored)),
        val_auroc=_mean(_known(row.val_auroc for row in scored)),
        objective=_mean(_known(map(objective_of, scored))),
        best_params=json.loads(scored[0].params) if scored else None,
        num_val_anomalies=max(row.num_val_anomalies for row in rows),
        num_fit_anomalies=max(row.num_fit_anomalies for row in rows),
        data_fingerprint=", ".join(sorted({row.data_fingerprint for row in rows})),
        total_s=math.fsum(row.seconds for row in rows),
        gpu_s=math.fsum(row.gpu_s for row in rows),
        num_epochs=sum(row.epochs * row.num_instances for row in rows),
        num_search_epochs=sum(row.epochs * row.num_instances for row in search),
        num_planned_search_epochs=sum(row.max_epochs * row.num_instances for row in search),
        num_instances=max((row.num_instances for row in search), default=1),
    )


def _is_scored(row: TrialRow) -> bool:
    return row.state == "finished" and row.test_auroc is not None


def confirmed_rows(rows: Sequence[TrialRow], winner: Winner | None = None) -> Sequence[TrialRow]:
    """Return the confirm rows of a cell's configuration, or all where none has a test score.

    Of several candidates the winner alone has test scores: in its test rows, which stand in the
    place of its confirm rows. A study that was extended may have confirmed a configuration that is
    no longer its best. The winner that is kept counts once it has a test score. Where none is kept,
    or it has none yet, the configuration with the most test scores counts; among equals the highest
    mean confirm objective; then the lowest trial key. No test score is compared.

    Args:
        rows: All rows of one cell.
        winner: The one that the cell keeps for what is planned.
    """
    confirm = _by_seed(rows)
    by_params = defaultdict(list)
    for row in confirm:
        by_params[_params_of(row)].append(row)

    def rank(rows: Sequence[TrialRow]) -> tuple[int, float, str]:
        scored = [row for row in rows if _is_scored(row)]
        objective = _mean(_known(map(objective_of, scored)))
        lowest_key = min(row.trial_key for row in rows)
        return (-len(scored), -objective if objective is not None else math.inf, lowest_key)

    if not any(_is_scored(row) for row in confirm):
        return confirm
    if winner is not None:
        of_winner = by_params.get(json.dumps(winner.params, sort_keys=True), [])
        if any(map(_is_scored, of_winner)):
            return of_winner
    return min(by_params.values(), key=rank)


def _by_seed(rows: Sequence[TrialRow]) -> list[TrialRow]:
    """Return a row a configuration and seed of the confirm phase: its test row, if there is one."""
    found: dict[tuple[str, tuple[int, ...]], TrialRow] = {}
    for phase in ("test", "confirm"):
        for row in rows:
            if row.phase == phase:
                found.setdefault((_params_of(row), row.seeds), row)
    return list(found.values())


def _num_candidates(rows: Sequence[TrialRow]) -> int:
    """Return the configurations among which the confirm phase chose; 1 where it had no choice."""
    if all(row.phase != "test" for row in rows):
        return 1
    return len({_params_of(row) for row in rows if row.phase == "confirm"})


def _params_of(row: TrialRow) -> str:
    return json.dumps(json.loads(row.params), sort_keys=True)


def _class_of(row: TrialRow) -> int | str:
    if row.development_classes:
        return ", ".join(map(str, row.development_classes))
    label = row.normal_class if row.anomalous_class is None else row.anomalous_class
    assert label is not None
    return label


def _given(cell: Cell) -> int | str:
    return ", ".join(map(str, cell.development_classes)) or cell.given_class


def _task(protocol: str, pollution_ratio: float, labelled_classes: str) -> str:
    return variant_label(
        protocol=protocol,
        pollution_ratio=pollution_ratio,
        labelled_classes=labelled_classes,
        settings={},
    )


def _method(detector: str, settings: Mapping[str, Setting]) -> str:
    fixed = variant_label(
        protocol="one-class", pollution_ratio=0.0, labelled_classes="all", settings=settings
    )
    return f"{detector} {fixed}".rstrip()


def _apart(policy: str, variant: str) -> str:
    """Return a variant or a task with the policy that it is ranked apart by."""
    return f"selection={policy} {variant}".rstrip() if policy else variant


def _missing_cell(study: str, cell: Cell, detector: str, policy: str) -> CellResult:
    """Return a planned cell that has no row."""
    return CellResult(
        study=study,
        cell=cell.label,
        dataset=cell.dataset,
        detector=detector,
        given_class=_given(cell),
        anomaly_ratio=cell.anomaly_ratio,
        variant=_apart(policy, cell.variant),
        task=_apart(
            policy,
            _task(cell.protocol, cell.pollution_ratio, labelled_text(cell.labelled_classes)),
        ),
        method=_method(detector, dict(cell.settings)),
        policy=policy,
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
        num_epochs=sum(row.epochs * row.num_instances for row in rows),
        num_search_epochs=sum(cell.num_search_epochs for cell in cells),
        num_planned_search_epochs=sum(cell.num_planned_search_epochs for cell in cells),
        num_saved_epochs=sum(
            (row.max_epochs - row.epochs) * row.num_instances
            for row in rows
            if row.phase == "search" and row.state == "pruned"
        ),
        unstopped_cells=tuple(
            cell.cell for cell in cells if cell.num_trials and not cell.num_pruned
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


def _known(values: Iterable[float | None]) -> tuple[float, ...]:
    return tuple(value for value in values if value is not None)


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
