"""The configuration of a study: frozen values, checked when they are built."""

from agad.config.branches import Axis, active_axis, all_axes, draw
from agad.config.budget import Budget
from agad.config.candidate import Candidate
from agad.config.cell import (
    Cell,
    ClassGiven,
    LabelledClasses,
    labelled_text,
    method_label,
    variant_label,
)
from agad.config.checks import corner_detectors
from agad.config.confirm import Confirm
from agad.config.contest import StoredDetector, stored_axes, stored_detectors, supervision_of
from agad.config.counts import (
    MAX_COUNT,
    MAX_INT64,
    check_count,
    count_text,
    is_finite_number,
    shown_number,
)
from agad.config.detector import (
    TRAIN,
    BatchPlan,
    DetectorConfig,
    DetectorDefaults,
    InputSpec,
    Labels,
    Scaling,
    Stage,
    Supervision,
    parameters_of,
    with_parameters,
)
from agad.config.grid import Grid
from agad.config.parameter_docs import parameter_docs
from agad.config.registry import (
    GROUP,
    STUDY_MODULE,
    Registered,
    check_class,
    detector_class,
    detector_versions,
    import_class,
    known_names,
    registered,
    remember_class,
)
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
    searches,
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
from agad.config.study import Entry, Study
from agad.config.typed_json import typed
