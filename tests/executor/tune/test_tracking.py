"""A tracker sees flat parameters, numbers and an end of each trial, and never harms a study."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from ray.tune.logger import LoggerCallback

from agad.config import Study
from agad.errors import ConfigError
from agad.executor.tune.tracking import TrackedTrials, check_trackers
from agad.study.running import Launch, Progress
from agad.trial import EpochResult

if TYPE_CHECKING:
    from tests.simulation import MakeSimulation


class _Recorder(LoggerCallback):
    """A logger of Ray's that notes what it is shown."""

    def __init__(self) -> None:
        self.params: list[dict[str, Any]] = []
        self.results: list[dict[str, Any]] = []
        self.ends: list[bool] = []
        self.error: Exception | None = None

    def log_trial_start(self, trial: Any) -> None:  # noqa: ANN401
        self.params.append(dict(trial.config))

    def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:  # noqa: ANN401, ARG002
        if self.error is not None:
            raise self.error
        self.results.append(result)

    def log_trial_end(self, trial: Any, failed: bool = False) -> None:  # noqa: ANN401, ARG002
        self.ends.append(failed)


def _progress() -> Progress:
    epochs = [
        EpochResult(
            epoch=epoch,
            objective=0.5 + epoch / 10,
            val_auroc=0.5 + epoch / 10,
            train_s=1.0,
            losses={"loss_g": 0.25},
        )
        for epoch in range(3)
    ]
    return Progress(epochs=tuple(epochs), seconds=3.0, gpu_s=1.5)


def _trial(launch: Launch, progress: Progress) -> Any:  # noqa: ANN401
    class Shown(SimpleNamespace):
        def __str__(self) -> str:
            return "its-name"

    order = SimpleNamespace(launch=launch)
    last = {"progress": progress}
    return Shown(trial_id="t0", local_path=None, config={"order": order}, last_result=last)


@pytest.fixture
def recorder() -> _Recorder:
    return _Recorder()


def _run_one(simulation: Any, recorder: _Recorder) -> Launch:  # noqa: ANN401
    """Launch, report and end one trial, each seen by the board first, as Tune does it."""
    board = simulation.board
    launch: Launch = board.launch()
    progress = _progress()
    trial = _trial(launch, progress)
    tracked = TrackedTrials("mlflow", recorder, board)
    tracked.on_trial_start(0, [], trial)
    board.report(launch.spec.key, progress)
    tracked.on_trial_result(0, [], trial, {"progress": progress})
    board.end(launch.spec.key, progress)
    tracked.on_trial_complete(0, [], trial)
    return launch


def test_a_tracker_sees_parameters_numbers_and_the_end(
    study: Study, make_simulation: MakeSimulation, recorder: _Recorder
) -> None:
    simulation = make_simulation(study)
    with simulation.board:
        launch = _run_one(simulation, recorder)
    start, end = recorder.params
    assert start == {
        "cell": "digits class=0 ratio=0",
        "phase": "search",
        "number": 0,
        "attempt": 0,
        "seed": launch.spec.seed,
        **launch.spec.params,
    }
    assert end == start | {"state": "finished"}
    assert recorder.results[0] == {
        "training_iteration": 3,
        "epochs": 3,
        "objective": 0.7,
        "val_auroc": 0.7,
        "seconds": 3.0,
        "gpu_s": 1.5,
        "loss_g": 0.25,
    }
    assert recorder.results[-1]["config"] == {"state": "finished"}
    assert recorder.ends == [False]


def test_a_tracker_that_fails_is_dropped_with_a_warning_without_its_text(
    study: Study,
    make_simulation: MakeSimulation,
    recorder: _Recorder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    recorder.error = OSError("https://user:the-password@host is gone")
    simulation = make_simulation(study)
    with simulation.board, caplog.at_level(logging.WARNING):
        _run_one(simulation, recorder)
    assert "mlflow failed (OSError), so the rest of this run is not logged to it" in caplog.text
    assert "the-password" not in caplog.text
    assert len(caplog.records) == 1
    assert recorder.ends == []


def test_a_trial_that_crashed_and_starts_again_ends_as_again(
    study: Study, make_simulation: MakeSimulation, recorder: _Recorder
) -> None:
    simulation = make_simulation(study)
    with simulation.board as board:
        launch = board.launch()
        assert launch is not None
        trial = _trial(launch, Progress())
        tracked = TrackedTrials("wandb", recorder, board)
        tracked.on_trial_start(0, [], trial)
        board.fail(launch.spec.key, "RuntimeError: no such luck")
        tracked.on_trial_error(0, [], trial)
    assert recorder.params[-1]["state"] == "again"
    assert recorder.ends == [True]


def test_a_trial_that_its_driver_leaves_behind_ends_as_interrupted(
    study: Study, make_simulation: MakeSimulation, recorder: _Recorder
) -> None:
    simulation = make_simulation(study)
    with simulation.board as board:
        launch = board.launch()
        assert launch is not None
        tracked = TrackedTrials("mlflow", recorder, board)
        tracked.on_trial_start(0, [], _trial(launch, Progress()))
        tracked.close()
        tracked.close()
    assert recorder.params[-1]["state"] == "interrupted"
    assert recorder.ends == [True]


def test_an_unknown_tracker_is_refused() -> None:
    with pytest.raises(ConfigError, match="--log-to is 'tensorboard', but must be one of: mlflow"):
        check_trackers(["tensorboard"])


def test_a_tracker_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"mlflow is not installed; run pip install 'agad"):
        check_trackers(["mlflow"])
