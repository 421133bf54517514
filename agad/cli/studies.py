"""The commands that run, plan and report studies."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live

from agad.cli.flags import node_cache, spool_folder
from agad.config import Cell, Grid, Search, Study, selection_from_json
from agad.errors import StoreError
from agad.reading import store_uri
from agad.records import Winner
from agad.report import (
    Leaderboard,
    Page,
    diagnostics_page,
    leaderboard,
    live_table,
    plain,
    plain_line,
    plan_table,
    terminal,
)
from agad.status import StudyStatus

if TYPE_CHECKING:
    from agad.objects import ObjectStore
    from agad.store import StudyReader
    from agad.study import Where

NOT_CONFIRMED = 1
"""Exit code: a cell has no confirmed result."""

_PLAIN_LINE_EVERY_S = 5.0


def run(study: Study, arguments: argparse.Namespace) -> int:
    """Run a study, or go on with it, and print its leaderboard; return the exit code."""
    # Ray and torch take seconds to import, which a report and a wrong flag do not wait for.
    from agad.objects import open_objects
    from agad.store import StudyStore
    from agad.study import run_study

    study = study.reduced() if arguments.reduced else study
    objects = open_objects(store_uri(arguments.store))
    where = _where(
        objects.uri,
        arguments,
        is_shared=arguments.shared_store,
        address=arguments.address or os.environ.get("RAY_ADDRESS"),
        gpus_per_trial=arguments.gpus_per_trial,
    )
    store = StudyStore(objects, study.name, spool_folder())
    print(f"Study {study.name}, store {objects.uri}", flush=True)
    with _watching() as watch:
        run_study(study, store, where, watch=watch)
    board = stored_leaderboard(objects, study.name)
    Console().print(terminal(board))
    missing = [cell.cell for cell in board.cells if cell.test_auroc is None]
    if missing:
        print(
            f"agad: no confirmed result in {len(missing)} of {len(board.cells)} cells: "
            f"{plain(', '.join(missing))}.",
            file=sys.stderr,
        )
    return NOT_CONFIRMED if missing else 0


def plan(study: Study, arguments: argparse.Namespace) -> int:
    """Print what a study will take; return the exit code."""
    from agad.data import Library
    from agad.objects import open_objects
    from agad.study import plan_study

    study = study.reduced() if arguments.reduced else study
    objects = open_objects(store_uri(arguments.store))
    where = _where(objects.uri, arguments)
    planned = plan_study(study, Library(objects), where.runtime())
    cores = os.cpu_count() or 1
    slots = where.max_concurrent_trials or max(1, cores // where.cpus_per_trial)
    Console().print(plan_table(planned, slots))
    return 0


def _where(store: str, arguments: argparse.Namespace, **more: Any) -> Where:  # noqa: ANN401
    """Return what the flags say of a trial, and more of a run."""
    from agad.study import Where

    return Where(
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


def stored_leaderboard(objects: ObjectStore, study: str) -> Leaderboard:
    """Aggregate a stored study, its planned cells among them."""
    from agad.store import StudyReader

    store = StudyReader(objects, study)
    name, cells, num_trials, num_seeds = _planned(store.config())
    return leaderboard(
        store.trials(),
        study=name,
        planned_cells=cells,
        confirm_seeds=num_seeds,
        cell_trials=num_trials,
        winners=_current_winners(store, num_trials, num_seeds),
    )


def stored_diagnostics(objects: ObjectStore, board: Leaderboard) -> Page | None:
    """Return what a later look at the test split found of a stored study, None without one."""
    from agad.store import StudyReader

    return diagnostics_page(board, StudyReader(objects, board.study).diagnostics())


def stored_winners(store: StudyReader) -> dict[str, Winner]:
    """Return the winner that each cell keeps for what is planned, by the cell's label."""
    _, _, num_trials, num_seeds = _planned(store.config())
    return _current_winners(store, num_trials, num_seeds)


def _current_winners(store: StudyReader, num_trials: int, num_seeds: int) -> dict[str, Winner]:
    return {
        one.cell: one
        for one in store.winners()
        if (one.num_search_trials, one.num_seeds) == (num_trials, num_seeds)
    }


def _planned(config: dict[str, Any]) -> tuple[str, Sequence[Cell], int, int]:
    """Return name, cells, search trials a cell and confirm seeds of a stored study."""
    try:
        cells = Grid.from_json(config["cells"]).all_cells
        name, num_seeds = config["name"], config["confirm"]["seeds"]
        search = Search.from_json(config["search"])
        selection = selection_from_json(config.get("selection", {}))
    except (KeyError, TypeError) as error:
        raise StoreError(
            f"the study.json of {config.get('name')!r} is not one that this version wrote (it "
            f"lacks {error}); restore it or name another --study."
        ) from error
    num_trials = search.num_cell_trials if selection.searches else 0
    return name, cells, num_trials, num_seeds


@contextmanager
def _watching() -> Iterator[Callable[[StudyStatus], None]]:
    """Show a study while it runs: a live table on a terminal, now and then a line elsewhere."""
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
