"""The lines below the tables: what the numbers mean, what they cost and what is missing."""

from __future__ import annotations

from collections.abc import Iterable

from agad.report.results import CellResult, Leaderboard
from agad.report.rounding import count_text, names_text, seconds_text


def no_rows_line(board: Leaderboard) -> str:
    """Return the sentence that stands for a leaderboard without rows."""
    planned = f"; {count_text(len(board.cells), 'cell is', 'cells are')} planned"
    return f"No trial of this study has ended yet{planned if board.cells else ''}."


def notes(board: Leaderboard) -> list[str]:
    """Return the notes, one sentence or two each, in the order in which they are printed."""
    return [
        *_meaning(board),
        *_variants(board),
        *_cost(board),
        *_incomplete(board.cells),
        *_unstopped(board),
        *_provenance(board),
    ]


def _meaning(board: Leaderboard) -> list[str]:
    selections = sorted({cell.selection for cell in board.cells if cell.selection})
    return [
        "Test AUROC by cell: mean ± sample SD over n confirm seeds, trained anew to the last "
        "epoch. By ratio: mean over the classes' means; its SD over classes and the pooled SD "
        "over seeds stand apart. No AUROC is flipped: one below 0.5 stands as it is.",
        f"Chosen by validation AUROC, {', '.join(selections)}; the test split was scored once a "
        "confirm trial, at the last epoch, and chose nothing. Cells do not compare, so none is "
        "ranked against another.",
    ]


_VARIANTS = {
    "leave-one-out": "Leave-one-out: the class named is the anomalous one, all others are normal.",
    "pollution": "Pollution: share of hidden anomalies among the unlabelled images; those of "
    "validation count as normal in the validation AUROC.",
    "labelled": "Labelled: anomalous classes of which images are labelled, how many or (which); "
    "anomalies of the others are first met in the test split.",
}


def _variants(board: Leaderboard) -> list[str]:
    words = {word.partition("=")[0] for cell in board.cells for word in cell.variant.split()}
    return [line for word, line in _VARIANTS.items() if word in words]


def _cost(board: Leaderboard) -> list[str]:
    totals = board.totals
    lines = []
    labels = sorted(
        (cell.num_val_anomalies + cell.num_fit_anomalies, cell.num_val_anomalies)
        for cell in board.cells
        if cell.num_val_anomalies is not None and cell.num_fit_anomalies is not None
    )
    if labels:
        (least, least_val), (most, most_val) = labels[0], labels[-1]
        span = f"{least_val}+{least - least_val}"
        if most > least:
            span += f" to {most_val}+{most - most_val}"
        lines.append(f"Labels: anomalies labelled to select + to train; {span} a seed.")
    lines.append(
        f"Search: {count_text(totals.num_trials, 'trial')} run, {totals.num_pruned:,} stopped "
        f"early, {totals.num_diverged:,} diverged, {totals.num_failed:,} failed; "
        f"{totals.num_search_epochs:,} of {totals.num_planned_search_epochs:,} planned epochs "
        f"trained, {totals.num_saved_epochs:,} saved."
    )
    lines.append(
        f"Confirm: {count_text(totals.num_confirm_trials, 'trial')}, "
        f"{totals.num_confirm_diverged:,} diverged, {totals.num_confirm_failed:,} failed."
    )
    gpu = f", {seconds_text(totals.gpu_s)} of GPU" if totals.gpu_s else ", no GPU"
    lines.append(
        f"Time: of the workers, from the data to the scores, search and confirm; in all "
        f"{seconds_text(totals.total_s)}{gpu}, {count_text(totals.num_epochs, 'epoch')}."
    )
    return lines


def _incomplete(cells: Iterable[CellResult]) -> list[str]:
    missing, short, other = [], [], []
    for cell in cells:
        broken = {"diverged": cell.num_confirm_diverged, "failed": cell.num_confirm_failed}
        ends = "".join(f", {count} {state}" for state, count in broken.items() if count)
        of_planned = f"{cell.num_confirmed} of {cell.num_confirm_planned}"
        if not cell.num_confirmed:
            missing.append(f"{cell.cell} ({of_planned}{ends})" if ends else cell.cell)
        elif cell.num_confirmed < cell.num_confirm_planned:
            short.append(f"{cell.cell} ({of_planned}{ends})")
        if cell.num_other_confirm_trials:
            other.append(f"{cell.cell} ({cell.num_other_confirm_trials})")
    lines = []
    if missing:
        lines.append(
            f"Not confirmed, and in no mean: {count_text(len(missing), 'cell')}: "
            f"{names_text(missing)}."
        )
    if short:
        lines.append(
            f"Fewer confirm seeds than planned, in {count_text(len(short), 'cell')}: "
            f"{names_text(short)}."
        )
    if other:
        lines.append(
            "Confirm trials of configurations that are not the cell's choice, in no mean: "
            f"{names_text(other)}."
        )
    return lines


def _unstopped(board: Leaderboard) -> list[str]:
    cells = board.totals.unstopped_cells
    if not cells:
        return []
    return [f"No trial was stopped early in {count_text(len(cells), 'cell')}: {names_text(cells)}."]


def _provenance(board: Leaderboard) -> list[str]:
    made_by = board.provenance
    seeds = sorted({seed for cell in board.cells for seed in cell.seeds})
    shown_seeds = ", ".join(map(str, seeds)) or "none yet"
    return [
        f"Confirm seeds: {shown_seeds}. Detector: {names_text(made_by.detectors)}. "
        f"Code: {names_text(made_by.commits)}. Data: {names_text(made_by.fingerprints)}.",
        f"Versions: {names_text(made_by.versions, 2)}. Hardware: {names_text(made_by.hardware)}.",
    ]
