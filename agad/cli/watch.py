"""The command that shows a study while another process, or another host, runs it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType

from agad.cli.flags import add_store_flag
from agad.cli.screen import live, screen
from agad.errors import ConfigError, StoreError
from agad.reading import chosen_studies, store_uri
from agad.report import seconds_text, watched_line, watched_table

if TYPE_CHECKING:
    from agad.objects import ObjectStore
    from agad.store import StudyReader

NOT_DONE = 1
"""Exit code: the study's driver failed or was interrupted."""

_LOOK_EVERY_S = 5.0

_START_S = 30.0
"""The most seconds from the start of a driver to its first bulletin: the longest start seen."""


def add_watch_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags for the study and for how long it is watched."""
    add_store_flag(parser)
    parser.add_argument(
        "--study", metavar="NAME", help="default: the one of which a driver told last"
    )
    parser.add_argument("--once", action="store_true", help="print how far it is, and end")


def watch(arguments: argparse.Namespace) -> int:
    """Show a study until its driver ends, or once; return the exit code."""
    from agad.objects import open_objects

    objects = open_objects(store_uri(arguments.store))
    news = News(_chosen(objects, arguments.study))
    console = screen()

    def show_table() -> None:
        console.print(
            watched_table(news.bulletin, news.age_s, console.width, height=console.height)
        )

    if not arguments.once:
        if console.is_terminal:
            _watch_table(news, console)
        else:
            _watch_lines(news)
    elif not console.is_terminal:
        print(watched_line(news.bulletin, news.age_s))
    if console.is_terminal:
        show_table()
    is_ended = news.bulletin.state in ("failed", "interrupted")
    return NOT_DONE if is_ended and not arguments.once else 0


def _chosen(objects: ObjectStore, study: str | None) -> StudyReader:
    """Return a reader of the named study, else of the study with the newest bulletin.

    Raises:
        ConfigError: No driver has published a bulletin.
    """
    from agad.store import StudyReader

    readers = [StudyReader(objects, name) for name in chosen_studies(objects, study)]
    told = [(bulletin.at, reader) for reader in readers if (bulletin := reader.bulletin())]
    if not told:
        raise ConfigError(
            f"store {objects.uri} holds no live status of {study or 'any study'}; run it with this "
            "version, then watch it."
        )
    return max(told, key=lambda one: one[0])[1]


class News:
    """The last bulletin of a study, and how old it is."""

    def __init__(self, reader: StudyReader, clock: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._clock = clock
        bulletin = reader.bulletin()
        assert bulletin is not None, "chosen because it has one"
        self.bulletin = bulletin
        told_s = (datetime.now(UTC) - bulletin.at).total_seconds()
        # The driver's clock may be wrong. From the next bulletin on, this host's clock counts.
        self._told_at_s = clock() - max(told_s, 0.0)

    @property
    def age_s(self) -> float:
        """Seconds since the driver published the bulletin."""
        return self._clock() - self._told_at_s

    @property
    def is_over(self) -> bool:
        """Whether the last bulletin says that the driver has ended."""
        return self.bulletin.state != "running"

    def look(self) -> None:
        """Read a newer bulletin, if there is one and the store answers."""
        try:
            newest = self._reader.bulletin()
        except StoreError:
            return
        if newest is not None and newest.at != self.bulletin.at:
            self.bulletin = newest
            self._told_at_s = self._clock()


def _watch_table(news: News, console: Console) -> None:
    def table() -> RenderableType:
        size = {"width": console.width, "height": console.height}
        return watched_table(news.bulletin, news.age_s, **size)

    with live(console, refresh_per_second=1, get_renderable=table):
        is_first = True
        while not news.is_over or _follows_another_driver(news, console.print, is_first=is_first):
            is_first = False
            time.sleep(_LOOK_EVERY_S)
            news.look()


def _watch_lines(news: News) -> None:
    def say(line: str) -> None:
        print(line, flush=True)

    is_first = True
    while True:
        say(watched_line(news.bulletin, news.age_s))
        if news.is_over and not _follows_another_driver(news, say, is_first=is_first):
            return
        is_first = False
        time.sleep(_LOOK_EVERY_S)
        news.look()


def _follows_another_driver(news: News, say: Callable[[str], object], *, is_first: bool) -> bool:
    """Wait for a driver that goes on after the driver that has ended; return whether one came.

    A driver that has just been started imports Ray and reads its data before its first bulletin,
    so the old bulletin alone does not say that nobody works on the study. If the study was
    done while it was watched, nobody is expected.
    """
    if news.bulletin.state == "done" and not is_first:
        return False
    ended_at = news.bulletin.at
    say(
        f"The driver ended {seconds_text(round(news.age_s))} ago; a driver that starts now is "
        f"awaited for {_START_S:.0f} s (Ctrl-C ends this, --once does not wait)."
    )
    until_s = time.monotonic() + _START_S
    while time.monotonic() < until_s:
        time.sleep(min(_LOOK_EVERY_S, 1.0))
        news.look()
        if news.bulletin.at != ended_at:
            return True
    return False
