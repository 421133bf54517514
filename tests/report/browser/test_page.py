"""The page as its reader has it: sorted, filtered, hovered over, printed, on a phone, by ear."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import pytest
from axe_core_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Locator, ViewportSize, expect

from agad.report import Leaderboard, Section, html_page, published_page
from tests.report.browser.conftest import DESKTOP, MADE_AT, PHONE

if TYPE_CHECKING:
    from tests.report.browser.conftest import Opened

OpenPage: TypeAlias = Callable[..., "Opened"]
CELLS = "#s0-t0"


def column(table: Locator, header: str) -> list[str]:
    """Return the texts of a column's visible rows, from top to bottom."""
    names = [text.strip() for text in table.locator("thead th").all_inner_texts()]
    place = names.index(header) + 1
    return table.locator(f"tbody tr:visible > :nth-child({place})").all_inner_texts()


def button(table: Locator, header: str) -> Locator:
    return table.get_by_role("button", name=header, exact=True)


def means(texts: Sequence[str]) -> list[float]:
    return [float(text.split()[0]) for text in texts]


def test_a_page_opens_without_a_word_in_the_console_and_asks_for_nothing(
    open_page: OpenPage, page_text: str
) -> None:
    opened = open_page(page_text)

    assert opened.wait_for_charts() > 0
    assert opened.messages == []
    assert [url for url in opened.requests if url != opened.path.as_uri()] == []


def test_a_headers_button_sorts_by_value_up_and_down_and_keeps_what_has_no_result_below(
    open_page: OpenPage, page_text: str
) -> None:
    table = open_page(page_text).tab.locator(CELLS)
    header = button(table, "test AUROC").locator("xpath=..")

    button(table, "test AUROC").click()
    up = column(table, "test AUROC")
    expect(header).to_have_attribute("aria-sort", "ascending")
    button(table, "test AUROC").click()
    down = column(table, "test AUROC")

    expect(header).to_have_attribute("aria-sort", "descending")
    assert up[-2:] == down[-2:] == ["not confirmed"] * 2
    assert means(up[:-2]) == sorted(means(up[:-2]))
    assert means(down[:-2]) == sorted(means(up[:-2]), reverse=True)
    assert len(set(up)) > 10


def test_durations_are_sorted_by_how_long_they_are(open_page: OpenPage, page_text: str) -> None:
    table = open_page(page_text).tab.locator(CELLS)

    button(table, "time").click()

    units = [text.split()[1] for text in column(table, "time")]
    assert set(units) == {"s", "min", "h"}
    assert units == sorted(units, key=["s", "min", "h"].index)


def test_a_column_is_sorted_by_the_keyboard_alone(open_page: OpenPage, page_text: str) -> None:
    tab = open_page(page_text).tab
    table = tab.locator(CELLS)

    button(table, "class").focus()
    tab.keyboard.press("Enter")
    tab.keyboard.press("Space")

    assert column(table, "class") == ["2"] * 8 + ["1"] * 8 + ["0"] * 8


def test_rows_are_filtered_by_words_and_by_a_column(open_page: OpenPage, page_text: str) -> None:
    tab = open_page(page_text).tab
    table, status = tab.locator(CELLS), tab.get_by_role("status").first
    expect(status).to_have_text("24 of 24 rows")

    tab.get_by_label("data set").first.select_option("photos")
    expect(status).to_have_text("12 of 24 rows")
    assert set(column(table, "data set")) == {"photos"}

    tab.get_by_label("Filter by words").first.fill("UNET++ not")
    expect(status).to_have_text("1 of 24 rows")
    assert column(table, "test AUROC") == ["not confirmed"]


def test_a_chart_tells_the_numbers_under_the_pointer(
    open_page: OpenPage, page_text: str, board: Leaderboard
) -> None:
    opened = open_page(page_text)
    opened.wait_for_charts()
    mark = opened.tab.locator("#s0-auroc-by-ratio .mark-symbol path").first
    mark.scroll_into_view_if_needed()

    mark.hover(force=True)

    shown = opened.tab.locator("#vg-tooltip-element.visible")
    expect(shown).to_contain_text("ratio")
    scores = [cell.test_auroc for cell in board.cells] + [one.test_auroc for one in board.ratios]
    numbers = {f"{score:.3f}" for score in scores if score is not None}
    assert any(number in shown.inner_text() for number in numbers)


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_is_not_wider_than_the_screen(
    open_page: OpenPage, page_text: str, board: Leaderboard, viewport: ViewportSize
) -> None:
    published = published_page(["cifar10", "mnist"])
    long = html_page([Section(shown=board), Section(shown=published)], made_at=MADE_AT)
    for text in (page_text, long):
        opened = open_page(text, viewport=viewport)
        opened.wait_for_charts()
        assert opened.tab.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


