"""The commands that run and plan studies."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from agad.cli.asked import asked_study
from agad.cli.codes import NOT_CONFIRMED
from agad.cli.flags import checked_prices, node_cache, spool_folder
from agad.cli.notify import Webhook
from agad.cli.running import RunView, running
from agad.cli.screen import screen
from agad.config import Study
from agad.errors import AgadError, OtherDriverError
from agad.reading import store_uri, stored_leaderboard
from agad.report import (
    Leaderboard,
    count_text,
    expected_line,
    plain,
    plan_table,
    seconds_text,
    terminal,
)

if TYPE_CHECKING:
    from agad.executor.tune import ClusterOptions
    from agad.objects import ObjectStore
    from agad.study import EpochTimes, PastStudy, StudyPlan

_ESTIMATE_S = 5.0
"""A run measures for about so long before it says how long it takes."""


def run(study: Study, arguments: argparse.Namespace) -> int:
    """Start or continue a study and print its leaderboard; return the exit code."""
    study = asked_study(study, arguments)
    address = arguments.notify or os.environ.get("AGAD_WEBHOOK")
    webhook = Webhook(address) if address else None
    start_s = time.monotonic()
    board = _run(study, arguments, webhook)
    missing = [cell.cell for cell in board.cells if cell.test_auroc is None]
    cells = count_text(len(board.cells), "cell")
    lacks = f"no confirmed result in {len(missing)} of {cells}" if missing else ""
    if webhook is not None:
        # The webhook comes before the leaderboard, whose printing can fail (a full disk, a pipe).
        took = f"after {seconds_text(time.monotonic() - start_s)} of this run"
        text = f"agad: study {study.name} is done, {took}{lacks and f', with {lacks}'}."
        webhook.tell(study.name, "done", text)
    screen().print(terminal(board))
    if missing:
        print(f"agad: {lacks}: {plain(', '.join(missing))}.", file=sys.stderr)
    return NOT_CONFIRMED if missing else 0


def _run(study: Study, arguments: argparse.Namespace, webhook: Webhook | None) -> Leaderboard:
    """Run a study and show how far it is; return its leaderboard."""
    from agad.objects import open_objects

    objects = open_objects(store_uri(arguments.store))
    print(f"Study {study.name}, store {objects.uri}", flush=True)
    with running(screen()) as view:
        view.step("Importing Ray and torch")
        # Ray and torch take seconds to import; reports and wrong flags do without them.
        from agad.executor.tune import run_study
        from agad.store import StudyStore, list_studies

        options = _cluster_options(
            objects.uri,
            arguments,
            is_shared=arguments.shared_store,
            address=arguments.address or os.environ.get("RAY_ADDRESS"),
            gpus_per_trial=arguments.gpus_per_trial,
            log_to=tuple(arguments.log_to),
        )
        store = StudyStore(objects, study.name, spool_folder())
        with _telling_of_failure(study.name, webhook):
            # The view of a study that has begun knows the time from its trials.
            if options.address is None and study.name not in list_studies(objects):
                _say_expected(study, objects, options, view)
            run_study(study, store, options, watch=view.status, step=view.step)
            return stored_leaderboard(objects, study.name)


def _say_expected(
    study: Study, objects: ObjectStore, options: ClusterOptions, view: RunView
) -> None:
    """Print how long a study that has not begun is expected to take on this machine.

    A few steps of each kind of cell are timed here, for some seconds in all.
    """
    from agad.data import Library
    from agad.study import MeasuredEpochTimes, feature_time, find_cell_data, plan_study
    from agad.trial import describe_hardware

    view.step("Estimating the time")
    library, runtime = Library(objects), options.runtime()
    hardware = describe_hardware(runtime.compute.device)
    measured = MeasuredEpochTimes(runtime, hardware, limit_s=_ESTIMATE_S)
    planned = plan_study(study, library, [measured], precision=options.precision)
    features = feature_time(find_cell_data(study, library).values(), runtime)
    slots = options.max_concurrent_trials or _slots_here(planned, options.cpus_per_trial)
    view.say(f"{expected_line(planned, slots, features)}.")


def plan(study: Study, arguments: argparse.Namespace) -> int:
    """Print the trials, time and cost that a study will take; return the exit code."""
    from agad.data import Library
    from agad.objects import open_objects
    from agad.store import StudyStore
    from agad.study import MeasuredEpochTimes, StoredEpochTimes, plan_study
    from agad.trial import describe_hardware

    prices = checked_prices(arguments)
    study = asked_study(study, arguments)
    objects = open_objects(store_uri(arguments.store))
    options = _cluster_options(objects.uri, arguments)
    library, runtime = Library(objects), options.runtime()
    epoch_times: list[EpochTimes] = [
        StoredEpochTimes(library, _past_studies(objects), options.precision)
    ]
    if arguments.measure:
        hardware = describe_hardware(runtime.compute.device)
        epoch_times.append(MeasuredEpochTimes(runtime, hardware))
    memory = StudyStore(objects, study.name)
    planned = plan_study(study, library, epoch_times, memory=memory, precision=options.precision)
    slots = options.max_concurrent_trials or _slots_here(planned, options.cpus_per_trial)
    screen().print(plan_table(planned, slots, **prices))
    return 0


def _slots_here(planned: StudyPlan, cpus_per_trial: int | None) -> int:
    """Return how many trials of a plan fit on this machine at once, at least 1."""
    from agad.trial import num_gpus

    gpus_per_trial = max(
        (cell.epoch_time.gpus for cell in planned.cells if cell.epoch_time), default=0.0
    )
    if gpus_per_trial > 0:
        return max(1, int(num_gpus() / gpus_per_trial))
    return max(1, (os.cpu_count() or 1) // (cpus_per_trial or 1))


def _past_studies(objects: ObjectStore) -> list[PastStudy]:
    """Return every study of a store."""
    from agad.store import StudyReader, list_studies
    from agad.study import PastStudy

    readers = [StudyReader(objects, name) for name in list_studies(objects)]
    return [PastStudy(config=reader.config(), rows=reader.trials()) for reader in readers]


def _cluster_options(store: str, arguments: argparse.Namespace, **more: Any) -> ClusterOptions:  # noqa: ANN401
    """Return the options that the flags give for a trial, and ``more`` for a run."""
    from agad.executor.tune import ClusterOptions

    return ClusterOptions(
        store=store,
        cache=node_cache(arguments),
        cpus_per_trial=arguments.cpus_per_trial,
        max_concurrent_trials=arguments.max_concurrent_trials,
        device=arguments.device,
        precision=arguments.precision,
        channels_last=arguments.channels_last,
        compilation=arguments.compile,
        **more,
    )


@contextmanager
def _telling_of_failure(study: str, webhook: Webhook | None) -> Iterator[None]:
    """Tell a webhook why a study failed. A study that somebody stopped is not told of."""
    try:
        yield
    except (KeyboardInterrupt, OtherDriverError):
        raise
    except BaseException as error:
        if webhook is not None:
            # The text of any other error may hold a secret.
            reason = str(error) if isinstance(error, AgadError) else type(error).__name__
            webhook.tell(study, "failed", f"agad: study {study} failed: {reason}")
        raise
