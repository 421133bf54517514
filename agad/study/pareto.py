"""The order of a cell's trials, of one objective or of two."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from agad.config import Setting
from agad.trial import TrialSpec


def best_first(
    ranking: Sequence[Sequence[TrialSpec]],
    work_of: Callable[[Mapping[str, Setting]], int] | None,
) -> list[TrialSpec]:
    """Return trials from the best to the worst, with two objectives the Pareto front before others.

    A trial is of the front where each other one that is as good takes more work. Of equals the one
    of the lowest number comes first: a later driver does not know which came first.

    Args:
        ranking: Trials that tie in their objective stand together, the best first.
        work_of: Returns a configuration's work, of which little is good; None where it is no
            objective.
    """
    ordered = [sorted(tied, key=lambda spec: spec.number) for tied in ranking]
    if work_of is None:
        return [spec for tied in ordered for spec in tied]
    front: list[TrialSpec] = []
    others: list[TrialSpec] = []
    least = float("inf")
    for tied in ordered:
        works = {spec.key: work_of(spec.params) for spec in tied}
        for spec in sorted(tied, key=lambda spec: works[spec.key]):
            (front if works[spec.key] < least else others).append(spec)
            least = min(least, works[spec.key])
    return front + others
