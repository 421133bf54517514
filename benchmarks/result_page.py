"""A benchmark's figures as a dated page of Markdown, and on the terminal."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from agad.trial import describe_hardware


def show(title: str, figures: Mapping[str, float], out: Path | None) -> None:
    """Print figures as a table and a line of JSON, and write a page of them.

    Args:
        title: Of the page.
        figures: By name, each with its unit in it.
        out: File of Markdown; None writes none.
    """
    texts = {
        name: f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"
        for name, value in figures.items()
    }
    table = Table("figure", "value")
    for name, text in texts.items():
        table.add_row(name, text)
    Console().print(table)
    print(json.dumps(figures))
    if out is None:
        return
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("ray", "optuna", "torch")
    )
    lines = [
        f"# {title}, {datetime.now(UTC):%Y-%m-%d}",
        "",
        f"`{_command()}`, one run, {os.cpu_count()} cores ({describe_hardware('cpu')}), "
        f"Python {platform.python_version()}, {versions}.",
        "",
        "| figure | value |",
        "| --- | --- |",
        *(f"| {name} | {text} |" for name, text in texts.items()),
    ]
    out.write_text("\n".join(lines) + "\n")


def _command() -> str:
    return " ".join(
        ["python -m", f"benchmarks.{Path(sys.argv[0]).stem}", *map(shlex.quote, sys.argv[1:])]
    )
