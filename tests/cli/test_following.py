"""What a job prints, shown on a terminal and elsewhere."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from agad.cli.following import showing

if TYPE_CHECKING:
    from tests.cli.conftest import Tell

LOG = "Study tiny\n4/12 search trials, 0/2 confirmed, 41 s, ? left\nLeader", "board\x1b[2J\n"


@pytest.fixture
def store(tell: Tell, tmp_path: Path) -> Callable[[float], str]:
    def with_news(age_s: float) -> str:
        tell(age_s=age_s)
        return str(tmp_path / "store")

    return with_news


def shown_on_a_terminal(uri: str) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100, height=30, color_system=None)
    with showing(uri, "tiny", console) as show:
        for text in LOG:
            show(text)
    return file.getvalue()


def test_a_terminal_has_the_stores_table_in_place_of_the_status_lines(
    store: Callable[[float], str],
) -> None:
    text = shown_on_a_terminal(store(5))
    assert "Study tiny" in text
    assert "Leaderboard" in text
    assert "digits class=0 ratio=0" in text
    assert "driver on far-away (process 4321)" in text
    assert "search trials, 0/2 confirmed" not in text


@pytest.mark.parametrize("age_s", [3600.0, None], ids=["old news", "no store"])
def test_a_terminal_has_the_last_status_line_where_the_store_tells_nothing_new(
    store: Callable[[float], str], tmp_path: Path, age_s: float | None
) -> None:
    uri = str(tmp_path / "elsewhere") if age_s is None else store(age_s)
    text = shown_on_a_terminal(uri)
    assert "4/12 search trials, 0/2 confirmed, 41 s" in text
    assert "far-away" not in text


def test_what_a_job_prints_cannot_command_the_terminal(tmp_path: Path) -> None:
    assert "\x1b[2J" not in shown_on_a_terminal(str(tmp_path))


def test_elsewhere_everything_is_passed_on_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with showing(str(tmp_path), "tiny", Console(file=io.StringIO())) as show:
        for text in LOG:
            show(text)
    assert capsys.readouterr().out == "".join(LOG)


def test_a_terminal_keeps_the_columns_of_a_jobs_tables_and_cuts_nothing(tmp_path: Path) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=40, height=30, color_system=None)
    row = "digits     0.05   0.912 ± 0.003 (n=3)   " + "x" * 60
    with showing(str(tmp_path), "tiny", console) as show:
        show(f"{row}\n")
    assert row in file.getvalue()
