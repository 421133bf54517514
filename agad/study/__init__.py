"""The study engine: search and early stopping by cell, on Ray."""

from agad.study.board import StudyBoard
from agad.study.cell_data import find_materials
from agad.study.confirmed import specs_of_rows
from agad.study.epoch_time import MeasuredPaces, Pace, Paces, PastStudy, StoredPaces
from agad.study.plan import CellPlan, Spent, StudyPlan, plan_study
from agad.study.publishing import Publisher
from agad.study.running import Launch, Progress, RowMaker

__all__ = [
    "CellPlan",
    "Launch",
    "MeasuredPaces",
    "Pace",
    "Paces",
    "PastStudy",
    "Progress",
    "Publisher",
    "RowMaker",
    "Spent",
    "StoredPaces",
    "StudyBoard",
    "StudyPlan",
    "find_materials",
    "plan_study",
    "specs_of_rows",
]
