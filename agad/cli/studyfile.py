"""Loading a study from its file, and showing what is wrong in the file on one line."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path
from types import TracebackType

from agad.cli.codes import BAD_INPUT
from agad.config import STUDY_MODULE, Study
from agad.errors import AgadError, ConfigError


def load_study(path: Path) -> Study:
    """Return the ``STUDY`` of a Python file.

    Raises:
        ConfigError: The file is missing, fails when it is loaded, or defines no study.
    """
    if path.suffix != ".py" or not path.is_file():
        raise ConfigError(f"{path} is no study file, but must be an existing Python file (.py).")
    spec = importlib.util.spec_from_file_location(STUDY_MODULE, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} cannot be loaded as a Python file.")
    # A study file can import modules beside itself, as a script can.
    sys.path.insert(0, str(path.absolute().parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[STUDY_MODULE] = module
    try:
        spec.loader.exec_module(module)
    except SystemExit as error:
        raise ConfigError(
            f"{_located(error, path)} ends the program; put main(STUDY) under "
            "if __name__ == '__main__'."
        ) from error
    except Exception as error:
        raise ConfigError(_located(error, path)) from error
    study = getattr(module, "STUDY", None)
    if not isinstance(study, Study):
        raise ConfigError(f"{path} defines no study; give it a line STUDY = Study(...).")
    return study


def _located(error: BaseException, path: Path) -> str:
    """Return the error's text with the file and, if known, the line."""
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
        sys.stderr.write(f"agad: {_located(error, Path(script))}\n")
        sys.exit(BAD_INPUT)

    sys.excepthook = hook
