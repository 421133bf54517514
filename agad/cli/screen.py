"""What commands print on: a terminal, or a file or pipe in which no line is wrapped or cut."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any

from rich.console import Console
from rich.live import Live

_NO_END = 100_000
"""Characters of a line where there is no terminal: more than any table has."""


def replace_what_cannot_be_shown() -> None:
    """Have stdout and stderr show ``?`` for a character that their encoding lacks, such as ``±``.

    Without this, a stdout that is not UTF-8 ends a command with UnicodeEncodeError.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def screen() -> Console:
    """Return the console for stdout; without a terminal, its lines have no end."""
    if sys.stdout.isatty():
        return Console()
    # With FORCE_COLOR, rich takes a pipe for a terminal and would draw live tables into it.
    is_coloured = bool(os.environ.get("FORCE_COLOR"))
    return Console(
        width=_NO_END,
        force_terminal=False,
        color_system="standard" if is_coloured else "auto",
    )


@contextmanager
def live(console: Console, **options: Any) -> Iterator[Live]:  # noqa: ANN401  Each as Live takes it.
    """Yield a view that changes in place; the last view stays after an error or Ctrl-C."""
    with Live(console=console, transient=True, **options) as view:
        try:
            yield view
        except BaseException:
            view.transient = False
            raise
