"""Starting a study in a process of its own, from a notebook or a script."""

from __future__ import annotations

import argparse
import contextlib
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

from agad.cli.asked import asked_study
from agad.cli.flags import add_run_flags
from agad.cli.notebook.handle import StudyHandle
from agad.cli.studyfile import load_study
from agad.config import Study
from agad.errors import ConfigError
from agad.reading import store_uri

_STARTED: dict[tuple[str, str], StudyHandle] = {}
"""The last handle of each store and study, kept because its study runs on if nobody holds it."""


def start(
    study: Study | str | os.PathLike[str],
    store: str | os.PathLike[str] | None = None,
    *,
    reduced: bool = False,
    **flags: Any,  # noqa: ANN401  Each as its flag takes it.
) -> StudyHandle:
    """Start or continue a study in a process of its own; return at once.

    The process does the same as ``agad run``, with Ray in it. Ctrl-C in the caller, or an
    interrupted cell of a notebook, does not stop the process. If the caller ends or a kernel
    restarts, the process is interrupted in good order, and the same call continues the study. If
    this caller has started the study already and it still runs, its handle is returned.

    Args:
        study: A study, or the path of a study file.
        store: A folder or ``s3://bucket/prefix``; the default is ``$AGAD_STORE``, else
            ``~/.agad/store``.
        reduced: Run the same question at a laptop's budget, as study ``NAME-reduced``.
        flags: The flags of ``agad run``, such as ``max_concurrent_trials=2`` or
            ``log_to=["mlflow"]``.

    Raises:
        ConfigError: There is no study, no such flag, a flag's value is not allowed, or another
            study of this name runs. Errors of data, store or cluster are raised by the handle.
    """
    given = study if isinstance(study, Study) else load_study(Path(os.fspath(study)))
    arguments = _arguments({"store": None if store is None else os.fspath(store)} | flags)
    arguments.reduced = reduced
    wanted = asked_study(given, arguments)
    # The process is given the study as it is asked for.
    arguments.reduced, arguments.dataset, arguments.normal_class = False, None, []
    place = store_uri(arguments.store), wanted.name
    started = _STARTED.get(place)
    if started is not None and started.state == "running":
        if started.study != wanted:
            raise ConfigError(
                f"study {wanted.name} runs already and is another one; interrupt() it, or choose "
                "another name."
            )
        return started
    _STARTED[place] = _start(wanted, arguments)
    return _STARTED[place]


def _start(study: Study, arguments: argparse.Namespace) -> StudyHandle:
    log, outcome = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115  The handle's.
    process = subprocess.Popen(
        [sys.executable, "-m", "agad.cli.notebook.driver", str(outcome.fileno())],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        pass_fds=[outcome.fileno()],
        # Jupyter interrupts and kills all processes of the kernel's group.
        start_new_session=True,
        # The process can import everything that the caller can.
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(str(Path(one).absolute()) for one in sys.path)},
    )
    handle = StudyHandle(
        study, store_uri(arguments.store), process=process, log=log, outcome=outcome
    )
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # The process has ended; the handle says why.
        process.stdin.write(pickle.dumps((study, arguments)))
        process.stdin.flush()  # The pipe stays open: closing it tells the process to end.
    return handle


class _Flags(argparse.ArgumentParser):
    """Raises an error of a flag instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        """Raise the error."""
        raise ConfigError(f"start: {message}.")


def _arguments(flags: dict[str, Any]) -> argparse.Namespace:
    """Return the parsed flags of ``agad run``.

    Raises:
        ConfigError: A flag is unknown, or its value is not allowed.
    """
    parser = _Flags(prog="start", add_help=False, allow_abbrev=False)
    add_run_flags(parser)
    known = sorted({*vars(parser.parse_args([]))} - {"reduced"})
    words = []
    for name, value in flags.items():
        if name not in known:
            raise ConfigError(f"start has no {name!r}, but takes: {', '.join(known)}.")
        for one in value if isinstance(value, list | tuple) else [value]:
            words += _words(name, one, default=parser.get_default(name))
    return parser.parse_args(words)


def _words(name: str, value: object, *, default: object) -> list[str]:
    """Return a flag as a shell would give it; nothing for None and for the default."""
    flag = name.replace("_", "-")
    if value is None or value is default:
        return []
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    return [f"--{flag}={value}"]
