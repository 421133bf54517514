"""Writing a report as an HTML page, once or at every change while its studies run."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from agad.cli.files import check_writable, write_file
from agad.errors import ConfigError
from agad.reading import stored_winners
from agad.report import (
    FigureData,
    Leaderboard,
    Page,
    Section,
    check_renderer,
    count_text,
    has_ended,
    html_page,
)
from agad.report import figures as study_figures

if TYPE_CHECKING:
    from agad.store import StudyReader

_EVERY_S = 30.0
_MAX_EVERY_S = 86_400
"""The longest wait between two looks: a day."""
"""Default seconds between two looks at the store."""

Shown: TypeAlias = Sequence[Leaderboard | Page]
Evidences: TypeAlias = Mapping[str, FigureData]
"""The data of each study's figures, by the study's name."""


def add_page_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags for the page's file and for keeping the page up to date."""
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write one HTML file too, with figures"
    )
    parser.add_argument(
        "--watch",
        type=float,
        nargs="?",
        const=_EVERY_S,
        metavar="SECONDS",
        help=f"write --html anew when the rows change, looking every SECONDS ({_EVERY_S:g}), until "
        "the studies have ended; Ctrl-C ends it with exit code 130",
    )


def check_page_flags(arguments: argparse.Namespace, *, is_compared: bool) -> None:
    """Refuse a page that could not be written, before anything is read.

    Raises:
        ConfigError: The flags contradict each other, or the file cannot be written.
        NotInstalledError: The renderer is not installed.
    """
    if arguments.html:
        check_writable(arguments.html)
        check_renderer()
    every_s = arguments.watch
    if every_s is None:
        return
    if not 1 <= every_s <= _MAX_EVERY_S:
        raise ConfigError(
            f"--watch is {every_s:g} s, but must be 1 or more, and at most {_MAX_EVERY_S:,} s."
        )
    if not arguments.html:
        raise ConfigError("--watch is given, but there is no page to write anew; add --html FILE.")
    if is_compared:
        raise ConfigError(
            "--watch is given with a comparison, but follows leaderboards; leave one of them out."
        )


def write_page(
    path: Path, shown: Shown, evidences: Evidences, reload_s: float | None = None
) -> None:
    """Write a page with the figures of its leaderboards, in one piece.

    Args:
        path: The file.
        shown: The leaderboards and pages to write.
        evidences: The data of the leaderboards that have figures.
        reload_s: Seconds as in ``html_page``.

    Raises:
        ConfigError: The file cannot be written.
    """
    sections = [
        Section(shown=one, figures=study_figures(one, evidences[one.study]))
        if isinstance(one, Leaderboard) and one.study in evidences
        else Section(shown=one)
        for one in shown
    ]
    text = html_page(sections, made_at=datetime.now(UTC), reload_s=reload_s)
    write_file(path, text.encode())


def watch_page(
    path: Path,
    readers: Sequence[StudyReader],
    read: Callable[[], tuple[Shown, Evidences]],
    every_s: float,
) -> None:
    """Write a page at every change of its studies' rows, and return when all have ended.

    The caller then writes the last page. If an interrupt or an error ends the watching, the page
    that stays no longer reloads itself.

    Args:
        path: The file.
        readers: Readers of the studies that the page shows, in order of the page.
        read: Reads the page's content from the store, leaderboards first.
        every_s: Seconds between two looks at the store, and between two reloads of an open page.
    """
    seen: list[str] = []
    with _settled(path) as write:
        while True:
            # Taken before the rows are read, so that a row that comes meanwhile is a change.
            now = [reader.stamp() for reader in readers]
            if now != seen:
                shown, evidences = read()
                boards = [one for one in shown if isinstance(one, Leaderboard)]
                if _have_ended(boards, readers):
                    return
                write(shown, evidences, every_s)
                print(_line(path, boards), flush=True)
                seen = now
            time.sleep(every_s)


def _have_ended(boards: Sequence[Leaderboard], readers: Sequence[StudyReader]) -> bool:
    return all(
        has_ended(board, stored_winners(reader))
        for board, reader in zip(boards, readers, strict=True)
    )


@contextmanager
def _settled(path: Path) -> Iterator[Callable[[Shown, Evidences, float], None]]:
    """Yield a function that writes a page; after an error, the page stops reloading itself."""
    last: tuple[Shown, Evidences] | None = None

    def write(shown: Shown, evidences: Evidences, reload_s: float) -> None:
        nonlocal last
        last = shown, evidences
        write_page(path, shown, evidences, reload_s)

    try:
        yield write
    except BaseException:
        if last is not None:
            write_page(path, *last)
        raise


def _line(path: Path, boards: Sequence[Leaderboard]) -> str:
    num_trials = sum(board.totals.num_trials for board in boards)
    num_planned = sum(board.totals.num_trials_planned for board in boards)
    cells = [cell for board in boards for cell in board.cells]
    num_confirmed = sum(cell.test_auroc is not None for cell in cells)
    return (
        f"{datetime.now(UTC):%H:%M:%S} UTC {path}: {num_trials:,} of "
        f"{count_text(num_planned, 'search trial')}, {num_confirmed:,} of "
        f"{count_text(len(cells), 'cell')} confirmed"
    )
