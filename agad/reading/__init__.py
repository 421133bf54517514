"""Reading what studies have left, from a command, a script or a notebook."""

from agad.reading.boards import stored_leaderboard, stored_winners
from agad.reading.evidence import stored_evidence
from agad.reading.tables import chosen_studies, read, store_uri

__all__ = [
    "chosen_studies",
    "read",
    "store_uri",
    "stored_evidence",
    "stored_leaderboard",
    "stored_winners",
]
