"""Whether a stored study has come to its end."""

from __future__ import annotations

from collections.abc import Collection

from agad.report.numbers.results import CellResult, Leaderboard


def has_ended(board: Leaderboard, winners: Collection[str]) -> bool:
    """Tell whether every planned trial of a study has ended, as far as its rows tell.

    Args:
        board: With all planned cells.
        winners: Labels of the cells that keep a winner for what is planned.
    """
    return all(_has_ended(cell, has_winner=cell.cell in winners) for cell in board.cells)


def _has_ended(cell: CellResult, *, has_winner: bool) -> bool:
    # A cell of a small space has a winner before it has as many trials as planned.
    if not (has_winner or cell.num_trials >= cell.num_trials_planned):
        return False
    if not (has_winner or cell.num_confirmed):
        return not (cell.num_finished or cell.num_pruned)
    num_ended = cell.num_confirmed + cell.num_confirm_diverged + cell.num_confirm_failed
    return num_ended >= cell.num_confirm_planned
