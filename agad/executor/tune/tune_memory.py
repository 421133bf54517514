"""What Tune would remember of the trials that ended, and nobody reads.

A module of its own, since it changes private parts of Ray Tune.
"""

from __future__ import annotations

from ray.tune.execution.tune_controller import TuneController
from ray.tune.progress_reporter import TrialProgressCallback


def forget_ended(controller: TuneController) -> None:
    """Drop the trials that ended and have given their worker back.

    Tune keeps each trial with its last result and all its metrics, some 25 KB. It looks through all
    of them for a trial to start, and at its end pickles each and looks for its files. The board has
    what a study needs of them.
    """
    busy = controller._trial_to_actor
    for ended in (controller._stopped_trials, controller._failed_trials):
        gone = {trial for trial in ended if trial not in busy}
        if gone:
            ended -= gone
            controller._live_trials -= gone
            controller._trials_to_cache -= gone
            controller._trials[:] = [one for one in controller._trials if one not in gone]


class NoProgress(TrialProgressCallback):
    """Takes the place of Tune's own callback, which prints nothing and keeps every trial."""

    def on_trial_result(self, *_: object, **__: object) -> None:
        """Keep nothing."""

    def on_trial_error(self, *_: object, **__: object) -> None:
        """Keep nothing."""

    def on_trial_complete(self, *_: object, **__: object) -> None:
        """Keep nothing."""
