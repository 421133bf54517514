"""The command that checks a running cluster."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from rich.text import Text

from agad.cli.flags import add_cache_flag, add_store_flag, cache_folder
from agad.cli.screen import screen
from agad.reading import store_uri

FAULT = 1
"""Exit code: a check found a fault."""

_STYLES = {"ok": "green", "warning": "yellow", "fault": "bold red"}


def add_commands(commands: Any) -> None:  # noqa: ANN401  argparse keeps its type to itself.
    """Add ``doctor``."""
    parser = commands.add_parser(
        "doctor",
        help="look over a running cluster: versions, GPUs, store, caches, clocks, who may enter",
    )
    add_store_flag(parser)
    add_cache_flag(parser)
    parser.add_argument(
        "--address",
        help="Ray cluster, or its job server http://HOST:8265, where this then runs as a job "
        "(default: $RAY_ADDRESS, else the cluster of this machine)",
    )
    parser.set_defaults(do=doctor)


def doctor(arguments: argparse.Namespace) -> int:
    """Print a line for each check; return the exit code."""
    from agad.objects import check_uri

    store = check_uri(store_uri(arguments.store))
    cache = cache_folder(arguments)
    address = arguments.address or os.environ.get("RAY_ADDRESS")
    if address and address.startswith(("http://", "https://")):
        return _as_job(address, store, arguments.cache)
    from agad.executor.jobs import examine

    console = screen()
    has_fault = False
    for one in examine(address, store, cache):
        has_fault |= one.level == "fault"
        line = Text.assemble((f"{one.level:8}", _STYLES[one.level]), f"{one.check:15}", one.text)
        console.print(line, soft_wrap=True)
    return FAULT if has_fault else 0


def _as_job(address: str, store: str, cache: str | None) -> int:
    """Run the checks as a job on the cluster, since Ray's own port is not reached from here.

    Args:
        address: URL of the job server.
        store: URI of the store.
        cache: Folder of the nodes' caches; None leaves the choice to the cluster's environment.
    """
    from agad.executor.jobs import Jobs

    def show(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    command = ["python", "-m", "agad", "doctor", f"--store={store}"]
    if cache is not None:
        command.append(f"--cache={cache}")
    ended = Jobs(address).run("agad-doctor", command, show)
    return 0 if ended.status == "SUCCEEDED" else FAULT
