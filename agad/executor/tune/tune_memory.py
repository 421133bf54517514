"""Drop what Tune keeps for nobody: ended trials, and the workers of an interrupted study.

This is a separate module because it uses private parts of Ray Tune.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ray
from ray import tune

from agad.executor.private_ray import stepping_aside

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController


def forget_ended(controller: TuneController) -> None:
    """Drop the trials that ended and have given their worker back.

    Tune keeps each trial with its last result and all its metrics, about 25 KB. To start a
    trial, Tune looks through all of them. At its own end, Tune pickles each trial and looks for its
    files. The board has all that a study needs of ended trials.
    """
    with stepping_aside("the driver's memory grows by about 25 KB with each trial"):
        busy = controller._trial_to_actor
        for ended in (controller._stopped_trials, controller._failed_trials):
            gone = {trial for trial in ended if trial not in busy}
            if gone:
                ended -= gone
                controller._live_trials -= gone
                controller._trials_to_cache -= gone
                controller._trials[:] = [one for one in controller._trials if one not in gone]


def stop_workers(controller: TuneController) -> None:
    """Kill the workers that an experiment still has, and give their slots back.

    Tune lets go of its workers at its end and after an ``Exception``, but not after a
    ``KeyboardInterrupt``. They would keep their slots until Python collects the experiment, and a
    study that is started again in the same session would wait for those slots for ever.
    """
    if ray.is_initialized():
        with stepping_aside("an interrupted study may keep its slots until Python ends"):
            controller._actor_manager.cleanup()  # type: ignore[no-untyped-call]


def no_progress() -> list[tune.Callback]:
    """Return what replaces Tune's own callback, which prints nothing but keeps every trial."""
    with stepping_aside("the driver's memory grows by about 98 KB with each trial"):
        from ray.tune.progress_reporter import TrialProgressCallback

        class NoProgress(TrialProgressCallback):
            def on_trial_result(self, *_: object, **__: object) -> None:
                """Keep nothing."""

            def on_trial_error(self, *_: object, **__: object) -> None:
                """Keep nothing."""

            def on_trial_complete(self, *_: object, **__: object) -> None:
                """Keep nothing."""

        return [NoProgress()]
    return []
