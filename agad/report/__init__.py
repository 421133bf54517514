"""From rows to a leaderboard, and from a leaderboard to text. Needs neither torch nor Ray."""

from agad.report.aggregate import leaderboard
from agad.report.datasets import dataset_details, dataset_line, dataset_table
from agad.report.live import live_table, plain_line
from agad.report.plan import plan_table
from agad.report.render import csv, markdown, terminal
from agad.report.results import CellResult, Leaderboard, Provenance, RatioResult, Totals
from agad.report.rounding import plain

__all__ = [
    "CellResult",
    "Leaderboard",
    "Provenance",
    "RatioResult",
    "Totals",
    "csv",
    "dataset_details",
    "dataset_line",
    "dataset_table",
    "leaderboard",
    "live_table",
    "markdown",
    "plain",
    "plain_line",
    "plan_table",
    "terminal",
]
