"""Hyperparameter studies of image anomaly detectors: the names that a study file needs.

Importing this is light: torch and Ray are imported when a study runs.
"""

from agad.cli import main
from agad.config import (
    Agad,
    Asha,
    Choice,
    Confirm,
    Grid,
    Labelled,
    LogUniform,
    Search,
    Study,
    Uniform,
)
from agad.errors import AgadError
from agad.reading import read
from agad.studyfile import show_errors_on_one_line
from agad.version import __version__

show_errors_on_one_line()

__all__ = [
    "Agad",
    "AgadError",
    "Asha",
    "Choice",
    "Confirm",
    "Grid",
    "Labelled",
    "LogUniform",
    "Search",
    "Study",
    "Uniform",
    "__version__",
    "main",
    "read",
]
