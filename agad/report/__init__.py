"""From rows to a leaderboard, and from a leaderboard to text. Needs neither torch nor Ray."""

from agad.report.aggregate import confirmed_rows, leaderboard, priced
from agad.report.baseline import baseline_cells
from agad.report.comparison import Comparison, compare
from agad.report.comparison_page import comparison_csv, comparison_page
from agad.report.datasets import dataset_details, dataset_line, dataset_table
from agad.report.diagnostics import diagnostics_page
from agad.report.live import live_table, plain_line
from agad.report.models import (
    ScoredPicture,
    export_summary,
    few_normals,
    score_table,
    scores_csv,
)
from agad.report.page import Page
from agad.report.plan import plan_table
from agad.report.published import published_page
from agad.report.render import csv, markdown, means_csv, terminal
from agad.report.results import CellResult, Leaderboard, Provenance, RatioResult, Totals
from agad.report.rounding import count_text, plain
from agad.report.stores import compacted_line, info_table, schema_tables

__all__ = [
    "CellResult",
    "Comparison",
    "Leaderboard",
    "Page",
    "Provenance",
    "RatioResult",
    "ScoredPicture",
    "Totals",
    "baseline_cells",
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
    "info_table",
    "leaderboard",
    "live_table",
    "markdown",
    "means_csv",
    "plain",
    "plain_line",
    "plan_table",
    "priced",
    "published_page",
    "schema_tables",
    "score_table",
    "scores_csv",
    "terminal",
]
