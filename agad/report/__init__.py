"""From rows to a leaderboard, and from a leaderboard to text. Needs neither torch nor Ray."""

from agad.report.aggregate import confirmed_rows, leaderboard
from agad.report.datasets import dataset_details, dataset_line, dataset_table
from agad.report.live import live_table, plain_line
from agad.report.models import (
    ScoredPicture,
    export_summary,
    few_normals,
    score_table,
    scores_csv,
)
from agad.report.plan import plan_table
from agad.report.render import csv, markdown, terminal
from agad.report.results import CellResult, Leaderboard, Provenance, RatioResult, Totals
from agad.report.rounding import count_text, plain
from agad.report.stores import compacted_line, info_table, schema_tables

__all__ = [
    "CellResult",
    "Leaderboard",
    "Provenance",
    "RatioResult",
    "ScoredPicture",
    "Totals",
    "compacted_line",
    "confirmed_rows",
    "count_text",
    "csv",
    "dataset_details",
    "dataset_line",
    "dataset_table",
    "export_summary",
    "few_normals",
    "info_table",
    "leaderboard",
    "live_table",
    "markdown",
    "plain",
    "plain_line",
    "plan_table",
    "schema_tables",
    "score_table",
    "scores_csv",
    "terminal",
]
