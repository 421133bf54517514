"""The process that a notebook starts. It drives one study, as ``agad run`` does."""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import threading
from types import FrameType

from agad.cli.screen import replace_what_cannot_be_shown
from agad.cli.studies import run
from agad.errors import AgadError


def main() -> None:
    """Run the study that the caller sends.

    The only argument is the number of an open file. The outcome is written there as JSON.
    """
    replace_what_cannot_be_shown()
    outcome_file = int(sys.argv[1])
    signal.signal(signal.SIGTERM, _interrupt)
    # Safe to unpickle: the data come from the caller, through a pipe that nobody else writes to.
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
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # A second signal would cut the ending short.
    raise KeyboardInterrupt


def _end_with_the_caller() -> None:
    """Interrupt this process when the caller closes its end of the pipe or dies."""
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
