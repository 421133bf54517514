"""Tables of text, lists of facts and figures as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agad.report.figures import Figure, themed
from agad.report.html.embedding import data_script, escaped
from agad.report.pages.page import CONFIGURATION, TextTable
from agad.report.pages.rounding import NO_RESULTS, NONE

Fact = tuple[str, str]
"""A term and its text."""


def table_html(table: TextTable, name: str) -> str:
    """Return a table that scrolls inside its box.

    Args:
        table: Any table of text.
        name: The table's id, of letters, digits and ``-``.
    """
    title = escaped(table.title or table.subject)
    heads = "".join(_head(table, header) for header in table.headers)
    rows = "".join(_row(table, row) for row in table.rows)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="Table: {title}">'
        f'<table id="{name}"><caption>{title}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>\n"
    )


def _head(table: TextTable, header: str) -> str:
    is_choice = not table.is_number(header) and header != CONFIGURATION
    marks = f"{_class_of(table, header)}{' data-choice' if is_choice else ''}"
    return f'<th scope="col"{marks}>{escaped(header)}</th>'


def _row(table: TextTable, row: Sequence[str]) -> str:
    cells = []
    for place, (header, text) in enumerate(zip(table.headers, row, strict=True)):
        classes = _class_of(table, header, _meaning(header, text))
        shown = escaped(text)
        cells.append(
            f'<th scope="row"{classes}>{shown}</th>' if not place else f"<td{classes}>{shown}</td>"
        )
    return f"<tr>{''.join(cells)}</tr>"


def _class_of(table: TextTable, header: str, meaning: str = "") -> str:
    kind = "long" if header == CONFIGURATION else "number" if table.is_number(header) else ""
    names = " ".join(name for name in (kind, meaning) if name)
    return f' class="{names}"' if names else ""


def _meaning(header: str, text: str) -> str:
    """Return the meaning that a cell's colour shows in addition to its text."""
    if text == NONE:
        return "none"
    if text in NO_RESULTS:
        return "open"
    if header == "test AUROC":
        return "result"
    return "warning" if header in ("diverged", "failed") and text != "0" else ""


def facts_html(facts: Iterable[Fact], kind: str) -> str:
    """Return facts as a list with a CSS class."""
    pairs = "".join(
        f"<div><dt>{escaped(term)}</dt><dd>{escaped(text)}</dd></div>" for term, text in facts
    )
    return f'<dl class="{kind}">{pairs}</dl>\n'


def figure_html(figure: Figure, name: str) -> str:
    """Return a figure with its text, which stands until a script draws the figure.

    Args:
        figure: Any figure.
        name: The figure's id, of letters, digits and ``-``.
    """
    table = ""
    if figure.table is not None:
        inner = table_html(figure.table.titled(figure.title), f"{name}-table")
        table = (
            f'<details id="{name}-data"><summary>Numbers of this figure</summary>{inner}</details>'
        )
    return (
        f'<figure id="{name}"><figcaption><h4>{escaped(figure.title)}</h4>'
        f"<p>{escaped(figure.caption)}</p></figcaption>"
        f'<div class="chart" role="group" tabindex="0" aria-label="Chart: {escaped(figure.title)}"'
        f' data-spec="{name}-spec"><p>{escaped(figure.alt)}</p></div>'
        f"{data_script(f'{name}-spec', themed(figure, is_in_page=True))}{table}</figure>\n"
    )
