"""The study inside one Ray Tune experiment: a searcher and a scheduler that route by cell."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ray import cloudpickle, tune
from ray.exceptions import RayActorError, RayTaskError
from ray.tune import TuneError
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from agad.errors import GpuMemoryError, PreemptedError
from agad.executor.tune.cluster_options import Slots
from agad.executor.tune.memory_kill import memory_kills_as_deaths
from agad.executor.tune.packing import Packing
from agad.executor.tune.refusal import is_no_refusal, refusal_of
from agad.executor.tune.tune_memory import forget_ended, no_progress, stop_workers
from agad.executor.tune.worker import Objective, Order, TrainTrial
from agad.study import Launch, StudyBoard

_ENVIRONMENT = {
    # Rows and the live view are this project's own: Tune writes no CSV, JSON or TensorBoard.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Nothing of Tune's state is ever restored, so its snapshots are as rare as can be.
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
    # The caller handles Ctrl-C: Tune would swallow it and advise Tuner.restore.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # If a node is taken away, the board restarts its trial: Tune would restart it too.
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",
    # Ray would show the traceback of a result that nobody reads: a trial's, as the study ends.
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
    # The older of Tune's two consoles is silent at verbosity 0.
    "RAY_AIR_NEW_OUTPUT": "0",
}

_MAX_LABEL_BYTES = 150
"""The most bytes of a cell's label in the name of a trial's folder. File systems allow 255 bytes
for the whole name."""


def fit(
    board: StudyBoard,
    slots: Slots,
    train: TrainTrial,
    after_event: Callable[[], None],
    *,
    callbacks: Sequence[tune.Callback] = (),
) -> None:
    """Run trials until the board is done.

    Workers are reused in one experiment: a new worker imports torch for a second or more.

    Args:
        board: Hands out trials and decides on them.
        slots: Number and resources of trials at once; ``Packing`` decides the shares of a GPU.
        train: Trains one trial on a worker.
        after_event: Called after every launch, start, result and end.
        callbacks: Ray's callbacks, which see each trial after the board.

    Raises:
        ConfigError, DataError: A worker raised this error, so that the study ends at the first.
        AgadError: The board raised this error.
    """
    os.environ.update(_ENVIRONMENT)
    # Tune warns about every trial whose CSV or JSON it does not find.
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    logging.getLogger("ray.tune.execution.tune_controller").addFilter(is_no_refusal)

    packing = Packing(slots, board.past)

    def order(launch: Launch) -> Order:
        runtime = packing.runtime(launch.spec)
        packing.start(launch, runtime)
        return Order(
            launch=launch,
            runtime=runtime,
            train=train,
            scheduler=board.scheduler_of(launch.spec),
        )

    first_error = FirstError()
    scheduler = BoardScheduler(board, packing, after_event, first_error)
    with tempfile.TemporaryDirectory(prefix="agad-tune-") as folder:
        tuner = tune.Tuner(
            Objective,
            tune_config=tune.TuneConfig(
                search_alg=BoardSearcher(board, packing, order, first_error),
                scheduler=scheduler,
                num_samples=-1,
                max_concurrent_trials=slots.num,
                reuse_actors=True,
                trial_name_creator=trial_name,
                trial_dirname_creator=trial_name,
            ),
            run_config=tune.RunConfig(
                storage_path=folder,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                callbacks=[*no_progress(), Starts(board, after_event, first_error), *callbacks],
                verbose=0,
            ),
        )
        try:
            with memory_kills_as_deaths():
                tuner.fit()
        except TuneError as error:
            raise first_error.error or error from None
        finally:
            scheduler.stop_workers()


def _launch(trial: Trial) -> Launch:
    order: Order = trial.config["order"]
    return order.launch


def _error_of(trial: Trial) -> BaseException | None:
    """Return the exception that Tune, in this process, has just written into its own folder."""
    path = trial.pickled_error_file
    error: BaseException | None = None
    if path is not None:
        error = cloudpickle.loads(Path(path).read_bytes())
    return error


def trial_name(trial: Trial) -> str:
    """Return a trial's name in Ray's dashboard and of its folder, from its cell and number."""
    launch = _launch(trial)
    spec = launch.spec
    label = spec.cell.label.encode()
    if len(label) > _MAX_LABEL_BYTES:
        label = label[:_MAX_LABEL_BYTES] + f"... {spec.key[:8]}".encode()
    words = [*label.decode(errors="ignore").split(), spec.phase, str(spec.number)]
    if spec.is_candidate:
        words.append(spec.key[:8])  # Every candidate has a trial of this number.
    return "-".join([*words, f"attempt={launch.attempt}"]).replace("/", "_")


class FirstError:
    """Keeps the first exception of all calls from Tune, as a context manager around each call.

    Tune itself would wrap the exception, or take it for the exception of a trial.
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __enter__(self) -> None:
        if self.error is not None:
            raise self.error

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self.error = self.error or error


