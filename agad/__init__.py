"""Hyperparameter studies of image anomaly detectors: the names that a study file needs.

Importing this is light: torch and Ray are imported when a study runs.
"""

import sys
from pathlib import Path

from agad.errors import AgadError, NotInstalledError

try:
    from agad.cli import main, show_errors_on_one_line, start
except ModuleNotFoundError as error:
    if error.name is None or error.name.startswith("agad"):
        raise
    _missing = NotInstalledError(error.name)
    # A command says so on one line; "-m" stands there while Python imports the package.
    if Path(sys.argv[0]).name in ("-m", "agad"):
        sys.exit(f"agad: {_missing}")
    raise _missing from error
from agad.config import (
    Asha,
    BatchPlan,
    Budget,
    Candidate,
    Choice,
    CmaEs,
    Confirm,
    DetectorDefaults,
    Fixed,
    FixedEpoch,
    GaussianProcess,
    Grid,
    GridSearch,
    InputSpec,
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
    Stage,
    Study,
    SuccessiveHalving,
    Supervision,
    Tpe,
    Uniform,
    When,
)
from agad.detectors import (
    Agad,
    DeepSvdd,
    IsolationForest,
    Knn,
    KnnProbe,
    Lof,
    Mahalanobis,
    OneClassSvm,
    Pca,
    Probe,
    StepwiseDetector,
)
from agad.reading import figures, leaderboard, read, to_optuna
from agad.version import __version__

show_errors_on_one_line()

__all__ = [
    "Agad",
    "AgadError",
    "Asha",
    "BatchPlan",
    "Budget",
    "Candidate",
    "Choice",
    "CmaEs",
    "Confirm",
    "DeepSvdd",
    "DetectorDefaults",
    "Fixed",
    "FixedEpoch",
    "GaussianProcess",
    "Grid",
    "GridSearch",
    "InputSpec",
    "IntUniform",
    "IsolationForest",
    "Knn",
    "KnnProbe",
    "LabelFree",
    "Labelled",
    "Lof",
    "LogUniform",
    "Mahalanobis",
    "Median",
    "NoStopping",
    "Nsga2",
    "OneClassSvm",
    "Pca",
    "Probe",
    "QuasiRandom",
    "Random",
    "Search",
    "Stage",
    "StepwiseDetector",
    "Study",
    "SuccessiveHalving",
    "Supervision",
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
