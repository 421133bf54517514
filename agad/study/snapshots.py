"""Tune's snapshots of its experiment, which nobody reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ray.tune.execution.tune_controller import TuneController


@contextmanager
def snapshots_without_trials() -> Iterator[None]:
    """Have Tune write the state of its experiment without that of its trials.

    At its end it writes one whatever it is told, of some 12 KB a trial, each of them pickled and
    kept in memory: 120 MB after 10,000 trials. It wants to find the file again, and reads nothing
    of it.
    """
    before = TuneController._get_trial_checkpoints
    TuneController._get_trial_checkpoints = _no_trials  # type: ignore[method-assign]
    try:
        yield
    finally:
        TuneController._get_trial_checkpoints = before  # type: ignore[method-assign]


def _no_trials(self: TuneController) -> dict[str, str]:  # noqa: ARG001  Its name is Ray's.
    return {}
