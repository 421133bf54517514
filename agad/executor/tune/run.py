"""Run a study: what is left of it, in one Ray Tune experiment."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from agad.config import Study, SuccessiveHalving
from agad.data import Library
from agad.executor.tune.cluster_options import ClusterOptions, Slots, connected
from agad.executor.tune.metrics import StudyMetrics
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
from agad.study import Publisher, RowMaker, StudyBoard, find_cell_data
from agad.trial import CheckpointPlan, KeptPlan, train_trial

logger = logging.getLogger(__name__)

Watch: TypeAlias = Callable[[StudyStatus], None]
"""Is shown how far the study is."""

WATCH_EVERY_S = 0.5
"""A status counts every cell, so it is not shown more often than a person can read it."""

WATCH_SHARE = 0.02
"""Of the driver's time that counting and showing may take. A status of many cells is rarer."""


def run_study(
    study: Study,
    memory: StudyMemory,
    options: ClusterOptions,
    *,
    watch: Watch | None = None,
    train: TrainTrial = train_trial,
) -> None:
    """Run what is left of a study; nothing if it is finished.

    What can be wrong with the study, its data or its memory is found before Ray starts. A study
    that is finished is not held, so it can be looked at while another driver works on it.

    Args:
        study: What to run.
        memory: What ran before, and where each row goes.
        options: The cluster and the resources of a trial.
        watch: Is shown how far the study is, at most twice a second, and at the end.
        train: Trains one trial on a worker; importable there.

    Raises:
        OtherDriverError: Another driver works on this study, or has taken it over.
        AgadError: The study does not fit its data or the cluster, or the memory fails.
        KeyboardInterrupt: Ctrl-C; rows of ended trials are kept, and the same call goes on.
    """
    objects = open_objects(options.store)
    options = replace(options, store=objects.uri)  # Absolute: workers have folders of their own.
    cell_data = find_cell_data(study, Library(objects))
    fingerprints = {one.data.name: one.data.fingerprint for one in cell_data.values()}
    # One precision a study: in one ladder, or one mean, two would not compare.
    config = study.as_json() | {"data": fingerprints, "precision": options.precision}
    rows = RowMaker(study=study.name, provenance=find_provenance(), precision=options.precision)
    memory.flush()
    if memory.is_kept(config) and StudyBoard(study, cell_data, memory, rows).is_done:
        return
    with memory.hold():
        memory.open(config)
        # Read anew: until it was held, another driver may have gone on.
        with Publisher(memory) as publisher, StudyBoard(study, cell_data, memory, rows) as board:
            publisher.show(board.status(slots=0))
            if not board.is_done:
                _run(board, study, options, _all_of(publisher.show, watch), train)


def _run(
    board: StudyBoard, study: Study, options: ClusterOptions, watch: Watch, train: TrainTrial
) -> None:
    trackers = open_trackers(options.log_to, study.name, board)
    with connected(options) as connection, StudyMetrics() as metrics:
        _warn_of_budget(study, connection)
        slots = _keeping(connection, study)
        watch = _all_of(watch, metrics.show)
        show = _rate_limited(watch, board, slots)
        try:
            fit(board, slots, train, study.scheduler.milestones, show, callbacks=trackers)
        finally:
            for tracker in trackers:
                tracker.close()
        watch(board.status(slots.num))


def _all_of(*watches: Watch | None) -> Watch:
    """Return what shows a status to each, one after another."""

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
            milestones=study.scheduler.milestones,
            pauses=isinstance(study.scheduler, SuccessiveHalving),
            kept=_kept(study),
        ),
    )
    return replace(slots, runtime=runtime)


def _kept(study: Study) -> KeptPlan | None:
    every = study.confirm.keep_every
    return None if every is None else KeptPlan(prefix=kept_prefix(study.name), every=every)


def _rate_limited(watch: Watch, board: StudyBoard, slots: Slots) -> Callable[[], None]:
    """Return what shows the board's status, if the last time was long enough ago."""
    rate_limit = RateLimit(WATCH_EVERY_S, WATCH_SHARE)
    return lambda: rate_limit.run(lambda: watch(board.status(slots.num)))


class RateLimit:
    """Runs an action that may wait: not too often, and not for too much of the time."""

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
