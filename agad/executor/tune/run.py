"""Run the rest of a study in one Ray Tune experiment."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from agad.config import Study
from agad.data import Library
from agad.executor.tune.cluster_options import ClusterOptions, Slots, connected
from agad.executor.tune.each_node import check_agad_on_nodes
from agad.executor.tune.metrics import StudyMetrics
from agad.executor.tune.own_detectors import (
    check_importable,
    code_folders,
    detectors_of_packages,
    own_detectors,
)
from agad.executor.tune.preemption import is_node_draining
from agad.executor.tune.tracking import open_trackers
from agad.executor.tune.tuning import fit
from agad.executor.tune.worker import TrainTrial
from agad.objects import open_objects
from agad.records import (
    StudyMemory,
    StudyStatus,
    checkpoints_prefix,
    find_provenance,
    kept_prefix,
    models_prefix,
    pictures_prefix,
)
from agad.study import Publisher, RowMaker, StudyBoard, find_cell_data, kept_config
from agad.trial import CheckpointPlan, KeptPlan, trial_steps

logger = logging.getLogger(__name__)

Watch: TypeAlias = Callable[[StudyStatus], None]
"""Takes the study's status, to show how far the study is."""

Step: TypeAlias = Callable[[str], None]
"""Takes the next step of a start, such as ``Starting Ray``, when the step begins."""

WATCH_EVERY_S = 0.5
"""A status counts every cell, so it is shown no more often than a person can read."""

WATCH_SHARE = 0.02
"""Share of the driver's time that statuses may take. A status of many cells is shown less often."""


def run_study(  # noqa: PLR0913  The last three have defaults.
    study: Study,
    memory: StudyMemory,
    options: ClusterOptions,
    *,
    watch: Watch | None = None,
    step: Step = lambda _: None,
    train: TrainTrial = trial_steps,
) -> None:
    """Run the rest of a study; do nothing if the study is finished.

    Faults of the study, its data or its memory are found before Ray starts. A finished study is not
    held, so this function can look at the study while another driver works on it.

    Args:
        study: What to run.
        memory: Rows of earlier runs, and the place for new rows.
        options: The cluster and the resources of a trial.
        watch: Takes the study's status, at most twice a second, and at the end.
        step: Takes each step of the start.
        train: Trains one trial on a worker; a worker must be able to import it.

    Raises:
        OtherDriverError: Another driver works on this study, or has taken it over.
        AgadError: The study does not fit its data or the cluster, or the memory fails.
        KeyboardInterrupt: Ctrl-C. Rows of ended trials are kept; the same call continues.
    """
    step("Reading the data and the rows of earlier runs")
    objects = open_objects(options.store)
    # The URI is absolute, since workers have other working folders.
    folders = code_folders(own_detectors(study))
    options = replace(options, store=objects.uri, code_folders=folders)
    cell_data = find_cell_data(study, Library(objects), memory.kept())
    config = kept_config(study, cell_data, options.precision)
    rows = RowMaker(study=study.name, provenance=find_provenance(), precision=options.precision)
    memory.flush()
    if memory.is_kept(config) and StudyBoard(study, cell_data, memory, rows).is_done:
        return
    with memory.hold():
        memory.open(config)
        for encoders in {one.encoders for one in cell_data.values()}:
            encoders.put_files()
        # The rows are read again: another driver may have gone on before the hold.
        with Publisher(memory) as publisher, StudyBoard(study, cell_data, memory, rows) as board:
            publisher.show(board.status(slots=0))
            if not board.is_done:
                _run(board, study, options, _all_of(publisher.show, watch), step, train)


def _run(  # noqa: PLR0913  What one call of run_study is given.
    board: StudyBoard,
    study: Study,
    options: ClusterOptions,
    watch: Watch,
    step: Step,
    train: TrainTrial,
) -> None:
    trackers = open_trackers(options.log_to, study.name, board)
    step(f"Joining Ray at {options.address}" if options.address else "Starting Ray")
    with connected(options) as connection, StudyMetrics() as metrics:
        if options.address is not None:  # A Ray that was started here has this driver's Python.
            step("Asking each node for agad")
            check_agad_on_nodes()
            check_importable(detectors_of_packages(study))
        step("Starting the first trial")
        check_importable(own_detectors(study))
        is_node_draining()  # A Ray that cannot say is named here: nobody sees a worker's warning.
        _warn_of_budget(study, connection)
        slots = _keeping(connection, study)
        watch = _all_of(watch, metrics.show)
        show = _rate_limited(watch, board, slots)
        try:
            fit(board, slots, train, show, callbacks=trackers)
        finally:
            for tracker in trackers:
                tracker.close()
        watch(board.status(slots.num))


def _all_of(*watches: Watch | None) -> Watch:
    """Return a function that shows a status to each watch, one after another."""

    def watch(status: StudyStatus) -> None:
        for one in watches:
            if one is not None:
                one(status)

    return watch


def _warn_of_budget(study: Study, slots: Slots) -> None:
    if study.budget.gpu_hours is not None and not slots.runtime.gpus:
        logger.warning(
            "budget.gpu_hours is %g, but a trial takes no GPU here and spends nothing of it; "
            "budget.hours ends a search on any machine.",
            study.budget.gpu_hours,
        )


def _keeping(slots: Slots, study: Study) -> Slots:
    """Let trials keep models, pictures and checkpoints in the store."""
    runtime = replace(
        slots.runtime,
        models=models_prefix(study.name),
        pictures=pictures_prefix(study.name),
        checkpoints=CheckpointPlan(
            prefix=checkpoints_prefix(study.name),
            kept=_kept(study),
        ),
    )
    return replace(slots, runtime=runtime)


def _kept(study: Study) -> KeptPlan | None:
    every = study.confirm.keep_every
    return None if every is None else KeptPlan(prefix=kept_prefix(study.name), every=every)


def _rate_limited(watch: Watch, board: StudyBoard, slots: Slots) -> Callable[[], None]:
    """Return a function that shows the board's status, if the last time is long enough ago."""
    rate_limit = RateLimit(WATCH_EVERY_S, WATCH_SHARE)
    return lambda: rate_limit.run(lambda: watch(board.status(slots.num)))


class RateLimit:
    """Runs an action, but not too often, and not for too large a share of the time."""

    def __init__(
        self,
        every_s: float,
        most_share: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Let the first action run at once.

        Args:
            every_s: The least seconds from the end of an action to the start of the next.
            most_share: The largest share of the time that actions may take, in (0, 1].
            clock: Seconds of a clock that never goes back.
        """
        self._every_s = every_s
        self._most_share = most_share
        self._clock = clock
        self._due_s = float("-inf")

    def run(self, action: Callable[[], None]) -> None:
        """Run an action if one is due."""
        start_s = self._clock()
        if start_s < self._due_s:
            return
        action()
        end_s = self._clock()
        took_s = end_s - start_s
        self._due_s = end_s + max(self._every_s, took_s / self._most_share - took_s)
