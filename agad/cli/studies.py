"""The commands that run and plan studies."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live

from agad.cli.codes import NOT_CONFIRMED
from agad.cli.flags import checked_price, node_cache, spool_folder
from agad.cli.notify import Webhook
from agad.config import Study
from agad.errors import AgadError, OtherDriverError
from agad.reading import store_uri, stored_leaderboard
from agad.records import StudyStatus
from agad.report import live_table, plain, plain_line, plan_table, seconds_text, terminal

if TYPE_CHECKING:
    from agad.executor.tune import ClusterOptions
    from agad.objects import ObjectStore
    from agad.study import EpochTimes, PastStudy, StudyPlan

_PLAIN_LINE_EVERY_S = 5.0


def run(study: Study, arguments: argparse.Namespace) -> int:
    """Start or continue a study and print its leaderboard; return the exit code."""
    # Ray and torch take seconds to import; reports and wrong flags do without them.
    from agad.executor.tune import run_study
    from agad.objects import open_objects
    from agad.store import StudyStore

    study = study.reduced() if arguments.reduced else study
    address = arguments.notify or os.environ.get("AGAD_WEBHOOK")
    webhook = Webhook(address) if address else None
    objects = open_objects(store_uri(arguments.store))
    options = _cluster_options(
        objects.uri,
        arguments,
        is_shared=arguments.shared_store,
        address=arguments.address or os.environ.get("RAY_ADDRESS"),
        gpus_per_trial=arguments.gpus_per_trial,
        log_to=tuple(arguments.log_to),
    )
    store = StudyStore(objects, study.name, spool_folder())
    print(f"Study {study.name}, store {objects.uri}", flush=True)
    start_s = time.monotonic()
    with _telling_of_failure(study.name, webhook):
        with _watching() as watch:
            run_study(study, store, options, watch=watch)
        board = stored_leaderboard(objects, study.name)
    Console().print(terminal(board))
    missing = [cell.cell for cell in board.cells if cell.test_auroc is None]
    lacks = f"no confirmed result in {len(missing)} of {len(board.cells)} cells" if missing else ""
    if webhook is not None:
        took = f"after {seconds_text(time.monotonic() - start_s)} of this run"
        text = f"agad: study {study.name} is done, {took}{lacks and f', with {lacks}'}."
        webhook.tell(study.name, "done", text)
    if missing:
        print(f"agad: {lacks}: {plain(', '.join(missing))}.", file=sys.stderr)
    return NOT_CONFIRMED if missing else 0


def plan(study: Study, arguments: argparse.Namespace) -> int:
    """Print the trials, time and cost that a study will take; return the exit code."""
    from agad.data import Library
    from agad.objects import open_objects
    from agad.study import MeasuredEpochTimes, StoredEpochTimes, plan_study
    from agad.trial import describe_hardware

    price = checked_price(arguments.price_per_gpu_hour)
    study = study.reduced() if arguments.reduced else study
    objects = open_objects(store_uri(arguments.store))
    options = _cluster_options(objects.uri, arguments)
    library, runtime = Library(objects), options.runtime()
    epoch_times: list[EpochTimes] = [
        StoredEpochTimes(library, _past_studies(objects), options.precision)
    ]
    if arguments.measure:
        hardware = describe_hardware(runtime.compute.device)
        epoch_times.append(MeasuredEpochTimes(runtime, hardware))
    planned = plan_study(study, library, epoch_times)
    slots = options.max_concurrent_trials or _slots_here(planned, options.cpus_per_trial)
    Console().print(plan_table(planned, slots, price))
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


@contextmanager
def _watching() -> Iterator[Callable[[StudyStatus], None]]:
    """Show a running study: a live table on a terminal, elsewhere a line every few seconds."""
    console = Console()
    if console.is_terminal:
        with Live(console=console, transient=True, refresh_per_second=4) as live:
            yield lambda status: live.update(
                live_table(status, console.width, height=console.height)
            )
        return
    last_s = 0.0

    def print_line(status: StudyStatus) -> None:
        nonlocal last_s
        is_done = all(cell.phase == "done" for cell in status.cells)
        if is_done or time.monotonic() - last_s >= _PLAIN_LINE_EVERY_S:
            last_s = time.monotonic()
            print(plain_line(status), flush=True)

    yield print_line
