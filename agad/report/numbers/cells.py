"""From the rows of one cell to its result."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import stdev
from typing import Any

from agad.config import Cell, Setting, method_label, ranked_apart, variant_label
from agad.records import TrialRow, Winner, objective_of
from agad.report.numbers.chosen import (
    confirm_trials,
    confirmed_rows,
    has_test_score,
    mean_of_known,
    num_candidates,
)
from agad.report.numbers.planned import PlannedDetector
from agad.report.numbers.results import NOTHING, CellResult
from agad.report.numbers.statistics import t_interval


def cell_result(
    rows: Sequence[TrialRow],
    planned: Cell | None,
    winner: Winner | None,
    *,
    candidate: PlannedDetector | None = None,
    external_data: str = "",
) -> CellResult:
    """Return the result of a cell.

    Args:
        rows: All rows of the cell, at least one.
        planned: The cell as the study plans it; None if the cell is not planned.
        winner: The winner that the cell keeps for what is planned.
        candidate: The cell's detector, if the study compares several; None otherwise.
        external_data: The external data of the cell's detector; empty for none.
    """
    search = [row for row in rows if row.phase == "search"]
    chosen = confirmed_rows(rows, winner)
    scored = sorted(filter(has_test_score, chosen), key=lambda row: (row.seeds, row.number))
    test_aurocs = tuple(row.test_auroc for row in scored if row.test_auroc is not None)
    ends = Counter(row.state for row in search)
    confirm_ends = Counter(row.state for row in chosen)
    first = rows[0]
    settings = json.loads(first.settings)
    policy = ranked_apart(first.selection)
    # At a label budget of 0, nothing is searched whatever chooses elsewhere.
    apart = "" if candidate or first.label_budget == 0 else policy
    return CellResult(
        study=first.study,
        cell=first.cell,
        dataset=first.dataset,
        detector=first.detector,
        given_class=_class_of_plan(planned) if planned else _class_of(first),
        anomaly_ratio=first.anomaly_ratio,
        variant=named_apart(
            apart,
            _variant_of(first, settings),
        ),
        task=named_apart(apart, _variant_of(first, {})),
        method=method_label(first.detector, settings),
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
        num_other_confirm_trials=len(confirm_trials(rows)) - len(chosen),
        num_candidates=num_candidates(rows),
        test_auroc=mean_of_known(test_aurocs),
        test_auroc_sd=stdev(test_aurocs) if len(test_aurocs) > 1 else None,
        test_auroc_interval=t_interval(test_aurocs),
        test_aurocs=test_aurocs,
        seeds=tuple(seed for row in scored for seed in row.seeds),
        test_average_precision=mean_of_known(row.test_average_precision for row in scored),
        val_auroc=mean_of_known(row.val_auroc for row in scored),
        objective=mean_of_known(map(objective_of, scored)),
        best_params=json.loads(scored[0].params) if scored else None,
        num_val_anomalies=max(row.num_val_anomalies for row in rows),
        num_fit_anomalies=max(row.num_fit_anomalies for row in rows),
        data_fingerprint=", ".join(sorted({row.data_fingerprint for row in rows})),
        total_s=math.fsum(row.seconds for row in rows),
        gpu_s=math.fsum(row.gpu_s for row in rows),
        encode_s=math.fsum(row.encode_s for row in rows),
        num_epochs=sum(row.epochs * row.num_instances for row in rows),
        num_search_epochs=sum(row.epochs * row.num_instances for row in search),
        num_planned_search_epochs=sum(row.max_epochs * row.num_instances for row in search),
        num_instances=max((row.num_instances for row in search), default=1),
        given=_given(rows, external_data) if candidate or external_data else "",
        label_budget=first.label_budget,
        num_normals=first.num_normals,
        num_labelled=_most(row.num_labelled for row in rows),
        num_test_anomalies=_most(row.num_test_anomalies for row in rows),
    )


def missing_cell(
    study: str, cell: Cell, detector: str, policy: str, *, is_ranked_apart: bool = True
) -> CellResult:
    """Return the result of a planned cell that has no row."""
    apart = policy if is_ranked_apart else ""
    return CellResult(
        study=study,
        cell=cell.label,
        dataset=cell.dataset,
        detector=detector,
        given_class=_class_of_plan(cell),
        anomaly_ratio=cell.anomaly_ratio,
        variant=named_apart(apart, cell.variant),
        task=named_apart(
            apart,
            replace(cell, settings=()).variant,
        ),
        method=method_label(detector, dict(cell.settings)),
        policy=policy,
        label_budget=cell.labels,
        num_normals=cell.num_normals,
    )


def standing_cell(ran: CellResult, asked: Cell) -> CellResult:
    """Return the result of a cell that did not run, since its detector uses no labels.

    The scores are those of the cell that ran. Its trials, times and costs are not counted again.
    """
    missing = missing_cell(
        ran.study,
        asked,
        ran.detector,
        ran.policy,
        is_ranked_apart=ran.task.startswith(_SELECTION),
    )
    counted: dict[str, Any] = dict.fromkeys(_COUNTED_ONCE, 0)
    return replace(
        ran,
        cell=missing.cell,
        anomaly_ratio=missing.anomaly_ratio,
        variant=missing.variant,
        task=missing.task,
        label_budget=missing.label_budget,
        stands_for=ran.cell,
        **counted,
    )


_COUNTED_ONCE = (
    *("num_trials", "num_trials_planned", "num_finished", "num_pruned", "num_diverged"),
    *("num_failed", "num_confirm_diverged", "num_confirm_failed", "num_other_confirm_trials"),
    *(
        "total_s",
        "gpu_s",
        "encode_s",
        "num_epochs",
        "num_search_epochs",
        "num_planned_search_epochs",
    ),
)


def _most(counts: Iterable[int | None]) -> int | None:
    return max((one for one in counts if one is not None), default=None)


def _given(rows: Sequence[TrialRow], external_data: str) -> str:
    """Return what the trials of a cell were given beside normal images.

    Labels that only chose the configuration were given too. All labels of a budget count.
    """
    uses_labels = any(row.num_val_anomalies or row.num_fit_anomalies for row in rows)
    budget = rows[0].label_budget
    labels = ("labels" if budget is None else f"{budget:,} labels") if uses_labels else ""
    return ", ".join(filter(None, (labels, external_data))) or NOTHING


def _class_of(row: TrialRow) -> int | str:
    if row.development_classes:
        return ", ".join(map(str, row.development_classes))
    label = row.normal_class if row.anomalous_class is None else row.anomalous_class
    assert label is not None
    return label


def _class_of_plan(cell: Cell) -> int | str:
    return ", ".join(map(str, cell.development_classes)) or cell.given_class


def _variant_of(row: TrialRow, settings: Mapping[str, Setting]) -> str:
    return variant_label(
        protocol=row.protocol,
        pollution_ratio=row.pollution_ratio,
        labelled_classes=row.labelled_classes,
        settings=settings,
        counts=(("labels", row.label_budget), ("normals", row.num_normals)),
    )


_SELECTION = "selection="


def named_apart(policy: str, variant: str) -> str:
    """Return a variant or a task, after the policy if cells of the policy are ranked apart."""
    if not policy or variant.startswith(_SELECTION):
        return variant
    return f"{_SELECTION}{policy} {variant}".rstrip()
