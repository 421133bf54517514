"""All figures of a study."""

from __future__ import annotations

from agad.report.figures.cost import cost_figures
from agad.report.figures.curves import curve_figures
from agad.report.figures.figure import Figure
from agad.report.figures.figure_data import Evidence
from agad.report.figures.heat import heat_figures
from agad.report.figures.history import history_figures
from agad.report.figures.importance import importance_figures
from agad.report.figures.pictures import picture_figures
from agad.report.figures.ranks import rank_figures
from agad.report.figures.ratios import ratio_figures
from agad.report.figures.scores import score_figures
from agad.report.figures.slices import slice_figures
from agad.report.numbers.results import Leaderboard


def figures(board: Leaderboard, evidence: Evidence) -> list[Figure]:
    """Return the figures that a study has rows for, in the order of a page; each name is unique.

    Args:
        board: The study's leaderboard: every statistic shown is its.
        evidence: The rows that it was made from.
    """
    return [
        *ratio_figures(board, evidence),
        *heat_figures(board),
        *rank_figures(board),
        *cost_figures(board),
        *curve_figures(board, evidence),
        *history_figures(board, evidence),
        *slice_figures(board, evidence),
        *importance_figures(board, evidence),
        *score_figures(board, evidence),
        *picture_figures(board, evidence),
    ]
