"""The tables of a leaderboard as text: their columns and the ways to lay them out."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

from agad.report.numbers.leaderboard import Leaderboard
from agad.report.numbers.methods import Contrast
from agad.report.numbers.rankings import Ranking
from agad.report.numbers.results import (
    NOTHING,
    CellResult,
    RatioResult,
    Summary,
    without_words,
)
from agad.report.pages.page import CONFIGURATION, Column, Layouts, TextTable, text_table
from agad.report.pages.rounding import (
    NONE,
    cells_text,
    classes_text,
    cost_text,
    count_text,
    difference_text,
    interval_text,
    labels_text,
    left_out_text,
    marked_result,
    marked_text,
    objective_text,
    p_text,
    params_text,
    ratio_text,
    score_text,
    seconds_text,
    signed_interval_text,
)

_WIDE_ONLY = ("avg. prec.", "val AUROC", "objective", "GPU time", "cost", "given")
"""Columns of the table by cell that do not fit into 80 characters."""


def leaderboard_tables(board: Leaderboard) -> list[Layouts]:
    """Return the layouts of each table of a leaderboard that has rows."""
    tables = [_cell_layouts(board)]
    if board.searches:
        tables.append(_search_layouts(board))
    tables.append(_ratio_layouts(board))
    if board.summaries:
        tables.append(_summary_layouts(board))
    if board.contrasts:
        tables.append(contrast_layouts(board.contrasts))
    return [*tables, *chain(*(ranking_layouts(ranking) for ranking in board.rankings))]


def _cell_layouts(board: Leaderboard) -> Layouts:
    whole = _cell_table(board)
    return [
        [whole],
        whole.grouped(),
        whole.without(CONFIGURATION).grouped(),
        [table.shortened(*_WIDE_ONLY, CONFIGURATION) for table in whole.grouped()],
    ]


def _search_layouts(board: Leaderboard) -> Layouts:
    whole = _search_table(board)
    return [
        [whole],
        whole.grouped(),
        [one.shortened("GPU time", "cost") for one in whole.grouped()],
    ]


def _ratio_layouts(board: Leaderboard) -> Layouts:
    whole = _given_table(board) if board.detectors else _ratio_table(board)
    dropped = ["avg. prec."]
    if board.searches or board.detectors:
        dropped.append("IQM 95 % interval")
    if board.detectors:
        dropped += ["IQM", "± classes", "± seeds"]
    return [[whole], whole.grouped(), [one.shortened(*dropped) for one in whole.grouped()]]


def _summary_layouts(board: Leaderboard) -> Layouts:
    whole = _summary_table(board)
    dropped = ("IQM 95 % interval",) if board.searches else ()
    return [[whole], whole.grouped(), [one.shortened(*dropped) for one in whole.grouped()]]


_BUDGET = "label budget"


def _shown_variant(one: CellResult | RatioResult | Summary) -> str:
    """Return a variant without the label budget, which has a column of its own."""
    return without_words(one.variant, "labels")


def _budget_text(one: CellResult | RatioResult | Summary) -> str:
    return NONE if one.label_budget is None else f"{one.label_budget:,}"


_RUN_COLUMNS: tuple[Column[CellResult], ...] = (
    ("trials", lambda cell: _trials(cell, cell.num_trials)),
    ("stopped", lambda cell: _trials(cell, cell.num_pruned)),
    ("diverged", lambda cell: _trials(cell, cell.num_diverged)),
    ("failed", lambda cell: _trials(cell, cell.num_failed)),
    ("time", lambda cell: _time_text(cell, cell.total_s - cell.encode_s)),
    ("features", lambda cell: _time_text(cell, cell.encode_s)),
    ("GPU time", lambda cell: _time_text(cell, cell.gpu_s)),
    ("cost", lambda cell: cost_text(cell.cost)),
    ("labels val+fit", labels_text),
)
"""The trials of a cell and what they cost."""


def _cell_table(board: Leaderboard) -> TextTable:
    """Return the table by cell, without the columns that are empty in this leaderboard."""
    columns: list[Column[CellResult]] = [
        ("data set", lambda cell: cell.dataset),
        ("detector", lambda cell: cell.detector),
        ("variant", _shown_variant),
        ("given", lambda cell: cell.given or NONE),
        (_BUDGET, _budget_text),
        ("class", lambda cell: str(cell.given_class)),
        ("ratio", lambda cell: ratio_text(cell.anomaly_ratio)),
        ("test AUROC", marked_result),
        ("95 % interval", lambda cell: interval_text(cell.test_auroc_interval)),
        ("avg. prec.", lambda cell: score_text(cell.test_average_precision)),
        ("val AUROC", lambda cell: score_text(cell.val_auroc)),
        ("objective", lambda cell: objective_text(cell.objective if cell.policy else None)),
        *_RUN_COLUMNS,
        (CONFIGURATION, params_text),
    ]
    return text_table(columns, board.cells, subject="Cells").without(*_empty_headers(board))


def _search_table(board: Leaderboard) -> TextTable:
    """Return the table of the searches on development classes."""
    columns: list[Column[CellResult]] = [
        ("data set", lambda cell: cell.dataset),
        ("detector", lambda cell: cell.detector),
        ("variant", _shown_variant),
        (_BUDGET, _budget_text),
        ("searched on", lambda cell: str(cell.given_class)),
        ("ratio", lambda cell: ratio_text(cell.anomaly_ratio)),
        ("instances", lambda cell: _trials(cell, cell.num_instances)),
        *_RUN_COLUMNS,
    ]
    whole = text_table(columns, board.searches, "Search on development classes")
    return whole.without(*_empty_headers(board))


_MEAN_COLUMNS: tuple[Column[RatioResult], ...] = (
    ("95 % interval", lambda one: interval_text(one.interval)),
    ("± classes", lambda one: score_text(one.sd_over_classes)),
    ("± seeds", lambda one: score_text(one.sd_over_seeds)),
    ("IQM", lambda one: score_text(one.iqm)),
    ("IQM 95 % interval", lambda one: interval_text(one.iqm_interval)),
    ("avg. prec.", lambda one: score_text(one.test_average_precision)),
    ("classes", classes_text),
    ("n", lambda one: str(one.num_confirmed)),
)
"""What a mean over classes says beside the mean itself."""


def _ratio_table(board: Leaderboard) -> TextTable:
    columns: list[Column[RatioResult]] = [
        ("data set", lambda one: one.dataset),
        ("detector", lambda one: one.detector),
        ("variant", _shown_variant),
        (_BUDGET, _budget_text),
        ("ratio", lambda one: ratio_text(one.anomaly_ratio)),
        ("without", left_out_text),
        ("test AUROC", lambda one: marked_text(one.test_auroc, one.interval)),
        *_MEAN_COLUMNS,
    ]
    whole = text_table(columns, board.ratios, subject="Means over classes")
    return whole.without(*_empty_headers(board))


def _given_table(board: Leaderboard) -> TextTable:
    """Return the means of several detectors, by what each was given, the highest mean first.

    A result that stands at several ratios or budgets has one row, where its trials ran.
    """
    columns: list[Column[RatioResult]] = [
        ("data set", lambda one: one.dataset),
        ("given", lambda one: one.given or NONE),
        (_BUDGET, _budget_text),
        ("ratio", lambda one: ratio_text(one.anomaly_ratio)),
        ("without", left_out_text),
        ("detector", lambda one: one.detector),
        ("variant", _shown_variant),
        ("test AUROC", lambda one: marked_text(one.test_auroc, one.interval)),
        ("highest", lambda one: "highest" if one.is_highest else ""),
        *_MEAN_COLUMNS,
    ]
    rows = sorted((one for one in board.ratios if not one.stands), key=_by_given)
    whole = text_table(columns, rows, subject="Means over classes, by what was given")
    return replace(whole, names=("data set", "given")).without(*_empty_headers(board))


def _by_given(one: RatioResult) -> tuple[object, ...]:
    """Return the place of a mean: nothing given first; of each task, the highest mean first."""
    parts = one.given.split(", ")
    external = [part for part in parts if not part.endswith("labels")]
    # A budget counts in the group only if the detector was given its labels.
    num_labels = (one.label_budget or 0) if len(external) < len(parts) else 0
    group = (one.dataset, one.given != NOTHING, external, num_labels, one.given)
    num_normals = float("inf") if one.num_normals is None else one.num_normals
    task = (without_words(one.task, "labels", "normals"), num_normals)
    place = (*group, one.label_budget or 0, one.anomaly_ratio, one.left_out != (), *task)
    return (*place, -(one.test_auroc or 0.0), one.detector, one.variant)


def _summary_table(board: Leaderboard) -> TextTable:
    columns: list[Column[Summary]] = [
        ("data set", lambda one: one.dataset or _several(one.num_datasets, "data set")),
        ("detector", lambda one: one.detector),
        ("variant", _shown_variant),
        (_BUDGET, _budget_text),
        (
            "ratio",
            lambda one: (
                _several(one.num_ratios, "ratio")
                if one.anomaly_ratio is None
                else ratio_text(one.anomaly_ratio)
            ),
        ),
        ("without", left_out_text),
        ("test AUROC", lambda one: marked_text(one.test_auroc, one.interval)),
        ("95 % interval", lambda one: interval_text(one.interval)),
        ("± data sets", lambda one: score_text(one.sd_over_datasets)),
        ("± seeds", lambda one: score_text(one.sd_over_seeds)),
        ("IQM", lambda one: score_text(one.iqm)),
        ("IQM 95 % interval", lambda one: interval_text(one.iqm_interval)),
        ("cells", cells_text),
        ("n", lambda one: str(one.num_confirmed)),
    ]
    left_out = _empty_headers(board)
    if all(one.dataset for one in board.summaries):
        left_out.add("± data sets")
    whole = text_table(columns, board.summaries, subject="Means over ratios and data sets")
    return whole.without(*left_out)


def contrast_layouts(contrasts: tuple[Contrast, ...]) -> Layouts:
    """Return the layouts of a table with a row for each contrast."""
    columns: list[Column[Contrast]] = [
        ("first", lambda one: one.first),
        ("second", lambda one: one.second),
        ("first - second", lambda one: difference_text(one.difference)),
        ("95 % interval", lambda one: signed_interval_text(one.interval)),
        ("P(first better)", lambda one: score_text(one.probability)),
        ("P 95 % interval", _chance_text),
        ("cells", cells_text),
    ]
    whole = replace(
        text_table(columns, contrasts, subject="Differences between methods"),
        names=("first", "second"),
    )
    return [[whole], whole.grouped()]


def _chance_text(one: Contrast) -> str:
    if one.probability is not None and one.probability_interval is None:
        return "too few"
    return interval_text(one.probability_interval)


def ranking_layouts(ranking: Ranking) -> list[Layouts]:
    """Return the layouts of each table of a ranking; no table if the ranking has no verdict."""
    if not ranking.has_verdict:
        return []
    ranks = list(zip(ranking.methods, ranking.average_ranks, ranking.groups, strict=True))
    place = f"Ranks over {_blocks_text(ranking)}"
    tables = [
        text_table(
            [
                ("method", lambda one: one[0]),
                ("average rank", lambda one: f"{one[1]:.2f}"),
                ("group", lambda one: one[2]),
            ],
            ranks,
            place,
        )
    ]
    if ranking.pair_ps:
        tables.append(
            replace(
                text_table(
                    [
                        ("first", lambda one: one[0]),
                        ("second", lambda one: one[1]),
                        ("Wilcoxon p (Holm)", lambda one: p_text(one[2])),
                    ],
                    ranking.pair_ps,
                    f"Pairs over {_blocks_text(ranking)}",
                ),
                names=("first", "second"),
            )
        )
    return [[[table], table.grouped()] for table in tables]


def _blocks_text(ranking: Ranking) -> str:
    alike = f", {ranking.policy} alone" if ranking.policy else ""
    if ranking.dataset:
        classes = count_text(ranking.num_blocks, "class", "classes")
        return f"{classes} of {ranking.dataset}{alike}"
    return count_text(ranking.num_blocks, "data set") + alike


def _several(count: int, noun: str) -> str:
    """Return over how many a mean is; a mean over nothing says nothing."""
    return count_text(count, noun) if count else NONE


def _empty_headers(board: Leaderboard) -> set[str]:
    """Return the columns that say nothing in a leaderboard."""
    cells, totals = board.cells, board.totals
    is_empty = {
        "variant": not any(map(_shown_variant, cells)),
        "ratio": board.has_budgets,
        _BUDGET: not board.has_budgets,
        "detector": not board.detectors,
        "given": not any(cell.given for cell in cells),
        "without": not board.searches,
        "objective": not any(cell.policy for cell in cells),
        "val AUROC": bool(cells) and all(cell.policy for cell in cells),
        "features": not totals.encode_s,
        "GPU time": not totals.gpu_s,
        "cost": totals.cost is None,
    }
    return {name for name, one in is_empty.items() if one}


def _time_text(cell: CellResult, seconds: float) -> str:
    return seconds_text(seconds) if cell.num_epochs and seconds else NONE


def _trials(cell: CellResult, count: int) -> str:
    return str(count) if cell.num_trials else NONE
