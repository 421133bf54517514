"""A comparison as a page of text, and as CSV."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import chain

from agad.config import Labelled
from agad.report.numbers.comparison import (
    Comparison,
    has_fewer_seeds,
    has_several_detectors,
    outcome,
)
from agad.report.numbers.methods import CellPair
from agad.report.numbers.results import CellResult
from agad.report.numbers.statistics import Interval
from agad.report.pages.columns import contrast_layouts, ranking_layouts
from agad.report.pages.csv_files import csv_table
from agad.report.pages.notes import CONTRAST_NOTE, INTERVALS_NOTE, ranking_note
from agad.report.pages.page import Column, Layouts, Page, text_table
from agad.report.pages.rounding import (
    NONE,
    cost_text,
    count_text,
    difference_text,
    marked_result,
    names_text,
    plain,
    ratio_text,
    score_text,
    seconds_text,
    signed_interval_text,
)

_CSV_HEADER = (
    *("first_study", "second_study", "dataset", "given_class", "anomaly_ratio", "variant"),
    *("second_variant", "first_auroc", "second_auroc", "first_n", "second_n"),
    *("difference", "difference_low", "difference_high", "interval_by", "n", "outcome"),
)


def comparison_page(comparison: Comparison, *, is_checked: bool = False) -> Page:
    """Return a page with both sides cell by cell, then over all cells, then the notes.

    Args:
        comparison: The comparison to show.
        is_checked: Whether to name the cells that have fallen.
    """
    return Page(
        title=plain(f"{comparison.first} (first) against {comparison.second} (second)"),
        tables=(
            _pair_layouts(comparison),
            contrast_layouts((comparison.contrast,)),
            *chain(*(ranking_layouts(ranking) for ranking in comparison.rankings)),
        ),
        notes=(
            *([_check_note(comparison)] if is_checked else []),
            *_notes(comparison),
        ),
    )


def comparison_csv(comparison: Comparison) -> str:
    """Return CSV with a line for each pair of cells, at full precision."""
    several = _have_several_detectors(comparison)
    header = [*_CSV_HEADER[:5], *(["detector"] if several else []), *_CSV_HEADER[5:]]
    rows = (
        _csv_row(comparison, one) | ({"detector": one.either.detector} if several else {})
        for one in comparison.pairs
    )
    return csv_table(rows, header)


def _have_several_detectors(comparison: Comparison) -> bool:
    """Whether a side has several detectors, so that each pair must name its own."""
    return any(
        has_several_detectors(filter(None, side))
        for side in zip(*((one.first, one.second) for one in comparison.pairs), strict=True)
    )


def _csv_row(comparison: Comparison, one: CellPair) -> dict[str, object]:
    found = one.difference
    interval = _interval(one)
    return {
        "first_study": comparison.first,
        "second_study": comparison.second,
        "dataset": one.either.dataset,
        "given_class": one.either.given_class,
        "anomaly_ratio": one.either.anomaly_ratio,
        "variant": one.either.variant,
        "second_variant": one.second.variant if one.second else None,
        "first_auroc": one.first.test_auroc if one.first else None,
        "second_auroc": one.second.test_auroc if one.second else None,
        "first_n": one.first.num_confirmed if one.first else None,
        "second_n": one.second.num_confirmed if one.second else None,
        "difference": found.value if found else None,
        "difference_interval": interval,
        "interval_by": interval.method if interval else None,
        "n": found.num if found else None,
        "outcome": outcome(one),
    }


def _pair_layouts(comparison: Comparison) -> Layouts:
    start: list[Column[CellPair]] = [
        ("data set", lambda one: one.either.dataset),
        ("detector", lambda one: one.either.detector),
        ("variant", lambda one: one.either.variant),
        ("class", lambda one: str(one.either.given_class)),
        ("ratio", lambda one: ratio_text(one.either.anomaly_ratio)),
    ]
    is_empty = {
        "detector": not _have_several_detectors(comparison),
        "variant": not any(one.either.variant for one in comparison.pairs),
    }
    start = [column for column in start if not is_empty.get(column[0])]
    end: list[Column[CellPair]] = [
        (
            "difference",
            lambda one: difference_text(one.difference.value if one.difference else None),
        ),
        (
            "95 % interval",
            lambda one: signed_interval_text(_interval(one)),
        ),
        ("interval by", _method_text),
        ("n", lambda one: str(one.difference.num) if one.difference else NONE),
        ("outcome", outcome),
    ]
    wide: list[Column[CellPair]] = [
        ("first AUROC", lambda one: marked_result(one.first) if one.first else NONE),
        ("second AUROC", lambda one: marked_result(one.second) if one.second else NONE),
    ]
    narrow: list[Column[CellPair]] = [
        ("1st", lambda one: score_text(one.first.test_auroc if one.first else None)),
        ("2nd", lambda one: score_text(one.second.test_auroc if one.second else None)),
    ]
    whole = text_table([*start, *wide, *end], comparison.pairs, subject="Pairs of cells")
    small = text_table([*start, *narrow, *end], comparison.pairs)
    return [
        [whole],
        whole.grouped(),
        [table.shortened("interval by") for table in small.grouped()],
    ]


def _interval(one: CellPair) -> Interval | None:
    return one.difference.interval if one.difference else None


def _method_text(one: CellPair) -> str:
    interval = _interval(one)
    return interval.method if interval else NONE


def _check_note(comparison: Comparison) -> str:
    fallen = [one.either.cell for one in comparison.fallen]
    untold = sum(outcome(one) in ("one seed", "no spread") for one in comparison.pairs)
    short = [one.either.cell for one in comparison.fallen if has_fewer_seeds(one)]
    found = f"{count_text(len(fallen), 'cell')} fell" + (
        f": {names_text(fallen)}." if fallen else "."
    )
    fewer = f" Fewer seeds than the second side: {names_text(short)}." if short else ""
    return (
        f"Check: {found}{fewer} A cell falls when its whole interval is below zero, when every "
        "seed that both have is lower by the same, or when fewer seeds of it are confirmed than on "
        "the second side."
        + (
            f" {count_text(untold, 'cell')} of one seed or no spread could not be checked."
            if untold
            else ""
        )
    )


def _notes(comparison: Comparison) -> list[str]:
    alone = [one.either.cell for one in comparison.pairs if not one.difference]
    missing = (
        f" {count_text(len(alone), 'cell')} without a score on both sides: {names_text(alone)}."
        if alone
        else ""
    )
    ours = [one.first for one in comparison.pairs if one.first] + [*comparison.first_searches]
    theirs = [one.second for one in comparison.pairs if one.second] + [*comparison.second_searches]
    return [
        "By cell: difference and paired t interval over the n seeds that both have; over all "
        "seeds, and Welch's, where they share fewer than two. Higher and lower: the interval is on "
        "one side of zero; each cell stands for itself, so about 1 in 20 that do not differ is "
        "called apart by chance. All higher and all lower: every seed that both have differs by "
        "the same, from which no interval follows. No spread: seeds that are not shared, alike on "
        "each side. Equal scores are not apart." + missing,
        CONTRAST_NOTE,
        INTERVALS_NOTE,
        *map(ranking_note, comparison.rankings),
        f"First: {_budget_text(ours)}. Second: {_budget_text(theirs)}.",
        *_unlike(comparison),
    ]


def _budget_text(cells: Iterable[CellResult]) -> str:
    """Return the methods of a side, its trials, time and cost."""
    cells = list(cells)
    trials = count_text(sum(cell.num_trials for cell in cells), "search trial")
    gpu_s = math.fsum(cell.gpu_s for cell in cells)
    costs = [cell.cost for cell in cells if cell.cost is not None]
    cost = f", cost {cost_text(math.fsum(costs))}" if costs else ""
    total = seconds_text(math.fsum(cell.total_s for cell in cells))
    gpu = f", {seconds_text(gpu_s)} of GPU" if gpu_s else ""
    return f"{_distinct(cell.method for cell in cells)}; {trials}, {total}{gpu}{cost}"


def _unlike(comparison: Comparison) -> list[str]:
    """Return a line for each thing in which partners should agree and do not."""
    both = [(one.first, one.second) for one in comparison.pairs if one.first and one.second]
    lines = []
    policies = [_policies(one.first for one in comparison.pairs)]
    policies.append(_policies(one.second for one in comparison.pairs))
    if policies[0] != policies[1]:
        lines.append(
            f"Ranked apart: first selected by {', '.join(sorted(policies[0]))}, second by "
            f"{', '.join(sorted(policies[1]))}; cells of different policies are no partners."
        )
    if any(ours.selection != theirs.selection for ours, theirs in both if ours.selection):
        first = _distinct(ours.selection for ours, _ in both)
        second = _distinct(theirs.selection for _, theirs in both)
        lines.append(
            f"Not chosen alike: first by {first}, second by {second}; the label cost differs."
        )
    prints = [{one.data_fingerprint for one in pair} - {""} for pair in both]
    if any(len(different) > 1 for different in prints):
        lines.append("Not the same images: the fingerprints of the data differ.")
    return lines


def _policies(cells: Iterable[CellResult | None]) -> set[str]:
    return {cell.policy or Labelled.policy for cell in cells if cell}


def _distinct(texts: Iterable[str]) -> str:
    return names_text(sorted(set(texts) - {""})) or "nothing"
