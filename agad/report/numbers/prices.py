"""What a study cost: its wall time, and its price by the hour or by the GPU-hour."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from agad.records import TrialRow
from agad.report.numbers.leaderboard import Leaderboard
from agad.report.numbers.results import CellResult


def wall_seconds(rows: Iterable[TrialRow]) -> float:
    """Return the seconds during which at least one trial was at work.

    Example: trials from 12:00 to 12:10 and from 12:05 to 12:20 give 20 min; a pause until the next
    day adds nothing.
    """
    seconds, until_s = 0.0, float("-inf")
    for start_s, end_s in sorted(
        (row.started_at.timestamp(), row.ended_at.timestamp()) for row in rows
    ):
        seconds += max(0.0, end_s - max(start_s, until_s))
        until_s = max(until_s, end_s)
    return seconds


def priced(
    board: Leaderboard,
    price_per_gpu_hour: float | None = None,
    price_per_hour: float | None = None,
) -> Leaderboard:
    """Return a leaderboard with the cost of its GPU time or of its wall time.

    Args:
        board: Any leaderboard.
        price_per_gpu_hour: 0 or more, in any currency.
        price_per_hour: The price of all machines together; 0 or more, in any currency. Each cell
            costs its share of the workers' time. Without any price, the leaderboard is unchanged.
    """
    totals = board.totals
    if price_per_hour is not None:
        cost = totals.wall_s * price_per_hour / 3600
        per_worker_s = cost / totals.total_s if totals.total_s else 0.0
        totals = replace(totals, cost=cost, cost_of="wall time")
        return _with_costs(replace(board, totals=totals), worker=per_worker_s)
    if price_per_gpu_hour is not None:
        per_s = price_per_gpu_hour / 3600
        totals = replace(totals, cost=totals.gpu_s * per_s, cost_of="GPU time")
        return _with_costs(replace(board, totals=totals), gpu=per_s)
    return board


def _with_costs(board: Leaderboard, *, worker: float = 0.0, gpu: float = 0.0) -> Leaderboard:
    """Return a leaderboard whose cells cost so much for a worker second and for a GPU second."""

    def costing(cells: Iterable[CellResult]) -> tuple[CellResult, ...]:
        return tuple(replace(one, cost=one.total_s * worker + one.gpu_s * gpu) for one in cells)

    return replace(board, cells=costing(board.cells), searches=costing(board.searches))
