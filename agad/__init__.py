"""Hyperparameter studies of image anomaly detectors: the names that a study file needs.

Importing this is light: torch and Ray are imported when a study runs.
"""

from agad.cli import main, show_errors_on_one_line, start
from agad.config import (
    Agad,
    Asha,
    Budget,
    Choice,
    CmaEs,
    Confirm,
    Fixed,
    FixedEpoch,
    GaussianProcess,
    Grid,
    GridSearch,
    IntUniform,
    LabelFree,
    Labelled,
    LogUniform,
    Median,
    NoStopping,
    Nsga2,
    QuasiRandom,
    Random,
    Search,
    Study,
    SuccessiveHalving,
    Tpe,
    Uniform,
    When,
)
from agad.errors import AgadError
from agad.reading import figures, leaderboard, read, to_optuna
from agad.version import __version__

show_errors_on_one_line()

__all__ = [
    "Agad",
    "AgadError",
    "Asha",
    "Budget",
    "Choice",
    "CmaEs",
    "Confirm",
    "Fixed",
    "FixedEpoch",
    "GaussianProcess",
    "Grid",
    "GridSearch",
    "IntUniform",
    "LabelFree",
    "Labelled",
    "LogUniform",
    "Median",
    "NoStopping",
    "Nsga2",
    "QuasiRandom",
    "Random",
    "Search",
    "Study",
    "SuccessiveHalving",
    "Tpe",
    "Uniform",
    "When",
    "__version__",
    "figures",
    "leaderboard",
    "main",
    "read",
    "start",
    "to_optuna",
]