class Starts(tune.Callback):
    """Tell the board which of its launches have reached a worker."""

    def __init__(
        self, board: StudyBoard, after_event: Callable[[], None], first_error: FirstError
    ) -> None:
        self._board = board
        self._after_event = after_event
        self._first_error = first_error

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
        """A worker has the trial."""
        with self._first_error:
            self._board.start(_launch(trial).spec.key)
            self._after_event()


class BoardSearcher(Searcher):
    """Ask the board for the next trial."""

    def __init__(
        self,
        board: StudyBoard,
        packing: Packing,
        order: Callable[[Launch], Order],
        first_error: FirstError,
    ) -> None:
        super().__init__()
        self._board = board
        self._packing = packing
        self._order = order
        self._first_error = first_error

    def suggest(self, trial_id: str) -> Any:  # noqa: ANN401, ARG002  Ray's own signature.
        """Return the next trial's configuration, None to wait, or ``Searcher.FINISHED``."""
        with self._first_error:
            packing = self._packing
            launch = self._board.launch(packing.fits) if packing.has_room else None
            if launch is not None:
                return {"order": self._order(launch)}
            return Searcher.FINISHED if self._board.is_done else None

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Do nothing: the scheduler tells the board, since it sees the error's text."""

    def __getstate__(self) -> dict[str, Any]:
        """Put nothing into Tune's pickle of its experiment: no state of Tune is ever restored."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: no state of Tune's is ever restored."""

    def restore(self, checkpoint_path: str) -> None:
        """Read nothing: no state of Tune's is ever restored."""


class BoardScheduler(FIFOScheduler):
    """Bring each trial's results to the board and its decision back."""

    def __init__(
        self,
        board: StudyBoard,
        packing: Packing,
        after_event: Callable[[], None],
        first_error: FirstError,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._board = board
        self._packing = packing
        self._after_event = after_event
        self._first_error = first_error
        self._controller: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Put nothing into Tune's pickle of its experiment: no state of Tune is ever restored."""
        return {}

    def stop_workers(self) -> None:
        """End the experiment's workers, if Tune has not: a Ctrl-C leaves all of them running."""
        if self._controller is not None:
            stop_workers(self._controller)
            self._controller = None

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:  # noqa: ANN401, ARG002
        """A trial was launched."""
        self._controller = tune_controller
        with self._first_error:
            self._after_event()

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:  # noqa: ANN401, ARG002
        """Stop the trial or let it go on."""
        with self._first_error:
            launch = _launch(trial)
            self._packing.learn(launch, result["progress"])
            goes_on = self._board.report(launch.spec.key, result["progress"])
            self._after_event()
            return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:  # noqa: ANN401
        """The trial finished, was stopped, or diverged."""
        with self._first_error:
            forget_ended(tune_controller)
            launch = _launch(trial)
            self._packing.learn(launch, result["progress"])
            self._packing.end(launch)
            self._board.end(launch.spec.key, result["progress"])
            self._after_event()

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:  # noqa: ANN401, ARG002
        """The worker or its node crashed or is taken away, or its share of a GPU is too small."""
        text = Path(trial.error_file).read_text() if trial.error_file else "no traceback"
        launch = _launch(trial)
        key = launch.spec.key
        with self._first_error:
            self._packing.end(launch)
            refusal = refusal_of(_error_of(trial))
            if refusal is not None or self._is_no_failure(trial):
                self._board.give_back(key)
            else:
                self._board.fail(key, text)
            self._after_event()
            if refusal is not None:
                raise refusal

    def _is_no_failure(self, trial: Trial) -> bool:
        error = _error_of(trial)
        if isinstance(error, RayActorError):
            return error.preempted
        cause = error.cause if isinstance(error, RayTaskError) else None
        if isinstance(cause, GpuMemoryError):
            order: Order = trial.config["order"]
            return self._packing.grow(order.launch.spec, order.runtime.gpus)
        return isinstance(cause, PreemptedError)
