"""The facts of a study as terms and texts: its trials, its cost and what made its rows."""

from __future__ import annotations

from agad.report.html.tables import Fact
from agad.report.numbers.leaderboard import Leaderboard
from agad.report.pages.notes import labels_span
from agad.report.pages.rounding import NONE, cost_text, seconds_text


def totals(board: Leaderboard) -> list[Fact]:
    """Return the numbers of trials and epochs of a study, and their cost."""
    totals = board.totals
    num_confirmed = sum(cell.test_auroc is not None for cell in board.cells)
    num_seeds = sum({cell.origin: cell.num_confirmed for cell in board.cells}.values())
    num_missing = totals.num_trials_planned - totals.num_trials
    selections = sorted({cell.selection for cell in board.cells if cell.selection})
    found = [
        ("Cells confirmed", f"{num_confirmed:,} of {len(board.cells):,}"),
        ("n: confirm seeds, all cells", f"{num_seeds:,}"),
        ("Search trials run", f"{totals.num_trials:,} of {totals.num_trials_planned:,}"),
        ("Search: missing", f"{num_missing:,}"),
        ("Search: stopped early", f"{totals.num_pruned:,}"),
        ("Search: diverged", f"{totals.num_diverged:,}"),
        ("Search: failed", f"{totals.num_failed:,}"),
        ("Confirm trials run", f"{totals.num_confirm_trials:,}"),
        (
            "Confirm: diverged or failed",
            f"{totals.num_confirm_diverged + totals.num_confirm_failed:,}",
        ),
        ("Epochs trained", f"{totals.num_epochs:,}"),
        ("Epochs saved by stopping", f"{totals.num_saved_epochs:,}"),
        ("Workers' time", seconds_text(totals.total_s)),
        ("Wall time, with a trial at work", seconds_text(totals.wall_s)),
        ("GPU time", f"{totals.gpu_s / 3600:,.1f} GPU-hours" if totals.gpu_s else "no GPU"),
        ("Chosen by", ", ".join(selections) or NONE),
        ("Labels to select + to train", labels_span(board) or NONE),
    ]
    if totals.cost is not None:
        found.append((f"Cost of the {totals.cost_of}", cost_text(totals.cost)))
    return found


def made_by(board: Leaderboard) -> list[Fact]:
    """Return everything that made a study's rows."""
    found = board.provenance
    seeds = sorted({seed for cell in board.cells for seed in cell.seeds})
    facts = {
        "Confirm seeds": map(str, seeds),
        "Detector": found.detectors,
        "Code": found.commits,
        "Data": found.fingerprints,
        "Versions": found.versions,
        "Hardware": found.hardware,
    }
    return [(term, "; ".join(texts) or NONE) for term, texts in facts.items()]
