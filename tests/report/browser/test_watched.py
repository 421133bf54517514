"""An open page of a study that runs: it loads itself anew, and leaves its reader undisturbed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from playwright.sync_api import expect

from agad.report import Leaderboard, Section, html_page
from tests.report.browser.conftest import MADE_AT

if TYPE_CHECKING:
    from tests.report.browser.conftest import Opened

OpenPage: TypeAlias = Callable[..., "Opened"]


def test_a_watched_page_shows_what_was_written_and_keeps_order_filter_and_place(
    open_page: OpenPage, board: Leaderboard
) -> None:
    text = html_page([Section(shown=board)], made_at=MADE_AT, reload_s=2)
    opened = open_page(text)
    tab = opened.tab
    table, words = tab.locator("#s0-t0"), tab.get_by_label("Filter by words").first
    table.get_by_role("button", name="class", exact=True).click()
    words.fill("photos")
    tab.evaluate("scrollTo(0, 400)")

    opened.path.write_text(text.replace(">photos<", ">photos anew<"))

    expect(table).to_contain_text("photos anew")
    expect(words).to_have_value("photos")
    expect(words).to_be_focused()
    expect(tab.get_by_role("status").first).to_have_text("12 of 24 rows")
    expect(table.locator("th[aria-sort=ascending]")).to_have_text("class")
    assert tab.evaluate("scrollY") == 400


def test_a_reader_can_pause_the_reloading(open_page: OpenPage, board: Leaderboard) -> None:
    text = html_page([Section(shown=board)], made_at=MADE_AT, reload_s=1)
    opened = open_page(text)

    opened.tab.get_by_role("button", name="Pause reloading").click()
    opened.requests.clear()
    opened.path.write_text(text.replace(">photos<", ">photos anew<"))
    opened.tab.wait_for_timeout(2500)

    assert opened.requests == []
    opened.tab.get_by_role("button", name="Go on reloading").click()
    expect(opened.tab.locator("#s0-t0")).to_contain_text("photos anew")


def test_a_page_that_is_not_watched_never_loads_itself(
    open_page: OpenPage, board: Leaderboard
) -> None:
    opened = open_page(html_page([Section(shown=board)], made_at=MADE_AT))
    opened.requests.clear()

    opened.tab.wait_for_timeout(1500)

    assert opened.requests == []
    expect(opened.tab.get_by_role("button", name="reloading")).to_have_count(0)
