"""Experiment trackers by name: Ray's own callbacks, which get flat numbers of our progress."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeAlias, get_args

from ray.tune import Callback
from ray.tune.experiment import Trial

from agad.errors import ConfigError
from agad.study import Launch, Progress, StudyBoard

logger = logging.getLogger(__name__)

Tracker: TypeAlias = Literal["mlflow", "wandb"]

TRACKERS: tuple[Tracker, ...] = get_args(Tracker)

_CHECK = {
    "mlflow": "MLFLOW_TRACKING_URI and that its server answers",
    "wandb": "WANDB_API_KEY, or set WANDB_MODE=offline",
}


def check_trackers(names: Sequence[str]) -> None:
    """Refuse a tracker that is unknown or not installed.

    Raises:
        ConfigError: A tracker is unknown or not installed.
    """
    for name in names:
        if name not in TRACKERS:
            raise ConfigError(f"--log-to is {name!r}, but must be one of: {', '.join(TRACKERS)}.")
        if importlib.util.find_spec(name) is None:
            raise ConfigError(
                f"--log-to is {name}, but the package {name} is not installed; run "
                f"pip install 'agad[{name}]' where the driver runs, or leave it out."
            )


def open_trackers(names: Sequence[Tracker], study: str, board: StudyBoard) -> list[TrackedTrials]:
    """Connect to trackers. A tracker gets a run for each launch of a trial.

    Raises:
        ConfigError: A tracker cannot be used.
    """
    return [TrackedTrials(name, _opened(name, study), board) for name in dict.fromkeys(names)]


def _opened(name: Tracker, study: str) -> Any:  # noqa: ANN401  It takes no Trial of Ray's here.
    # The packages of trackers take seconds to import; other studies need not wait for them.
    from agad.executor.tune.trackers import OPENERS

    try:
        callback = OPENERS[name](study)
        callback.setup()
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001  Whatever a server, a key or a folder makes it raise.
        # The error's text may hold an address with a password.
        raise ConfigError(
            f"--log-to is {name}, which cannot be used ({type(error).__name__}); check "
            f"{_CHECK[name]}."
        ) from None
    return callback


@dataclass(eq=False)
class _Shown:
    """The parts of a trial that Ray's callbacks read."""

    trial_id: str
    name: str
    local_path: str | None
    config: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


class TrackedTrials(Callback):
    """Passes parameters and numbers to Ray's logger callback, and never harms a study."""

    def __init__(self, name: Tracker, callback: Any, board: StudyBoard) -> None:  # noqa: ANN401
        super().__init__()
        self._name = name
        self._callback = callback
        self._board = board
        self._shown: dict[str, _Shown] = {}
        self._is_broken = False

    def __getstate__(self) -> dict[str, Any]:
        """Put nothing into Tune's pickle of its experiment: no state of Tune is ever restored."""
        return {}

    def on_trial_start(
        self,
        iteration: int,  # noqa: ARG002  Ray's own signature.
        trials: list[Trial],  # noqa: ARG002
        trial: Trial,
        **_: object,
    ) -> None:
        """Open a run with the trial's parameters."""
        shown = _Shown(trial.trial_id, str(trial), trial.local_path, _params(_launch(trial)))
        self._shown[trial.trial_id] = shown
        self._try(lambda: self._callback.log_trial_start(shown))

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],  # noqa: ARG002
        trial: Trial,
        result: dict[str, Any],
        **_: object,
    ) -> None:
        """Log the last of the epochs that a worker sent."""
        shown, numbers = self._shown.get(trial.trial_id), _numbers(result["progress"])
        if shown is not None and numbers:
            self._try(lambda: self._callback.log_trial_result(iteration, shown, numbers))

    def on_trial_complete(
        self,
        iteration: int,
        trials: list[Trial],  # noqa: ARG002
        trial: Trial,
        **_: object,
    ) -> None:
        """Close the run of a trial that finished, was stopped, diverged or pauses."""
        self._end(iteration, trial, failed=False)

    def on_trial_error(
        self,
        iteration: int,
        trials: list[Trial],  # noqa: ARG002
        trial: Trial,
        **_: object,
    ) -> None:
        """Close the run of a trial that crashed."""
        self._end(iteration, trial, failed=True)

    def on_experiment_end(self, trials: list[Trial], **_: object) -> None:
        """Let the tracker send what it still holds."""
        self._try(lambda: self._callback.on_experiment_end(trials))

    def close(self) -> None:
        """Close the runs of trials that have not ended when the driver ends."""
        for shown in self._shown.values():
            shown.config["state"] = "interrupted"
            self._try(partial(self._callback.log_trial_start, shown))
            self._try(partial(self._callback.log_trial_end, shown, failed=True))
        self._shown.clear()

    def _end(self, iteration: int, trial: Trial, *, failed: bool) -> None:
        shown = self._shown.pop(trial.trial_id, None)
        if shown is None:
            return
        state = self._board.outcome(_launch(trial).spec)
        shown.config["state"] = state

        def end() -> None:
            # MLflow takes parameters of an open run; W&B takes the parameters of a result.
            self._callback.log_trial_start(shown)
            progress = (trial.last_result or {}).get("progress", Progress())
            last = {"training_iteration": 0, **_numbers(progress), "config": {"state": state}}
            self._callback.log_trial_result(iteration, shown, last)
            self._callback.log_trial_end(shown, failed=failed)

        self._try(end)

    def _try(self, action: Callable[[], object]) -> None:
        if self._is_broken:
            return
        try:
            action()
        except Exception as error:  # noqa: BLE001  A tracker's failure is not the study's.
            self._is_broken = True
            # The error's text may hold an address with a password.
            logger.warning(
                "%s failed (%s), so the rest of this run is not logged to it; the study goes on.",
                self._name,
                type(error).__name__,
            )


def _launch(trial: Trial) -> Launch:
    launch: Launch = trial.config["order"].launch
    return launch


def _params(launch: Launch) -> dict[str, Any]:
    """Return the parameters by which a run is named and compared."""
    spec = launch.spec
    place = {"cell": spec.cell.label, "phase": spec.phase, "number": spec.number}
    return {**place, "attempt": launch.attempt, "seed": spec.seed, **spec.params}


def _numbers(progress: Progress) -> dict[str, Any]:
    """Return the numbers of a worker's last epoch; empty if no epoch ended."""
    if not progress.epochs:
        return {}
    last = progress.epochs[-1]
    numbers = {
        "training_iteration": last.epoch + 1,
        "epochs": last.epoch + 1,
        "objective": last.objective,
        "seconds": progress.seconds,
        "gpu_s": progress.gpu_s,
        **last.losses,
    }
    if last.val_auroc is not None:
        numbers["val_auroc"] = last.val_auroc
    if last.test is not None:
        numbers["test_auroc"] = last.test.auroc
    return numbers
