"""A leaderboard or another page as a terminal's tables and as Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from agad.report.numbers.leaderboard import Leaderboard
from agad.report.pages.columns import leaderboard_tables
from agad.report.pages.notes import no_rows_line, notes
from agad.report.pages.page import CONFIGURATION, Layouts, Page, TextTable
from agad.report.pages.rounding import NO_RESULTS, plain


def terminal(shown: Leaderboard | Page) -> RenderableType:
    """Return every table and the notes, laid out for the width of the terminal."""
    return _Terminal(as_page(shown))


def as_page(shown: Leaderboard | Page) -> Page:
    """Return the page of a leaderboard; a page is returned unchanged."""
    if isinstance(shown, Page):
        return shown
    title = f"Study {plain(shown.study)}" if shown.study else "Study"
    if not shown.has_rows:
        return Page(title=title, tables=(), notes=(no_rows_line(shown),))
    return Page(title=title, tables=tuple(leaderboard_tables(shown)), notes=tuple(notes(shown)))


@dataclass(frozen=True, slots=True)
class _Terminal:
    page: Page

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self.page.title, style="bold")
        yield ""
        if not self.page.tables:
            yield from map(Text, self.page.notes)
            return
        hides_configuration = False
        for layouts in self.page.tables:
            tables = _fitting(layouts, options.max_width)
            hides_configuration |= (
                CONFIGURATION in layouts[0][0].headers and CONFIGURATION not in tables[0].headers
            )
            yield from _rich_tables(tables, options.max_width)
        for line in self.page.notes:
            yield _rich_note(line)
        if hides_configuration:
            yield _rich_note(
                "The confirmed configurations stand in a wider terminal, in Markdown and in CSV."
            )


def _fitting(layouts: Layouts, width: int) -> list[TextTable]:
    """Return the widest layout that fits, else the narrowest layout."""
    return next((one for one in layouts if _width(one, gap=2) <= width), layouts[-1])


def _rich_tables(layout: list[TextTable], width: int) -> Iterator[RenderableType]:
    """Yield the tables with their titles; a column is equally wide in all tables."""
    gap = 2 if _width(layout, gap=2) <= width else 1
    for table in layout:
        if table.title:
            yield Text(table.title, style="bold cyan", overflow="fold")
        yield _rich_table(table, _column_widths(layout, table), gap)
        yield ""


def _column_widths(layout: list[TextTable], table: TextTable) -> list[int]:
    """Return the widths of a table's columns, shared by all tables with these columns."""
    rows = [row for other in layout if other.headers == table.headers for row in other.rows]
    return [
        max(cell_len(text) for text in texts) for texts in zip(table.headers, *rows, strict=True)
    ]


def _width(layout: list[TextTable], gap: int) -> int:
    widths = [_column_widths(layout, table) for table in layout]
    return max(sum(columns) + gap * (len(columns) - 1) for columns in widths)


def _rich_table(table: TextTable, widths: list[int], gap: int) -> Table:
    rich_table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap - 1, 0, 0)
    )
    for header, width in zip(table.headers, widths, strict=True):
        is_number = table.is_number(header)
        rich_table.add_column(
            Text(header),
            justify="right" if is_number else "left",
            overflow="fold",
            min_width=width if is_number else None,
        )
    for row, following in zip(table.rows, (*table.rows[1:], None), strict=True):
        rich_table.add_row(
            *(_rich_text(header, text) for header, text in zip(table.headers, row, strict=True)),
            end_section=following is not None and table.group(row) != table.group(following),
        )
    return rich_table


def _rich_text(header: str, text: str) -> Text:
    """Return a table's text with a colour for its meaning; markup in it is not interpreted."""
    if text in NO_RESULTS:
        return Text(text, style="yellow" if header == "test AUROC" else "dim")
    if header == "test AUROC":
        return Text(text, style="bold")
    is_warning = header in ("diverged", "div", "failed", "fail") and text != "0"
    return Text(text, style="red" if is_warning else "")


def _rich_note(line: str) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=1)
    grid.add_column(overflow="fold")
    grid.add_row(Text("•", style="dim"), Text(plain(line)))
    return grid


def markdown(shown: Leaderboard | Page) -> str:
    """Return every table and the notes as GitHub's Markdown."""
    page = as_page(shown)
    lines = [f"## {_markdown_text(page.title)}", ""]
    if not page.tables:
        return "\n".join([*lines, *map(_markdown_text, page.notes), ""])
    for layouts in page.tables:
        for table in layouts[0]:
            if table.title:
                lines += [f"### {_markdown_text(table.title)}", ""]
            lines += [*_markdown_table(table), ""]
    lines += [f"- {_markdown_text(line)}" for line in page.notes]
    return "\n".join([*lines, ""])


def _markdown_table(table: TextTable) -> Iterator[str]:
    rules = ("--:" if table.is_number(header) else ":--" for header in table.headers)
    yield _markdown_row(table.headers)
    yield f"| {' | '.join(rules)} |"
    for row in table.rows:
        yield _markdown_row(row)


def _markdown_row(texts: Iterable[str]) -> str:
    return f"| {' | '.join(map(_markdown_text, texts))} |"


def _markdown_text(text: str) -> str:
    """Return text that Markdown shows unchanged, without HTML, mathematics or mentions."""
    entities = html.escape(plain(text), quote=False).replace("@", "&#64;")
    return re.sub(r"([\\`*_\[\]|~$])", r"\\\1", entities)
