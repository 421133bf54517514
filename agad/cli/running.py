"""The view of a study that this process runs: the steps of its start, then how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from rich.console import Console, RenderableType
from rich.text import Text

from agad.cli.screen import live
from agad.records import StudyStatus
from agad.report import live_table, plain_line, seconds_text

_REFRESHES_PER_S = 2
"""How often a terminal's clock is drawn anew."""

_PLAIN_LINE_EVERY_S = 5.0


class RunView(Protocol):
    """Shows a run of a study."""

    def step(self, text: str) -> None:
        """End the last step of the start, and begin the next, such as ``Starting Ray``."""

    def status(self, status: StudyStatus) -> None:
        """Show how far the study is."""


@contextmanager
def running(console: Console) -> Iterator[RunView]:
    """Yield a view of a run: a live table on a terminal, elsewhere lines."""
    if not console.is_terminal:
        yield _Lines()
        return
    with live(console, refresh_per_second=_REFRESHES_PER_S) as view:
        yield _Table(console, view.update)


class _Steps:
    """The steps of a start. The line of a step is printed when the step ends."""

    def __init__(self) -> None:
        self._step = ""
        self._start_s = 0.0

    def step(self, text: str) -> None:
        """See ``RunView``."""
        self._end_step()
        self._step, self._start_s = text, time.monotonic()

    def _end_step(self) -> None:
        if self._step:
            print(f"{self._step}: {self._seconds}", flush=True)
        self._step = ""

    @property
    def _seconds(self) -> str:
        return seconds_text(time.monotonic() - self._start_s)

    def _is_started(self, status: StudyStatus) -> bool:
        """Whether the start is over: a trial trains, or nothing is left to train."""
        return bool(status.most_running) or all(cell.phase == "done" for cell in status.cells)


class _Lines(_Steps):
    """A line for each step, then a line every few seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._last_s = float("-inf")

    def status(self, status: StudyStatus) -> None:
        """See ``RunView``."""
        if self._is_started(status):
            self._end_step()
        is_done = all(cell.phase == "done" for cell in status.cells)
        if is_done or time.monotonic() - self._last_s >= _PLAIN_LINE_EVERY_S:
            self._last_s = time.monotonic()
            print(plain_line(status), flush=True)


class _Table(_Steps):
    """The running step, then the study's table. Their clocks go on between two statuses."""

    def __init__(self, console: Console, update: Callable[[RenderableType], None]) -> None:
        super().__init__()
        self._console = console
        self._status: StudyStatus | None = None
        self._at_s = 0.0
        """Time of the status."""

        update(self)

    def status(self, status: StudyStatus) -> None:
        """See ``RunView``."""
        if self._is_started(status):
            self._end_step()
        self._status, self._at_s = status, time.monotonic()

    def __rich__(self) -> RenderableType:
        step, status = self._step, self._status
        if step or status is None:
            return Text(f"{step} ... {self._seconds}" if step else "", style="dim")
        elapsed_s = status.elapsed_s + time.monotonic() - self._at_s
        width, height = self._console.size
        return live_table(replace(status, elapsed_s=elapsed_s), width, height=height)
