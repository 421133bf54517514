"""Showing the output of a job: unchanged, or on a terminal with the study's table below it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.text import Text

from agad.cli.screen import live
from agad.errors import AgadError
from agad.report import is_status_line, printable, watched_table

if TYPE_CHECKING:
    from agad.store import StudyReader

_FRESH_S = 60.0
"""The most age of a bulletin whose driver still runs."""


@contextmanager
def showing(store: str, study: str, console: Console) -> Iterator[Callable[[str], None]]:
    """Yield a function that shows a job's output, piece by piece.

    On a terminal, a table from the store replaces the status lines of the study. If this machine
    does not reach the store, the last status line takes the table's place.

    Args:
        store: URI of the study's store.
        study: The study's name.
        console: The console that shows the output.
    """
    if not console.is_terminal:
        yield _write
        return
    reader = _reader(store, study)
    unfinished = ""
    with live(console, auto_refresh=False) as view:

        def show(piece: str) -> None:
            nonlocal unfinished
            *lines, unfinished = (unfinished + piece).split("\n")
            for line in lines:
                if is_status_line(line):
                    view.update(_table(reader, console) or Text(line), refresh=True)
                else:
                    # The terminal breaks a line that is too long, so nothing of it is lost.
                    text = Text(printable(line.rstrip()), no_wrap=True, overflow="ignore")
                    console.print(Group(text), crop=False)

        yield show


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _reader(store: str, study: str) -> StudyReader | None:
    from agad.objects import open_objects
    from agad.store import StudyReader

    try:
        return StudyReader(open_objects(store), study)
    except AgadError:
        return None


def _table(reader: StudyReader | None, console: Console) -> RenderableType | None:
    try:
        bulletin = None if reader is None else reader.bulletin()
    except AgadError:
        return None
    if bulletin is None:
        return None
    age_s = max(0.0, (datetime.now(UTC) - bulletin.at).total_seconds())
    if bulletin.state != "running" or age_s > _FRESH_S:
        return None
    return watched_table(bulletin, age_s, console.width, height=console.height)
