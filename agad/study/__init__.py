"""The study engine: search and early stopping by cell, on Ray."""

from agad.study.plan import CellPlan, StudyPlan, plan_study
from agad.study.run import run_study
from agad.study.where import Where

__all__ = ["CellPlan", "StudyPlan", "Where", "plan_study", "run_study"]
