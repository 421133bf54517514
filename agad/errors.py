"""Every exception that agad raises on purpose, and how a script that ends at one shows it."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

BAD_INPUT = 2
"""The exit code of a command or a script that was given something wrong."""


class AgadError(Exception):
    """Base of all deliberate errors: its text is one complete line for the user."""


class ConfigError(AgadError, ValueError):
    """A value that the user gave is not allowed."""


class DataError(AgadError, ValueError):
    """A data file is missing, truncated, or not what its name says."""


class StoreError(AgadError, OSError):
    """The store cannot be reached, or does not keep what it promises."""


class OtherDriverError(AgadError, RuntimeError):
    """Another driver works on this study, or has taken it over."""


class StudyChangedError(ConfigError):
    """A study of this name is stored already and was another one."""


class TrialsFailingError(AgadError, RuntimeError):
    """One trial after another crashes: something is wrong with the workers, not with a trial."""


class TrialDivergedError(AgadError, ArithmeticError):
    """A loss or a score is not finite: the trial's result, not a crash."""


class CheckpointError(AgadError, ValueError):
    """A checkpoint is missing, damaged, or of another trial."""


class GpuMemoryError(AgadError, MemoryError):
    """A trial needs more GPU memory than there is left."""


class PreemptedError(AgadError, RuntimeError):
    """A trial's worker is about to lose its node: the trial goes on elsewhere."""


class ScoreError(AgadError, RuntimeError):
    """A detector's score of an image depends on the images around it."""


class NotInstalledError(AgadError, ImportError):
    """A package that agad needs is not installed in this Python."""

    def __init__(self, package: str) -> None:
        super().__init__(
            f"the Python {sys.executable} has agad, but lacks its package {package}; install agad "
            f"with all its packages there: {sys.executable} -m pip install agad. On a cluster, "
            "this is the Python that runs 'ray start'."
        )


@contextmanager
def naming_missing_package() -> Iterator[None]:
    """Say which package is missing, if an import of a part of agad fails.

    Raises:
        NotInstalledError: A package that agad needs is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "agad":
            raise
        raise NotInstalledError(error.name) from error


def located(error: BaseException, path: Path) -> str:
    """Return the error's text with a Python file and, if known, the line in the file."""
    frames = traceback.extract_tb(error.__traceback__)
    here = path.absolute()
    lines = [frame.lineno for frame in frames if Path(frame.filename).absolute() == here]
    line = error.lineno if isinstance(error, SyntaxError) else (lines[-1] if lines else None)
    kind = "" if isinstance(error, AgadError) else f"{type(error).__name__}: "
    text = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    return f"{path}{f', line {line}' if line else ''}: {kind}{text}"


def show_errors_on_one_line() -> None:
    """Have Python end a script at a deliberate error with one line and exit code 2.

    ``python studies/x.py`` builds its study before it calls ``main``, which could catch errors.
    Every other exception keeps its traceback.
    """
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        script = getattr(sys.modules["__main__"], "__file__", None)
        if not isinstance(error, AgadError) or script is None:
            before(kind, error, trace)
            return
        sys.stderr.write(f"agad: {located(error, Path(script))}\n")
        sys.exit(BAD_INPUT)

    sys.excepthook = hook
