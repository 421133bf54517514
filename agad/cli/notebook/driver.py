"""The process that a notebook starts: the driver of one study, as ``agad run`` is."""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import threading
from types import FrameType

from agad.cli.studies import run
from agad.errors import AgadError


def main() -> None:
    """Run the study that the caller sends.

    How it ended is written, as JSON, to the open file whose number is the only argument.
    """
    outcome_file = int(sys.argv[1])
    signal.signal(signal.SIGTERM, _interrupt)
    # From the caller's own memory, through a pipe that nobody else writes to.
    study, arguments = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_the_caller, daemon=True).start()
    kind, text = "done", ""
    try:
        run(study, arguments)
    except (KeyboardInterrupt, SystemExit):  # While it connects, Ray turns SIGTERM into an exit.
        kind = "interrupted"
    except AgadError as error:
        kind, text = type(error).__name__, str(error)
    with os.fdopen(outcome_file, "w") as outcome:
        json.dump({"kind": kind, "text": text}, outcome)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # A second one would cut short how it ends.
    raise KeyboardInterrupt


def _end_with_the_caller() -> None:
    """Interrupt this process when the caller has closed its end of the pipe, or is dead."""
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
