"""Reading stored studies, from a command, a script or a notebook."""

from agad.reading.boards import (
    stored_diagnostics,
    stored_leaderboard,
    stored_standing,
    stored_winners,
)
from agad.reading.figure_data import stored_figure_data
from agad.reading.notebook import figures, leaderboard
from agad.reading.optuna_studies import stored_searches, to_optuna
from agad.reading.tables import chosen_studies, read, store_uri
