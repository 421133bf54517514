"""The figures of a study as Vega-Lite charts, and their rendering without a browser."""

from agad.report.figures.cost import cost_figures
from agad.report.figures.curves import curve_figures
from agad.report.figures.detectors import of_each_detector
from agad.report.figures.figure_data import Curves, DetectorSearch, FigureData, Picture, Scores
from agad.report.figures.heat import heat_figures
from agad.report.figures.history import history_figures
from agad.report.figures.importance import importance_figures
from agad.report.figures.pictures import picture_figures
from agad.report.figures.ranks import rank_figures
from agad.report.figures.ratios import ratio_figures
from agad.report.figures.render import (
    VEGA_LITE,
    Figure,
    check_renderer,
    javascript,
    png,
    svg,
    themed,
)
from agad.report.figures.scores import score_figures
from agad.report.figures.slices import slice_figures
from agad.report.numbers.leaderboard import Leaderboard


def figures(board: Leaderboard, figure_data: FigureData) -> list[Figure]:
    """Return the figures that a study has rows for, in the order of a page. Names are unique.

    Args:
        board: The study's leaderboard, which holds every statistic that a figure shows.
        figure_data: The rows that the leaderboard was made from.
    """
    return [
        *ratio_figures(board, figure_data),
        *heat_figures(board),
        *rank_figures(board),
        *cost_figures(board),
        *of_each_detector(curve_figures, board, figure_data),
        *of_each_detector(history_figures, board, figure_data),
        *of_each_detector(slice_figures, board, figure_data),
        *of_each_detector(importance_figures, board, figure_data),
        *of_each_detector(score_figures, board, figure_data),
        *of_each_detector(picture_figures, board, figure_data),
    ]
