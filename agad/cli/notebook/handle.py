"""A notebook's handle on a study that runs in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import weakref
from typing import IO, TYPE_CHECKING, Any, Literal, cast

import agad.errors
from agad.cli.notebook.view import Shown, as_html
from agad.cli.watch import News
from agad.config import Study
from agad.errors import AgadError, StoreError
from agad.report import plain, watched_line, watched_table

if TYPE_CHECKING:
    from agad.records import DriverState, StudyStatus

_LOOK_EVERY_S = 2.0
_MAX_LOG_BYTES = 20_000
_NUM_LAST_LINES = 5
"""Lines of the log in the error of a process that died without an outcome."""

_WIDTH = 110
"""Characters in a line of the view in a notebook."""


class StudyHandle:
    """Shows, awaits and interrupts a study that ``agad.start`` started."""

    def __init__(
        self,
        study: Study,
        store: str,
        *,
        process: subprocess.Popen[bytes],
        log: IO[bytes],
        outcome: IO[bytes],
    ) -> None:
        """Take over a process.

        Args:
            study: The study that the process runs.
            store: The store that takes the study's rows.
            process: The driver. It ends when its standard input is closed.
            log: An open file with everything that the process prints.
            outcome: An open file to which the process writes its outcome.
        """
        self.study = study
        self.store = store
        self._process = process
        self._log = log
        self._outcome = outcome
        self._last_news: News | None = None
        assert process.stdin is not None
        weakref.finalize(self, _close, process.stdin, log, outcome)

    @property
    def state(self) -> DriverState:
        """``running``, ``done``, ``interrupted`` or ``failed``."""
        if self._process.poll() is None:
            return "running"
        kind, _ = self._ending()
        is_known = kind in ("done", "interrupted")
        return cast(Literal["done", "interrupted"], kind) if is_known else "failed"

    @property
    def log(self) -> str:
        """The last 20 kB that the process printed."""
        first = max(os.fstat(self._log.fileno()).st_size - _MAX_LOG_BYTES, 0)
        return os.pread(self._log.fileno(), _MAX_LOG_BYTES, first).decode(errors="replace")

    def status(self) -> StudyStatus | None:
        """Return the study's status, at most 10 s old; None before there is a status.

        Raises:
            AgadError: The study failed.
        """
        self._raise()
        news = self._news()
        return news.bulletin.status if news else None

    def wait(self, timeout_s: float | None = None) -> DriverState:
        """Wait until the study has ended; return its state, ``running`` if the time is up.

        A KeyboardInterrupt ends the waiting, never the study.

        Args:
            timeout_s: The most seconds to wait; None waits without a limit.

        Raises:
            AgadError: The study failed; its type and text are those of ``agad run``.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        self._raise()
        return self.state

    def watch(self) -> DriverState:
        """Show the study until it has ended; return its state.

        In a notebook, one output changes in place; elsewhere each change is a line. Interrupting
        the cell ends the watching, never the study.

        Raises:
            AgadError: The study failed.
        """
        shown = Shown()
        with contextlib.suppress(KeyboardInterrupt):
            while self.state == "running":
                shown.show(self._line(), self._repr_html_())
                self.wait(_LOOK_EVERY_S)
        shown.show(self._line(), self._repr_html_())
        self._raise()
        return self.state

    def interrupt(self) -> DriverState:
        """Stop the study in good order and wait for its end; ``agad.start`` continues it.

        No row is lost. Running trials will continue from their newest checkpoints.

        Raises:
            AgadError: The study had failed.
        """
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def __repr__(self) -> str:
        return f"<study {self.study.name}: {self._line()}>"

    def _repr_html_(self) -> str:
        news = self._news()
        if news is None or self.state == "failed":
            return as_html(f"Study {self.study.name}: {self._line()}", _WIDTH)
        num_lines = len(news.bulletin.status.cells) * 4 + 20  # Enough for every cell.
        table = watched_table(news.bulletin, news.age_s, _WIDTH, height=num_lines)
        return as_html(table, _WIDTH)

    def _line(self) -> str:
        state = self.state
        if state == "failed":
            return f"failed: {plain(self._ending()[1])}"
        news = self._news()
        if news is None:
            return "starting" if state == "running" else state
        return watched_line(news.bulletin, news.age_s)

    def _news(self) -> News | None:
        """Return the last bulletin of this study's process; None before there is a bulletin.

        A process that had nothing to do leaves the bulletin of the process before it.
        """
        # pyarrow takes a third of a second to import; `import agad` does without it.
        from agad.objects import open_objects
        from agad.store import StudyReader

        if self._last_news is not None:
            self._last_news.look()
            return self._last_news
        with contextlib.suppress(StoreError):
            reader = StudyReader(open_objects(self.store), self.study.name)
            bulletin = reader.bulletin()
            is_over = self._process.poll() is not None
            if bulletin is not None and (is_over or bulletin.pid == self._process.pid):
                self._last_news = News(reader)
        return self._last_news

    def _ending(self) -> tuple[str, str]:
        """Return the kind of ending and the error of a process that has ended."""
        file = self._outcome.fileno()
        text = os.pread(file, os.fstat(file).st_size, 0)
        if text:
            values: dict[str, Any] = json.loads(text)
            return values["kind"], values["text"]
        code = self._process.returncode
        if code == -signal.SIGTERM:
            return "interrupted", ""  # The signal came before the study began.
        last_lines = " | ".join(self.log.strip().splitlines()[-_NUM_LAST_LINES:])
        return "", (
            f"the process of study {self.study.name} ended with code {code}, its last lines: "
            f"{last_lines or 'none'}"
        )

    def _raise(self) -> None:
        """Raise the error that ended the study, with the type that the error had there."""
        if self.state == "failed":
            kind, text = self._ending()
            error: type[AgadError] = getattr(agad.errors, kind) if kind else AgadError
            raise error(text)


def _close(*files: IO[bytes]) -> None:
    for file in files:
        with contextlib.suppress(BrokenPipeError):
            file.close()
