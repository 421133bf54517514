"""Pages opened from a disk in a real Chromium, and what it says of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from playwright.sync_api import Browser, Error, Page, ViewportSize, expect, sync_playwright

from agad.config import Grid
from agad.records import TrialRow
from agad.report import (
    FigureData,
    Leaderboard,
    PlannedDetector,
    Section,
    html_page,
    leaderboard,
    priced,
)
from agad.report import figures as study_figures
from tests.report.browser.chromium import installed_chromium

RowBuilder: TypeAlias = Callable[..., TrialRow]
MADE_AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 360, "height": 740}


@dataclass
class Opened:
    """A page in a tab, and all that the browser had to say of it."""

    tab: Page
    path: Path
    messages: list[str] = field(default_factory=list)
    """Of the console, and errors."""

    requests: list[str] = field(default_factory=list)
    """Addresses asked for."""

    def wait_for_charts(self) -> int:
        """Wait until every chart is drawn, and return how many there are."""
        expect(self.tab.locator(".chart:not([data-drawn])")).to_have_count(0, timeout=20_000)
        return self.tab.locator(".chart svg").count()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = installed_chromium()
    if found is None:
        pytest.skip("no Chromium: install one, or run python -m tests.report.browser.chromium")
    with sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(
                executable_path=found.program,
                env={**os.environ, **found.environment},
                # A container has no room for its own sandbox, and shows it no stranger's page.
                args=["--no-sandbox"],
            )
        except Error as error:
            pytest.skip(f"no Chromium: {error.message.splitlines()[0]}")
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Return a function that writes a page and opens it; its keywords are those of a context."""
    contexts = []

    def open_text(text: str, **options: Any) -> Opened:  # noqa: ANN401
        path = tmp_path / "report.html"
        path.write_text(text, "utf-8")
        context = browser.new_context(**{"viewport": DESKTOP, **options})
        context.set_default_timeout(8_000)
        contexts.append(context)
        opened = Opened(context.new_page(), path)
        opened.tab.on(
            "console",
            lambda message: opened.messages.append(f"{message.type}: {message.text}"),
        )
        opened.tab.on("pageerror", lambda error: opened.messages.append(str(error)))
        opened.tab.on("request", lambda request: opened.requests.append(request.url))
        opened.tab.goto(path.as_uri())
        return opened

    yield open_text
    for context in contexts:
        context.close()


GRID = Grid(
    dataset=["digits", "photos"],
    normal_class=[0, 1, 2],
    anomaly_ratio=[0, 0.05],
    settings={"backbone": ["naive", "unet++"]},
)


@pytest.fixture
def rows(make_row: RowBuilder, make_confirm_row: RowBuilder) -> Sequence[TrialRow]:
    """Two data sets, three classes, two ratios and two methods: 22 of 24 cells confirmed."""
    found = []
    for place, cell in enumerate(GRID.all_cells):
        fixed = {
            "cell": cell.label,
            "dataset": cell.dataset,
            "normal_class": cell.normal_class,
            "anomaly_ratio": cell.anomaly_ratio,
            "settings": json.dumps(dict(cell.settings)),
            "num_fit_anomalies": 4 + place,
            "gpu_s": 3600.0,
            "params": json.dumps({"lr": 0.001 * (place + 1), "weight_adcon": 12.5}),
        }
        found += [make_row(**fixed, state="pruned"), make_row(**fixed, state="diverged")]
        if place < len(GRID.all_cells) - 2:
            scores = [0.5 + 0.019 * (7 * place % 24) + 0.01 * seed for seed in range(3)]
            found += [
                make_confirm_row(seed + 1, score, **fixed, seconds=10.0 ** (place % 5))
                for seed, score in enumerate(scores)
            ]
    return found


@pytest.fixture
def board(rows: Sequence[TrialRow]) -> Leaderboard:
    made = leaderboard(
        rows, planned=[PlannedDetector(cells=GRID.all_cells, cell_trials=3)], confirm_seeds=3
    )
    return priced(made, 2.5)


@pytest.fixture
def page_text(board: Leaderboard, rows: Sequence[TrialRow]) -> str:
    section = Section(shown=board, figures=study_figures(board, FigureData(trials=rows)))
    return html_page([section], made_at=MADE_AT)
