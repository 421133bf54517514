"""Loading a study from its file."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from agad.config import STUDY_MODULE, Study
from agad.errors import ConfigError, located


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
            f"{located(error, path)} ends the program; put main(STUDY) under "
            "if __name__ == '__main__'."
        ) from error
    except Exception as error:
        raise ConfigError(located(error, path)) from error
    study = getattr(module, "STUDY", None)
    if not isinstance(study, Study):
        raise ConfigError(f"{path} defines no study; give it a line STUDY = Study(...).")
    return study
