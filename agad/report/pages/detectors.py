"""Detectors as text: those that are installed, and all that is known of one."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from agad.config import DetectorConfig, parameter_docs, parameters_of
from agad.report.pages.rounding import plain


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledDetector:
    """A detector with its defaults, and the package that brings it."""

    config: DetectorConfig
    provider: str


def detector_table(detectors: Sequence[InstalledDetector], broken: Mapping[str, str]) -> Group:
    """Return a line a detector, then its paper and its limits.

    Args:
        detectors: Those that can be used.
        broken: Why a detector cannot be used, by its name.
    """
    table = _table("detector", "given", "epochs", "searched", "package")
    for one in detectors:
        config = one.config
        texts = (config.name, str(config.supervision), epochs_text(config), one.provider)
        name, given, epochs, provider = (Text(plain(text)) for text in texts)
        table.add_row(name, given, epochs, str(len(config.default_space())), provider)
    lines = [_about(one.config) for one in detectors]
    lines += [f"{name} cannot be used: {error}" for name, error in broken.items()]
    return Group(
        Text("Detectors", style="bold"),
        table,
        *(Text(f"• {plain(line)}") for line in lines if line),
    )


def detector_details(one: InstalledDetector) -> Group:
    """Return all that is known of a detector."""
    config = one.config
    space, docs = config.default_space(), parameter_docs(type(config))
    table = _table("parameter", "default", "searched by default", "meaning")
    for name, value in parameters_of(config).items():
        drawn = repr(space[name]) if name in space else ""
        texts = (name, repr(value), drawn, docs.get(name, ""))
        table.add_row(*(Text(plain(text)) for text in texts))
    about = inspect.cleandoc(type(config).__doc__ or "").split("\n\n")[0]
    lines = [
        " ".join(about.split()),
        f"Paper: {config.paper}" if config.paper else "",
        f"Given: {config.supervision}.",
        f"Epochs: {epochs_text(config)}; scheduler: {config.default_scheduler()!r}.",
        f"Input: {config.input()!r}.",
        f"Known limits: {config.limits}" if config.limits else "",
    ]
    title = f"Detector {config.name}, version {config.version}, of {one.provider}"
    return Group(
        Text(plain(title), style="bold"),
        table if parameters_of(config) else Text("It has no parameter.\n"),
        *(Text(f"• {plain(line)}") for line in lines if line),
    )


def epochs_text(config: DetectorConfig) -> str:
    """Return the epochs of every stage by default, such as ``pretrain 50, train 27``."""
    last = config.default_scheduler().max_epochs
    stages = config.stages
    if len(stages) == 1:
        return str(last)
    return ", ".join(f"{stage.name} {stage.epochs or last}" for stage in stages)


def _about(config: DetectorConfig) -> str:
    """Return a detector's paper and limits; empty if it names none."""
    sentences = [text.rstrip(".") + "." for text in (config.paper, config.limits) if text]
    return f"{config.name}: {' '.join(sentences)}" if sentences else ""


def _table(*headers: str) -> Table:
    """Return an empty table whose texts go on below, so nothing is cut."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for header in headers:
        table.add_column(header, overflow="fold", no_wrap=header == headers[0])
    return table
