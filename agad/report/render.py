"""A leaderboard as a terminal's tables, as Markdown and as CSV."""

from __future__ import annotations

import csv as csv_format
import html
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from agad.report.columns import (
    CONFIGURATION,
    TextTable,
    cell_layouts,
    cell_table,
    ratio_layouts,
    ratio_table,
)
from agad.report.notes import no_rows_line, notes
from agad.report.results import CellResult, Leaderboard
from agad.report.rounding import NO_RESULTS, plain


def terminal(board: Leaderboard) -> RenderableType:
    """Return both tables and the notes, laid out for the width they are printed at."""
    return _Terminal(board)


@dataclass(frozen=True, slots=True)
class _Terminal:
    board: Leaderboard

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(_title(self.board), style="bold")
        yield ""
        if not self.board.has_rows:
            yield Text(no_rows_line(self.board))
            return
        width = options.max_width
        cell_tables = _fitting(cell_layouts(self.board), width)
        yield from _rich_tables(cell_tables, width)
        yield from _rich_tables(_fitting(ratio_layouts(self.board), width), width)
        for line in notes(self.board):
            yield _rich_note(line)
        if CONFIGURATION not in cell_tables[0].headers:
            yield _rich_note(
                "The confirmed configurations stand in a wider terminal, in Markdown and in CSV."
            )


def _title(board: Leaderboard) -> str:
    return f"Study {plain(board.study)}" if board.study else "Study"


def _fitting(layouts: list[list[TextTable]], width: int) -> list[TextTable]:
    """Return the widest layout that fits, the narrowest where none does."""
    return next((one for one in layouts if _width(one, gap=2) <= width), layouts[-1])


def _rich_tables(layout: list[TextTable], width: int) -> Iterator[RenderableType]:
    """Yield the tables under their titles, a column equally wide in all of them."""
    gap = 2 if _width(layout, gap=2) <= width else 1
    for table in layout:
        if table.title:
            yield Text(table.title, style="bold cyan", overflow="fold")
        yield _rich_table(table, _column_widths(layout), gap)
        yield ""


def _column_widths(layout: list[TextTable]) -> list[int]:
    return [
        max(cell_len(text) for text in texts)
        for texts in zip(
            layout[0].headers, *(row for table in layout for row in table.rows), strict=True
        )
    ]


def _width(layout: list[TextTable], gap: int) -> int:
    widths = _column_widths(layout)
    return sum(widths) + gap * (len(widths) - 1)


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
            min_width=width,
        )
    for row, following in zip(table.rows, (*table.rows[1:], None), strict=True):
        rich_table.add_row(
            *(_rich_text(header, text) for header, text in zip(table.headers, row, strict=True)),
            end_section=following is not None and table.group(row) != table.group(following),
        )
    return rich_table


def _rich_text(header: str, text: str) -> Text:
    """Return a table's text, never read as markup, with the colour of what it says."""
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


def markdown(board: Leaderboard) -> str:
    """Return both tables and the notes as GitHub's Markdown."""
    lines = [f"## {_markdown_text(_title(board))}", ""]
    if not board.has_rows:
        return "\n".join([*lines, no_rows_line(board), ""])
    for table in (cell_table(board), ratio_table(board)):
        lines += [*_markdown_table(table), ""]
    lines += [f"- {_markdown_text(line)}" for line in notes(board)]
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
    """Return text that Markdown, HTML, mathematics and mentions leave as it is."""
    entities = html.escape(plain(text), quote=False).replace("@", "&#64;")
    return re.sub(r"([\\`*_\[\]|~$])", r"\\\1", entities)


def csv(*boards: Leaderboard) -> str:
    """Return one line a cell of every study at full precision; tuples and parameters are JSON."""
    out = io.StringIO()
    names = [field.name for field in fields(CellResult)]
    writer = csv_format.writer(out, lineterminator="\n")
    writer.writerow(names)
    for cell in (cell for board in boards for cell in board.cells):
        writer.writerow(csv_value(getattr(cell, name)) for name in names)
    return out.getvalue()


def csv_value(value: object) -> object:
    """Return what stands in a CSV file for a value; tuples and dictionaries become JSON."""
    if isinstance(value, tuple | dict):
        value = json.dumps(value, sort_keys=True)
    if isinstance(value, str) and value.lstrip()[:1] in ("=", "+", "-", "@"):
        # A spreadsheet would run it as a formula.
        return f"'{value}"
    return value
