"""A leaderboard as LaTeX's tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agad.report.numbers.leaderboard import Leaderboard
from agad.report.pages.columns import leaderboard_tables
from agad.report.pages.notes import no_rows_line, notes
from agad.report.pages.page import CONFIGURATION, TextTable
from agad.report.pages.rounding import plain

_MAX_FLOAT_ROWS = 40
"""The most rows of a table on one page; a longer table runs over several pages."""

_HEAD = (
    "% A fragment for \\input: needs \\usepackage{booktabs}, and of tables that run over a page",
    "% \\usepackage{longtable}.",
)

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    **{one: f"\\{one}" for one in "&%$#_{}"},
}


def latex(*boards: Leaderboard) -> str:
    """Return every table and the notes of some studies as a LaTeX fragment.

    Validation scores and configurations are left out: a page has no room for them.
    """
    lines = [*_HEAD]
    for board in boards:
        lines += ["", *_of_board(board)]
    return "\n".join([*lines, ""])


def _of_board(board: Leaderboard) -> Iterator[str]:
    study = f"Study {board.study}" if board.study else "Study"
    if not board.has_rows:
        yield from (r"\begin{flushleft}\footnotesize", _escaped(f"{study}: {no_rows_line(board)}"))
        yield r"\end{flushleft}"
        return
    for layouts in leaderboard_tables(board):
        whole = layouts[0][0]
        for table in whole.grouped() if "data set" in whole.headers else [whole]:
            place = f", {table.title}" if table.title and table is not whole else ""
            caption = f"{study}{place}: {_what(whole)}"
            yield from _table(table.shortened("val AUROC", "objective", CONFIGURATION), caption)
            yield ""
    yield r"\begin{flushleft}\footnotesize"
    for line in notes(board):
        yield rf"{_escaped(line)}\par"
    yield r"\end{flushleft}"


def _what(table: TextTable) -> str:
    """Return the subject of a leaderboard's table."""
    if table.title:
        return table.title
    for header, text in (("class", "by cell"), ("classes", "by ratio"), ("first", "in pairs")):
        if header in table.headers:
            return f"test AUROC {text}"
    return "test AUROC over ratios and data sets"


def _table(table: TextTable, caption: str) -> Iterator[str]:
    columns = "".join("r" if table.is_number(header) else "l" for header in table.headers)
    head = [r"\toprule", _row(table.headers), r"\midrule"]
    body = [_row(row) for row in table.rows]
    title = rf"\caption{{{_escaped(caption)}}}"
    if len(body) > _MAX_FLOAT_ROWS:
        yield r"\begingroup\scriptsize\setlength{\tabcolsep}{3pt}"
        yield rf"\begin{{longtable}}{{{columns}}}"
        yield rf"{title} \\"
        yield from (*head, r"\endfirsthead", *head, r"\endhead", *body, r"\bottomrule")
        yield from (r"\end{longtable}", r"\endgroup")
        return
    yield from (r"\begin{table}[htbp]", r"\centering\scriptsize\setlength{\tabcolsep}{3pt}", title)
    yield rf"\begin{{tabular}}{{{columns}}}"
    yield from (*head, *body, r"\bottomrule", r"\end{tabular}", r"\end{table}")


def _row(texts: Iterable[str]) -> str:
    # LaTeX would read a first text in brackets as the space after the row before.
    return " & ".join(f"{{{_escaped(text)}}}" for text in texts) + r" \\"


def _escaped(text: str) -> str:
    """Return text that LaTeX prints unchanged; a letter that it may lack becomes its number."""
    return "".join(
        _ESCAPES.get(one) or (one if one.isascii() else _number(one)) for one in plain(text)
    )


def _number(character: str) -> str:
    return rf"\texttt{{U+{ord(character):04X}}}"
