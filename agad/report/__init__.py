"""From rows to a leaderboard, then to text, figures and HTML. Needs neither torch nor Ray."""

from agad.report.figures import (
    VEGA_LITE,
    Curves,
    DetectorSearch,
    Figure,
    FigureData,
    Picture,
    Scores,
    check_renderer,
    figures,
    png,
    svg,
    themed,
)
from agad.report.html.page import Section, html_page
from agad.report.numbers.aggregate import leaderboard
from agad.report.numbers.chosen import confirmed_rows, has_test_score
from agad.report.numbers.comparison import Comparison, compare
from agad.report.numbers.leaderboard import Leaderboard, RowOrigins, Totals, has_ended
from agad.report.numbers.planned import PlannedDetector
from agad.report.numbers.prices import priced
from agad.report.numbers.results import CellResult, RatioResult
from agad.report.pages.baseline import baseline_cells
from agad.report.pages.comparison_page import comparison_csv, comparison_page
from agad.report.pages.csv_files import cell_rows, csv, mean_rows, means_csv
from agad.report.pages.datasets import (
    dataset_classes,
    dataset_details,
    dataset_line,
    dataset_table,
)
from agad.report.pages.detectors import InstalledDetector, detector_details, detector_table
from agad.report.pages.diagnostics import diagnostics_page
from agad.report.pages.latex import latex
from agad.report.pages.live import (
    is_status_line,
    live_table,
    plain_line,
    watched_line,
    watched_table,
)
from agad.report.pages.models import (
    ScoredPicture,
    export_summary,
    exported_chance,
    few_normals,
    score_table,
    scored_chance,
    scores_csv,
)
from agad.report.pages.page import Page
from agad.report.pages.plan import plan_table
from agad.report.pages.published import published_page
from agad.report.pages.render import markdown, terminal
from agad.report.pages.rounding import count_text, plain, printable, seconds_text
from agad.report.pages.stores import compacted_line, info_table, schema_tables
