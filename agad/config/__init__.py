"""What to run: frozen values, checked when they are built."""

from agad.config.branches import Axis, active_axis, all_axes, draw
from agad.config.budget import Budget
from agad.config.cell import Cell, ClassGiven, LabelledClasses, labelled_text, variant_label
from agad.config.counts import check_count
from agad.config.detectors import DETECTORS, Agad, DetectorConfig, with_parameters
from agad.config.grid import Grid
from agad.config.sampler import (
    CmaEs,
    GaussianProcess,
    GridSearch,
    Nsga2,
    QuasiRandom,
    Random,
    Sampler,
    Tpe,
)
from agad.config.scheduler import (
    Asha,
    Median,
    NoStopping,
    Scheduler,
    SuccessiveHalving,
    scheduler_from_json,
)
from agad.config.search import Search
from agad.config.selection import (
    FixedEpoch,
    LabelFree,
    Labelled,
    Selection,
    ranked_apart,
    selection_from_json,
)
from agad.config.space import (
    Choice,
    Distribution,
    Draw,
    Fixed,
    IntUniform,
    LogUniform,
    Setting,
    Uniform,
    When,
)
from agad.config.study import Confirm, Study
from agad.config.typed_json import typed
