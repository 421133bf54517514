"""The figures of a study as Vega-Lite charts, and their rendering without a browser."""

from agad.report.figures.collection import figures
from agad.report.figures.figure import Figure
from agad.report.figures.figure_data import Curves, FigureData, Picture, Scores
from agad.report.figures.render import VEGA_LITE, check_renderer, javascript, png, svg, themed

__all__ = [
    "VEGA_LITE",
    "Curves",
    "Figure",
    "FigureData",
    "Picture",
    "Scores",
    "check_renderer",
    "figures",
    "javascript",
    "png",
    "svg",
    "themed",
]
