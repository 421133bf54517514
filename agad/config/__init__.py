"""What to run: frozen values, checked when they are built."""

from agad.config.detectors import DETECTORS, Agad, DetectorConfig, with_parameters
from agad.config.grid import Cell, Grid, settings_label
from agad.config.space import Choice, Distribution, LogUniform, Setting, Uniform
from agad.config.study import Asha, Confirm, Labelled, Search, Study, check_count

__all__ = [
    "DETECTORS",
    "Agad",
    "Asha",
    "Cell",
    "Choice",
    "Confirm",
    "DetectorConfig",
    "Distribution",
    "Grid",
    "Labelled",
    "LogUniform",
    "Search",
    "Setting",
    "Study",
    "Uniform",
    "check_count",
    "settings_label",
    "with_parameters",
]
