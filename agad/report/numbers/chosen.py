"""Which configuration of a cell counts: the kept winner, else the one with the most test scores."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean

from agad.records import TrialRow, Winner, objective_of


def confirmed_rows(rows: Sequence[TrialRow], winner: Winner | None = None) -> Sequence[TrialRow]:
    """Return the confirm rows of the configuration that counts in a cell.

    A study that was extended may have confirmed a configuration that is no longer its best. The
    kept winner counts as soon as it has a test score. Otherwise the configuration with the most
    test scores counts; among equals the one with the highest mean confirm objective, then the one
    with the lowest trial key. No test score is compared.

    Of several candidates only the winner is tested, in test rows that replace its confirm rows. If
    no configuration has a test score, all confirm rows are returned.

    Args:
        rows: All rows of one cell.
        winner: The winner that the cell keeps for what is planned.
    """
    confirm = confirm_trials(rows)
    by_params = defaultdict(list)
    for row in confirm:
        by_params[_params_of(row)].append(row)

    def rank(rows: Sequence[TrialRow]) -> tuple[int, float, str]:
        scored = [row for row in rows if has_test_score(row)]
        objective = mean_of_known(map(objective_of, scored))
        lowest_key = min(row.trial_key for row in rows)
        return (-len(scored), -objective if objective is not None else math.inf, lowest_key)

    if not any(map(has_test_score, confirm)):
        return confirm
    if winner is not None:
        of_winner = by_params.get(json.dumps(winner.params, sort_keys=True), [])
        if any(map(has_test_score, of_winner)):
            return of_winner
    return min(by_params.values(), key=rank)


def has_test_score(row: TrialRow) -> bool:
    """Whether a trial finished with a test score."""
    return row.state == "finished" and row.test_auroc is not None


def confirm_trials(rows: Sequence[TrialRow]) -> list[TrialRow]:
    """Return one row for each configuration and seed: the test row, else the confirm row."""
    found: dict[tuple[str, tuple[int, ...]], TrialRow] = {}
    for phase in ("test", "confirm"):
        for row in rows:
            if row.phase == phase:
                found.setdefault((_params_of(row), row.seeds), row)
    return list(found.values())


def num_candidates(rows: Sequence[TrialRow]) -> int:
    """Count the configurations that the confirm phase chose from; 1 if it had no choice."""
    if all(row.phase != "test" for row in rows):
        return 1
    return len({_params_of(row) for row in rows if row.phase == "confirm"})


def mean_of_known(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are not None; None if there are none."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _params_of(row: TrialRow) -> str:
    return json.dumps(json.loads(row.params), sort_keys=True)
