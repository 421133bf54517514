"""The page as text: whole, closed to the network, and of what a study says nothing but text."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import TypeAlias

import pytest

from agad.config import Cell
from agad.records import TrialRow
from agad.report import (
    Comparison,
    Figure,
    FigureData,
    Leaderboard,
    PlannedDetector,
    Section,
    compare,
    comparison_page,
    html_page,
    leaderboard,
    markdown,
    priced,
    published_page,
)
from agad.report import figures as study_figures

RowBuilder: TypeAlias = Callable[..., TrialRow]
MADE_AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


class Parsed(HTMLParser):
    """The elements of a page, and the text of those that are asked for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "input", "br", "link"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    def words(self) -> str:
        """Return what a reader sees, in one line."""
        shown = (text for tag, text in self.texts if tag not in ("script", "style"))
        return " ".join(" ".join(shown).split())


def page(*sections: Section, reload_s: float | None = None) -> str:
    return html_page(sections, made_at=MADE_AT, reload_s=reload_s)


def visible(text: str) -> str:
    return Parsed(text).words()


@pytest.fixture
def rows(make_row: RowBuilder, make_confirm_row: RowBuilder) -> Sequence[TrialRow]:
    return [
        *(make_row(state=state, gpu_s=1800.0) for state in ("finished", "pruned", "diverged")),
        make_row(state="failed", gpu_s=1800.0),
        *(make_confirm_row(seed, 0.8 + seed / 100) for seed in (1, 2)),
        make_confirm_row(3, None, state="diverged"),
    ]


@pytest.fixture
def board(rows: Sequence[TrialRow]) -> Leaderboard:
    missing = Cell(dataset="digits", normal_class=5, anomaly_ratio=0.0)
    first = Cell(dataset="digits", normal_class=0, anomaly_ratio=0.0)
    made = leaderboard(
        rows, planned=[PlannedDetector(cells=[first, missing], cell_trials=6)], confirm_seeds=3
    )
    return priced(made, 3.0)


def test_a_page_has_every_number_and_every_note_of_the_other_renderings(board: Leaderboard) -> None:
    shown = visible(page(Section(shown=board)))

    lines = [line for line in markdown(board).splitlines() if line.startswith("- ")]
    assert len(lines) > 8
    for line in lines[:-2]:
        note = html.unescape(re.sub(r"\\(.)", r"\1", line[2:]))
        assert note in shown
    for row in (line for line in markdown(board).splitlines() if line.startswith("| ")):
        for cell in row.split("|")[1:-1]:
            assert html.unescape(re.sub(r"\\(.)", r"\1", cell.strip())) in shown or "--" in cell


@pytest.mark.parametrize(
    "fact",
    [
        "Cells confirmed 1 of 2",
        "n: confirm seeds, all cells 2",
        "Search trials run 4 of 12",
        "Search: missing 8",
        "Search: stopped early 1",
        "Search: diverged 1",
        "Search: failed 1",
        "Confirm: diverged or failed 1",
        "GPU time 2.0 GPU-hours",
        "Cost of the GPU time 6.00",
        "Chosen by labelled(30)",
        "Labels to select + to train 30+0",
        "Confirm seeds 1; 2",
        "Detector agad version 2",
        "Code 0123456789ab",
        "Made 2026-03-01 12:30:00 UTC",
        "no trial yet",
    ],
)
def test_a_page_says_what_was_run_what_it_cost_and_what_made_it(
    board: Leaderboard, fact: str
) -> None:
    assert fact in visible(page(Section(shown=board)))


def test_published_values_stand_under_a_heading_that_says_that_they_were_not_run(
    board: Leaderboard,
) -> None:
    published = published_page(["mnist"])
    parsed = Parsed(page(Section(shown=board), Section(shown=published)))
    headings = [text for tag, text in parsed.texts if tag == "h2"]
    assert headings == ["Study a-study", "Published values, not run here"]
    assert "GANomaly" in parsed.words() or "AnoGAN" in parsed.words()


def test_a_comparison_is_a_page_too(rows: Sequence[TrialRow]) -> None:
    cells = leaderboard(rows).cells
    comparison: Comparison = compare(("new", cells), ("old", cells))
    shown = visible(page(Section(shown=comparison_page(comparison, is_checked=True))))
    assert "new (first) against old (second)" in shown
    assert "Check: 0 cells fell." in shown


def test_a_study_without_rows_has_a_page_that_says_so() -> None:
    shown = visible(page(Section(shown=leaderboard([], study="empty"))))
    assert "No trial of this study has ended yet." in shown


def test_a_page_names_nothing_to_load(board: Leaderboard, rows: Sequence[TrialRow]) -> None:
    figures = study_figures(board, FigureData(trials=rows))
    parsed = Parsed(page(Section(shown=board, figures=figures)))

    assert figures
    assert {"link", "img", "iframe", "object", "form"}.isdisjoint(tag for tag, _ in parsed.elements)
    for _, attributes in parsed.elements:
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
        assert not any(name.startswith("on") for name in attributes)


def test_the_policy_lets_in_the_script_and_the_style_of_the_page_alone(board: Leaderboard) -> None:
    text = page(Section(shown=board))
    parsed = Parsed(text)
    (policy,) = [
        attributes["content"] or ""
        for tag, attributes in parsed.elements
        if (attributes.get("http-equiv") or "") == "Content-Security-Policy" and tag == "meta"
    ]

    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    for rule, tag in (("script-src", "script"), ("style-src-elem", "style")):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert "unsafe-eval" not in policy
    assert "http" not in policy


@pytest.mark.parametrize(
    "text", ["</script><b>", "<!-- <script>", "a & b", "line\u2028line", "<\ud7ff>\u00e9"]
)
def test_a_charts_data_cannot_end_their_block_and_are_read_as_they_were(
    board: Leaderboard, text: str
) -> None:
    figure = Figure(
        name="one", title=text, caption=text, alt=text, spec={"data": {"values": [{"x": text}]}}
    )

    written = page(Section(shown=board, figures=[figure]))

    parsed = Parsed(written)
    blocks = [
        data for (tag, data) in parsed.texts if tag == "script" and data.startswith('{"data"')
    ]
    assert [json.loads(block)["data"]["values"] for block in blocks] == [[{"x": text}]]
    assert "\u2028" not in blocks[0]


def test_a_page_that_is_watched_reloads_and_any_other_does_not(board: Leaderboard) -> None:
    watched, still = page(Section(shown=board), reload_s=30), page(Section(shown=board))
    assert Parsed(watched).elements[0] == ("html", {"lang": "en", "data-reload": "30"})
    assert '<noscript><meta http-equiv="refresh" content="30"></noscript>' in watched
    assert Parsed(still).elements[0] == ("html", {"lang": "en"})
    assert 'http-equiv="refresh"' not in still
    assert "while the study was running" in visible(watched)


def test_ids_are_of_one_element_each(board: Leaderboard, rows: Sequence[TrialRow]) -> None:
    section = Section(shown=board, figures=study_figures(board, FigureData(trials=rows)))
    parsed = Parsed(page(section, section))
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids)) > 10


def test_a_page_without_figures_brings_no_code_to_draw(board: Leaderboard) -> None:
    assert len(page(Section(shown=board))) < 60_000
