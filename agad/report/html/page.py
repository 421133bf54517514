"""One HTML file of studies, comparisons and published values, with its own style and script."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from agad.report.figures import Figure, javascript
from agad.report.html.embedding import code, escaped, packaged, policy
from agad.report.html.facts import made_by, totals
from agad.report.html.tables import facts_html, figure_html, table_html
from agad.report.numbers.leaderboard import Leaderboard
from agad.report.pages.notes import explanations
from agad.report.pages.page import Page
from agad.report.pages.render import as_page
from agad.report.pages.rounding import count_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A study, a comparison, or a block of published values."""

    shown: Leaderboard | Page
    figures: Sequence[Figure] = ()


def html_page(
    sections: Sequence[Section], *, made_at: datetime, reload_s: float | None = None
) -> str:
    """Return a page that loads nothing. Its tables and texts need no script.

    Args:
        sections: The sections in the order of the page.
        made_at: The time that the page shows at its top, with a time zone.
        reload_s: Seconds after which an open page loads itself again, until its reader pauses the
            reloading; None for a page that never does.

    Raises:
        ConfigError: There are figures, but the package that brings their script is not installed.
    """
    pages = [as_page(one.shown) for one in sections]
    title = pages[0].title if len(pages) == 1 else "Report"
    has_figures = any(one.figures for one in sections)
    script = "\n".join([*([javascript()] if has_figures else []), packaged("script.js")])
    style = packaged("style.css")
    body = "".join(
        "".join(_section(one, page, f"s{number}", has_title=len(pages) > 1))
        for number, (one, page) in enumerate(zip(sections, pages, strict=True))
    )
    watch = f' data-reload="{reload_s:g}"' if reload_s else ""
    refresh = (
        f'<noscript><meta http-equiv="refresh" content="{reload_s:.0f}"></noscript>\n'
        if reload_s
        else ""
    )
    return f"""<!doctype html>
<html lang="en"{watch}>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy(script, style)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
{refresh}<title>{escaped(title)} - agad report</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the results</a>
<header>
<div><h1>{escaped(title)}</h1><p class="made">{_made_text(made_at, reload_s)}</p></div>
<div class="tools"></div>
</header>
{_contents(pages)}<main id="main" tabindex="-1">
{body}</main>
{code(script)}
</body>
</html>
"""


def _made_text(made_at: datetime, reload_s: float | None) -> str:
    moment = f"{made_at:%Y-%m-%d %H:%M:%S %Z}"
    made = f'Made <time datetime="{made_at.isoformat()}">{moment}</time>'
    if not reload_s:
        return f"{made}."
    return f"{made}, while the study was running; loads itself anew every {reload_s:g} s."


def _contents(pages: Sequence[Page]) -> str:
    if len(pages) < 2:
        return ""
    links = "".join(
        f'<li><a href="#s{number}">{escaped(page.title)}</a></li>'
        for number, page in enumerate(pages)
    )
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n'


def _section(section: Section, page: Page, name: str, *, has_title: bool) -> Iterator[str]:
    """Yield the parts of a section. Their ids start with the section's name."""
    board = section.shown if isinstance(section.shown, Leaderboard) else None
    label = page.title if has_title else "Results"
    yield f'<section id="{name}" aria-labelledby="{name}-title">\n'
    yield f'<h2 id="{name}-title">{escaped(label)}</h2>\n'
    if board is None or not board.has_rows:
        yield from _tables(page, name)
        yield _notes(page.notes)
    else:
        yield facts_html(totals(board), "facts")
        yield "<h3>Leaderboard</h3>\n"
        yield from _tables(page, name)
        if section.figures:
            yield f"<h3>{count_text(len(section.figures), 'figure').capitalize()}</h3>\n"
            for figure in section.figures:
                yield figure_html(figure, f"{name}-{figure.name}")
        yield "<h3>What the numbers mean</h3>\n"
        yield _notes(explanations(board))
        yield "<h3>What made them</h3>\n"
        yield facts_html(made_by(board), "made-by")
    yield "</section>\n"


def _tables(page: Page, name: str) -> Iterator[str]:
    """Yield each table in its widest layout, which scrolls in a box."""
    tables = [table for layouts in page.tables for table in layouts[0]]
    for number, table in enumerate(tables):
        yield table_html(table, f"{name}-t{number}")


def _notes(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escaped(line)}</li>' for line in lines)}</ul>\n"
