"""The command line: parses arguments, connects the layers, prints."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console
from rich.live import Live

from agad.config import Grid, Study
from agad.errors import AgadError, ConfigError, StoreError
from agad.report import (
    Leaderboard,
    csv,
    leaderboard,
    live_table,
    markdown,
    plain,
    plain_line,
    plan_table,
    terminal,
)
from agad.status import StudyStatus
from agad.studyfile import BAD_INPUT, load_study

if TYPE_CHECKING:
    from agad.store import StudyReader

NOT_CONFIRMED, INTERRUPTED = 1, 130
"""Exit codes: a cell has no confirmed result; Ctrl-C."""

_PLAIN_LINE_EVERY_S = 5.0


def entry() -> NoReturn:
    """Run the console script ``agad``."""
    sys.exit(_guarded(lambda: _command(sys.argv[1:])))


def main(study: Study) -> NoReturn:
    """Run a study, as the last line of its file: ``agad run FILE`` without the file."""
    parser = argparse.ArgumentParser(description=f"Run the study {study.name}, or go on with it.")
    _add_run_flags(parser)
    arguments = parser.parse_args()
    sys.exit(_guarded(lambda: _run(study, arguments)))


def _guarded(command: Callable[[], int]) -> int:
    """Turn a deliberate error into one line and exit code 2."""
    # A stopped Ray job gets SIGTERM: it ends as Ctrl-C does.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return command()
    except AgadError as error:
        print(f"agad: {plain(str(error))}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("agad: interrupted; run the same command again to go on.", file=sys.stderr)
        return INTERRUPTED


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="agad", description="Studies of image anomaly detectors.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run a study file, or go on with it")
    run.add_argument("file", type=Path, metavar="FILE", help="Python file that defines STUDY")
    _add_run_flags(run)

    plan = commands.add_parser("plan", help="say what a study will take, before anything runs")
    plan.add_argument("file", type=Path, metavar="FILE", help="Python file that defines STUDY")
    _add_trial_flags(plan)

    report = commands.add_parser("report", help="print the leaderboards of a store")
    report.add_argument("store", nargs="?", metavar="STORE", help=_STORE_HELP)
    report.add_argument("--study", metavar="NAME", help="only this study")
    report.add_argument("--md", type=Path, metavar="FILE", help="write Markdown too")
    report.add_argument("--csv", type=Path, metavar="FILE", help="write CSV too, a row a cell")

    parsed = parser.parse_args(arguments)
    if parsed.command == "report":
        return _report(parsed)
    study = load_study(parsed.file)
    return _run(study, parsed) if parsed.command == "run" else _plan(study, parsed)


_STORE_HELP = "folder or s3://bucket/prefix (default: $AGAD_STORE, else ~/.agad/store)"


def _add_run_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", metavar="STORE", help=_STORE_HELP)
    parser.add_argument(
        "--address", help="Ray cluster to join (default: $RAY_ADDRESS, else one on this machine)"
    )
    parser.add_argument(
        "--gpus-per-trial", type=float, metavar="X", help="default: 1 where there are GPUs, else 0"
    )
    _add_trial_flags(parser)


def _add_trial_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="folder with mnist/ and cifar10/ (default: $AGAD_DATA, else ~/.agad/data)",
    )
    parser.add_argument(
        "--cpus-per-trial", type=int, default=1, metavar="N", help="CPU cores a trial (default: 1)"
    )
    parser.add_argument(
        "--max-concurrent-trials", type=int, metavar="N", help="default: what there is room for"
    )
    parser.add_argument(
        "--reduced",
        action="store_true",
        help="the same question at a laptop's budget, as study NAME-reduced",
    )


def _run(study: Study, arguments: argparse.Namespace) -> int:
    # Ray and torch take seconds to import, which a report and a wrong flag do not wait for.
    from agad.objects import open_objects
    from agad.store import StudyStore
    from agad.study import Where, run_study

    study = study.reduced() if arguments.reduced else study
    where = Where(
        data_root=_data_root(arguments.data),
        address=arguments.address or os.environ.get("RAY_ADDRESS"),
        cpus_per_trial=arguments.cpus_per_trial,
        gpus_per_trial=arguments.gpus_per_trial,
        max_concurrent_trials=arguments.max_concurrent_trials,
    )
    objects = open_objects(_store_uri(arguments.store))
    store = StudyStore(objects, study.name)
    print(f"Study {study.name}, store {objects.uri}", flush=True)
    with _watching() as watch:
        run_study(study, store, where, watch=watch)
    board = _leaderboard(store)
    Console().print(terminal(board))
    missing = [cell.cell for cell in board.cells if cell.test_auroc is None]
    if missing:
        print(
            f"agad: no confirmed result in {len(missing)} of {len(board.cells)} cells: "
            f"{plain(', '.join(missing))}.",
            file=sys.stderr,
        )
    return NOT_CONFIRMED if missing else 0


def _plan(study: Study, arguments: argparse.Namespace) -> int:
    from agad.study import Where, plan_study

    study = study.reduced() if arguments.reduced else study
    where = Where(
        data_root=_data_root(arguments.data),
        cpus_per_trial=arguments.cpus_per_trial,
        max_concurrent_trials=arguments.max_concurrent_trials,
    )
    plan = plan_study(study, where.data_root, num_threads=where.cpus_per_trial)
    cores = os.cpu_count() or 1
    slots = where.max_concurrent_trials or max(1, cores // where.cpus_per_trial)
    Console().print(plan_table(plan, slots))
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from agad.objects import open_objects
    from agad.store import StudyReader, list_studies

    objects = open_objects(_store_uri(arguments.store))
    studies = list_studies(objects)
    if not studies:
        raise ConfigError(
            f"store {objects.uri} holds no study; run one with --store, or name another."
        )
    if arguments.study is not None and arguments.study not in studies:
        raise ConfigError(
            f"--study is {arguments.study!r}, but {objects.uri} holds: {', '.join(studies)}."
        )
    chosen = [arguments.study] if arguments.study else studies
    boards = [_leaderboard(StudyReader(objects, study)) for study in chosen]
    for board in boards:
        Console().print(terminal(board))
    if arguments.md:
        _write(arguments.md, "\n".join(markdown(board) for board in boards))
    if arguments.csv:
        _write(arguments.csv, csv(*boards))
    return 0


def _store_uri(given: str | None) -> str:
    return given or os.environ.get("AGAD_STORE") or "~/.agad/store"


def _data_root(given: str | None) -> Path:
    folder = given or os.environ.get("AGAD_DATA") or "~/.agad/data"
    return Path(folder).expanduser().resolve()


def _leaderboard(store: StudyReader) -> Leaderboard:
    """Aggregate a stored study, its planned cells among them."""
    config = store.config()
    axes = ("dataset", "normal_class", "anomaly_ratio", "settings")
    try:
        cells = Grid(**{name: config["cells"][name] for name in axes}).all_cells
        study, seeds = config["name"], config["confirm"]["seeds"]
    except (KeyError, TypeError) as error:
        raise StoreError(
            f"a stored study.json is not one that this version wrote (it lacks {error}); "
            "restore it or name another --study."
        ) from error
    labels = [cell.label for cell in cells]
    return leaderboard(store.trials(), study=study, planned_cells=labels, confirm_seeds=seeds)


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


def _write(path: Path, text: str) -> None:
    """Write a report in one piece, or leave the one before."""
    if path.is_dir():
        raise ConfigError(f"{path} cannot be written, since it is a folder; name a file in it.")
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise ConfigError(
            f"{path} cannot be written ({error.strerror}); name another file."
        ) from error
