"""What to run: frozen values, checked when they are built."""

from agad.config.cell import Cell, LabelledClasses, labelled_text, variant_label
from agad.config.detectors import DETECTORS, Agad, DetectorConfig, with_parameters
from agad.config.grid import Grid
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
    "LabelledClasses",
    "LogUniform",
    "Search",
    "Setting",
    "Study",
    "Uniform",
    "check_count",
    "labelled_text",
    "variant_label",
    "with_parameters",
]
