"""Results that are not better than chance, as the terminal, Markdown and HTML show them."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from agad.report import Section, html_page, leaderboard, markdown, terminal
from agad.report.numbers.leaderboard import Leaderboard

Build = Callable[..., Any]


@pytest.fixture
def board(make_confirm_row: Build) -> Leaderboard:
    """Class 0 is better than chance, class 1 not told apart from chance, and class 2 worse."""
    aurocs = {0: (0.90, 0.91), 1: (0.45, 0.56), 2: (0.29, 0.30)}
    return leaderboard(
        [
            make_confirm_row(
                seed,
                auroc,
                normal_class=normal,
                cell=f"digits class={normal} ratio=0.05",
                trial_key=f"{normal}{seed}",
            )
            for normal, given in aurocs.items()
            for seed, auroc in enumerate(given)
        ]
    )


def _shown(board: Leaderboard) -> dict[str, str]:
    console = Console(width=250, record=True, file=io.StringIO())
    console.print(terminal(board))
    return {
        "terminal": console.export_text(),
        "markdown": markdown(board).replace("\\", "").replace("&lt;", "<"),
        "html": html_page([Section(shown=board)], made_at=datetime(2026, 1, 2, tzinfo=UTC)).replace(
            "&lt;", "<"
        ),
    }


@pytest.mark.parametrize("kind", ["terminal", "markdown", "html"])
def test_a_page_marks_chance_and_worse_than_chance(board: Leaderboard, kind: str) -> None:
    shown = _shown(board)[kind]
    assert "0.905 ± 0.007 (n=2)" in shown
    assert "0.905 ± 0.007 (n=2) " + "~0.5" not in shown
    assert "0.505 ± 0.078 (n=2) ~0.5" in shown
    assert "0.295 ± 0.007 (n=2) <0.5" in shown
    assert "Worse than chance, marked <0.5: 1 cell: digits class=2 ratio=0.05." in shown
    assert "Not told apart from chance, marked ~0.5: 1 cell: digits class=1 ratio=0.05." in shown


def test_a_mean_over_classes_is_marked_too(make_confirm_row: Build) -> None:
    rows = [make_confirm_row(1, 0.29), make_confirm_row(2, 0.30)]
    shown = markdown(leaderboard(rows)).replace("&lt;", "<")
    assert "| 0.295 <0.5 | 0.231-0.359 |" in shown


def test_a_board_that_is_better_than_chance_says_nothing_of_chance(make_confirm_row: Build) -> None:
    shown = markdown(leaderboard([make_confirm_row(1, 0.90), make_confirm_row(2, 0.91)]))
    assert "marked" not in shown
