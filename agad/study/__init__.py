"""The study engine: search and early stopping by cell, on Ray."""

from agad.study.pace import MeasuredPaces, Pace, Paces, PastStudy, StoredPaces
from agad.study.plan import CellPlan, Spent, StudyPlan, plan_study
from agad.study.run import run_study
from agad.study.where import Where

__all__ = [
    "CellPlan",
    "MeasuredPaces",
    "Pace",
    "Paces",
    "PastStudy",
    "Spent",
    "StoredPaces",
    "StudyPlan",
    "Where",
    "plan_study",
    "run_study",
]