@pytest.mark.parametrize(
    ("viewport", "scheme"),
    [
        pytest.param(DESKTOP, "light", id="light-desktop"),
        pytest.param(PHONE, "light", id="light-phone", marks=pytest.mark.nightly),
        pytest.param(DESKTOP, "dark", id="dark-desktop", marks=pytest.mark.nightly),
        pytest.param(PHONE, "dark", id="dark-phone"),
    ],
)
def test_an_accessibility_check_finds_nothing(
    open_page: OpenPage, page_text: str, viewport: ViewportSize, scheme: str
) -> None:
    opened = open_page(page_text, viewport=viewport, color_scheme=scheme)
    opened.wait_for_charts()
    # The tables of the figures too.
    opened.tab.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")

    found = Axe().run(opened.tab, options={"runOnly": ["wcag2a", "wcag2aa"]})

    assert len(found["passes"]) > 10
    problems = [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]]
    assert problems == []


def test_headings_are_in_order_and_tables_have_captions(
    open_page: OpenPage, page_text: str
) -> None:
    tab = open_page(page_text).tab

    names = tab.locator("h1, h2, h3, h4, h5, h6").evaluate_all("all => all.map((h) => h.tagName)")
    levels = [int(name[1]) for name in names]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    tables = tab.locator("table[id]")
    assert tables.count() == tab.locator("table[id] > caption").count() > 4
    assert "" not in tab.locator("caption").all_text_contents()


def test_the_first_stop_of_the_keyboard_skips_to_the_results(
    open_page: OpenPage, page_text: str
) -> None:
    tab = open_page(page_text).tab

    tab.keyboard.press("Tab")
    expect(tab.get_by_role("link", name="Skip to the results")).to_be_in_viewport()
    tab.keyboard.press("Enter")

    expect(tab.locator("main")).to_be_focused()


def test_focus_is_visible_on_every_control(open_page: OpenPage, page_text: str) -> None:
    tab = open_page(page_text).tab
    for _ in range(12):
        tab.keyboard.press("Tab")
        outline = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"


def test_without_javascript_tables_and_the_texts_of_figures_stand_there(
    open_page: OpenPage, page_text: str, board: Leaderboard
) -> None:
    tab = open_page(page_text, java_script_enabled=False).tab

    assert len(column(tab.locator(CELLS), "test AUROC")) == len(board.cells)
    assert tab.locator("button, input, select").count() == 0
    expect(tab.locator("#s0-auroc-by-ratio .chart")).to_contain_text(
        "Test AUROC at each anomaly ratio"
    )
    tab.locator("#s0-auroc-by-ratio summary").click()
    expect(tab.locator("#s0-auroc-by-ratio table")).to_be_visible()


def test_the_theme_is_the_systems_until_the_button_says_otherwise(
    open_page: OpenPage, page_text: str
) -> None:
    tab = open_page(page_text, color_scheme="dark").tab
    theme = tab.get_by_role("button", name="Theme")

    def is_dark() -> bool:
        colour = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, colour[4:-1].split(","))) < 200

    assert is_dark()
    theme.click()
    expect(theme).to_have_text("Theme: light")
    assert not is_dark()
    tab.reload()
    expect(theme).to_have_text("Theme: light")
    assert not is_dark()


def test_a_page_prints_dark_on_white_with_its_charts_and_without_its_controls(
    open_page: OpenPage, page_text: str
) -> None:
    opened = open_page(page_text, color_scheme="dark")
    opened.wait_for_charts()
    opened.tab.emulate_media(media="print", color_scheme="dark")

    colours = opened.tab.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )

    assert colours == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]
    expect(opened.tab.get_by_label("Filter by words").first).to_be_hidden()
    expect(opened.tab.locator(".chart svg").first).to_be_visible()
    assert opened.tab.pdf(prefer_css_page_size=True).count(b"/Type /Page\n") > 1
