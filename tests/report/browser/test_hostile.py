"""Names that a study file or a data set chose to be code: they are shown, and do nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import pytest
from playwright.sync_api import expect

from agad.config import Cell
from agad.records import TrialRow
from agad.report import FigureData, PlannedDetector, Section, html_page, leaderboard
from agad.report import figures as study_figures
from tests.report.browser.conftest import MADE_AT

if TYPE_CHECKING:
    from tests.report.browser.conftest import Opened

RowBuilder: TypeAlias = Callable[..., TrialRow]

HOSTILE = [
    "<script>window.stolen=1</script>",
    "</script><script>window.stolen=1</script>",
    "<!--<script>",
    "<img src=x onerror=window.stolen=1>",
    "\"><svg onload=window.stolen=1>'",
    "';window.stolen=1;//\u2028window.stolen=1",
    "&lt;b&gt; {{7*7}} ${7*7} javascript:window.stolen=1",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_text_in_headings_tables_figures_and_tooltips(
    open_page: Callable[..., Opened],
    make_row: RowBuilder,
    make_confirm_row: RowBuilder,
    name: str,
) -> None:
    fixed = {
        "study": name,
        "cell": name,
        "dataset": name,
        "detector": name,
        "selection": name,
        "hardware": name,
        "params": json.dumps({name: name}),
        "settings": json.dumps({"backbone": name}),
    }
    rows = [make_row(**fixed)]
    rows += [make_confirm_row(seed, 0.8 + seed / 100, **fixed) for seed in (1, 2, 3)]
    cell = Cell(dataset="digits", normal_class=0, anomaly_ratio=0.0, settings=(("x", name),))
    board = leaderboard(rows, planned=[PlannedDetector(cells=[cell])])
    section = Section(shown=board, figures=study_figures(board, FigureData(trials=rows)))

    opened = open_page(html_page([section, section], made_at=MADE_AT))

    assert opened.wait_for_charts() > 0
    shown = name.replace("\u2028", " ")
    expect(opened.tab.locator("h2").first).to_have_text(f"Study {shown}")
    expect(opened.tab.locator("#s0-t0")).to_contain_text(shown)
    mark = opened.tab.locator("#s0-auroc-by-ratio .mark-symbol path").first
    mark.scroll_into_view_if_needed()
    mark.hover(force=True)
    expect(opened.tab.locator("#vg-tooltip-element.visible")).to_contain_text(shown[:10])
    assert opened.tab.evaluate("window.stolen") is None
    assert opened.tab.locator("img, iframe, svg[onload], h2 *, td *").count() == 0
    assert opened.messages == []
    assert {*opened.requests} == {opened.path.as_uri()}
