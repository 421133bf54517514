"""The search of one cell: samplers, proposals, rungs and the ladder. The home of Optuna."""

from agad.search.expected import expected_epochs
from agad.search.ladder import Ladder
from agad.search.optuna_trials import (
    MIN_IMPORTANCE_TRIALS,
    EndedSearch,
    EndedTrial,
    dashboard_app,
    importances,
    optuna_studies,
)
from agad.search.rungs import cutoff, rung_table
from agad.search.sampler import CellSampler
