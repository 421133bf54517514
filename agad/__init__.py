"""Hyperparameter studies of image anomaly detectors: the names that a study file needs.

Importing this is light, and needs no other package: configurations are plain Python. The names that
run or read a study are imported with their packages when one of the names is first used.
"""

import importlib
from typing import TYPE_CHECKING

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
    PatchKnn,
    PatchPca,
    Pca,
    Probe,
    StepwiseDetector,
)
from agad.errors import AgadError, naming_missing_package, show_errors_on_one_line
from agad.version import __version__

if TYPE_CHECKING:
    from agad.cli import main, start
    from agad.reading import figures, leaderboard, read, to_optuna

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
    "PatchKnn",
    "PatchPca",
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

if not TYPE_CHECKING:  # A type checker would take every name for one of this module.
    _LATER = {
        "figures": "agad.reading",
        "leaderboard": "agad.reading",
        "main": "agad.cli",
        "read": "agad.reading",
        "start": "agad.cli",
        "to_optuna": "agad.reading",
    }

    def __getattr__(name: str) -> object:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        with naming_missing_package():
            found = getattr(importlib.import_module(_LATER[name]), name)
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *_LATER})
