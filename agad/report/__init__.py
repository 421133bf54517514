"""From rows to a leaderboard, and from a leaderboard to text. Needs neither torch nor Ray."""

from agad.report.aggregate import confirmed_rows, leaderboard, priced
from agad.report.baseline import baseline_cells
from agad.report.comparison import Comparison, compare
from agad.report.comparison_page import comparison_csv, comparison_page
from agad.report.datasets import dataset_details, dataset_line, dataset_table
from agad.report.diagnostics import diagnostics_page
from agad.report.figures import (
    VEGA_LITE,
    Curves,
    Evidence,
    Figure,
    Picture,
    Scores,
    check_renderer,
    png,
    svg,
    themed,
)
from agad.report.figures import figures as study_figures
from agad.report.html import Section, html_page
from agad.report.latex import latex
from agad.report.live import live_table, plain_line, watched_line, watched_table
from agad.report.models import (
    ScoredPicture,
    export_summary,
    few_normals,
    score_table,
    scores_csv,
)
from agad.report.page import Page
from agad.report.plan import plan_table
from agad.report.progress import has_ended
from agad.report.published import published_page
from agad.report.render import cell_rows, csv, markdown, mean_rows, means_csv, terminal
from agad.report.results import CellResult, Leaderboard, Provenance, RatioResult, Totals
from agad.report.rounding import count_text, plain, seconds_text
from agad.report.stores import compacted_line, info_table, schema_tables

__all__ = [
    "VEGA_LITE",
    "CellResult",
    "Comparison",
    "Curves",
    "Evidence",
    "Figure",
    "Leaderboard",
    "Page",
    "Picture",
    "Provenance",
    "RatioResult",
    "ScoredPicture",
    "Scores",
    "Section",
    "Totals",
    "baseline_cells",
    "cell_rows",
    "check_renderer",
    "compacted_line",
    "compare",
    "comparison_csv",
    "comparison_page",
    "confirmed_rows",
    "count_text",
    "csv",
    "dataset_details",
    "dataset_line",
    "dataset_table",
    "diagnostics_page",
    "export_summary",
    "few_normals",
    "has_ended",
    "html_page",
    "info_table",
    "latex",
    "leaderboard",
    "live_table",
    "markdown",
    "mean_rows",
    "means_csv",
    "plain",
    "plain_line",
    "plan_table",
    "png",
    "priced",
    "published_page",
    "schema_tables",
    "score_table",
    "scores_csv",
    "seconds_text",
    "study_figures",
    "svg",
    "terminal",
    "themed",
    "watched_line",
    "watched_table",
]
