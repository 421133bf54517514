"""A study's cell while it runs, as its driver tells of it."""

from __future__ import annotations

from agad.records import CellStatus

CELL = CellStatus(
    label="digits class=0 ratio=0",
    phase="search",
    planned=12,
    running=2,
    paused=0,
    finished=1,
    pruned=3,
    diverged=0,
    failed=0,
    best_objective=0.9,
    confirmed=0,
    confirm_planned=3,
    left_s=120.0,
)
