"""The study engine: search and early stopping by cell, on Ray."""

from agad.study.confirmed import specs_of_rows
from agad.study.pace import MeasuredPaces, Pace, Paces, PastStudy, StoredPaces
from agad.study.plan import CellPlan, Spent, StudyPlan, plan_study
from agad.study.provenance import Provenance, find_provenance
from agad.study.run import run_study
from agad.study.where import Where

__all__ = [
    "CellPlan",
    "MeasuredPaces",
    "Pace",
    "Paces",
    "PastStudy",
    "Provenance",
    "Spent",
    "StoredPaces",
    "StudyPlan",
    "Where",
    "find_provenance",
    "plan_study",
    "run_study",
    "specs_of_rows",
]
