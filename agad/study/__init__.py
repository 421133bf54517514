"""The study engine: what starts next, what stops, what is written. Nothing imports Ray or torch."""

from agad.study.board import StudyBoard
from agad.study.cell_data import find_cell_data, kept_config, specs_of_rows
from agad.study.epoch_time import (
    EpochTime,
    EpochTimes,
    MeasuredEpochTimes,
    PastStudy,
    StoredEpochTimes,
)
from agad.study.feature_time import FeatureTime, feature_time
from agad.study.plan import CellPlan, DetectorPlan, StudyPlan, WorkerTime, plan_study
from agad.study.publishing import Publisher
from agad.study.row_maker import RowMaker
from agad.study.running import Launch, Progress
