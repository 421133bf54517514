"""The two entry points: the console script and the last line of a study file."""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from agad.cli import (
    cluster,
    dashboard,
    datasets,
    detectors,
    diagnose,
    doctor,
    drain,
    export,
    jobs,
    reports,
    score,
    store,
    studies,
    watch,
)
from agad.cli.codes import BAD_INPUT, INTERRUPTED, NO_READER, OTHER_DRIVER
from agad.cli.flags import add_price_flags, add_run_flags, add_store_flag, add_trial_flags, parsed
from agad.cli.screen import replace_what_cannot_be_shown
from agad.cli.studyfile import load_study
from agad.config import Study
from agad.errors import AgadError, OtherDriverError
from agad.report import plain

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def entry() -> NoReturn:
    """Run the console script ``agad``."""
    replace_what_cannot_be_shown()
    sys.exit(_guarded(lambda: _command(sys.argv[1:])))


def main(study: Study) -> NoReturn:
    """Run a study from the last line of its file, as ``agad run FILE`` does."""
    replace_what_cannot_be_shown()
    parser = argparse.ArgumentParser(
        description=f"Run the study {study.name}, or go on with it.", allow_abbrev=False
    )
    add_run_flags(parser)
    arguments = parsed(parser)
    sys.exit(_guarded(lambda: studies.run(study, arguments)))


def _guarded(command: Callable[[], int]) -> int:
    """Turn a deliberate error into one line and an exit code: 3 for another driver, else 2."""
    # Ray sends SIGTERM to a job that is stopped: the job then ends as after Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = command()
        sys.stdout.flush()
        return code
    except AgadError as error:
        print(f"agad: {plain(str(error))}", file=sys.stderr)
        return OTHER_DRIVER if isinstance(error, OtherDriverError) else BAD_INPUT
    except BrokenPipeError:
        # The reader has ended, as in `agad report | head -1`. Python would complain at its own end.
        _discard_output()
        return NO_READER
    except OSError as error:
        if not _is_of_output(error):
            raise
        _discard_output()
        print(f"agad: the output cannot be written ({error.strerror}).", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("agad: interrupted; run the same command again to go on.", file=sys.stderr)
        return INTERRUPTED


def _is_of_output(error: OSError) -> bool:
    """Whether standard output is what fails: a failure of any other file has been named."""
    return error.filename is None and error.errno in _FULL


def _discard_output() -> None:
    with contextlib.suppress(io.UnsupportedOperation):  # A stream that is no file, as in an editor.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    # Ray signals a job's supervisor and its driver, so the driver gets the signal twice.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="agad", description="Studies of image anomaly detectors.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run a study file, or go on with it", allow_abbrev=False)
    run.add_argument("file", type=Path, metavar="FILE", help="Python file that defines STUDY")
    add_run_flags(run)
    run.set_defaults(do=lambda found: studies.run(load_study(found.file), found))

    plan = commands.add_parser(
        "plan", help="say what a study will take, before anything runs", allow_abbrev=False
    )
    plan.add_argument("file", type=Path, metavar="FILE", help="Python file that defines STUDY")
    add_store_flag(plan)
    add_trial_flags(plan)
    add_price_flags(plan)
    plan.add_argument(
        "--measure",
        action="store_true",
        help="train a few steps here, of the cells of whose kind the store has no trial",
    )
    plan.set_defaults(do=lambda found: studies.plan(load_study(found.file), found))

    jobs.add_commands(commands)
    drain.add_commands(commands)
    doctor.add_commands(commands)

    watching = commands.add_parser("watch", help="show from its store how far a study is")
    watch.add_watch_flags(watching)
    watching.set_defaults(do=watch.watch)

    report = commands.add_parser("report", help="print leaderboards, compare studies")
    reports.add_report_flags(report)
    report.set_defaults(do=reports.report)

    shown = commands.add_parser("dashboard", help="show searches in Optuna's dashboard")
    dashboard.add_dashboard_flags(shown)
    shown.set_defaults(do=dashboard.dashboard)

    export.add_command(commands)
    score.add_command(commands)
    diagnose.add_command(commands)

    detectors.add_command(commands)

    data = commands.add_parser("data", help="import, fetch, list and show data sets")
    datasets.add_commands(data)

    tables = commands.add_parser("store", help="compact, verify, list and describe tables")
    store.add_commands(tables)

    machines = commands.add_parser("cluster", help="check what a cluster is made from")
    cluster.add_commands(machines)

    found = parsed(parser, arguments)
    code: int = found.do(found)
    return code
