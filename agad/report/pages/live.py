"""The view of a running study: a table for a terminal, a line for a log."""

from __future__ import annotations

import itertools
import re
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rich import box
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agad.config import Labelled
from agad.records import Bulletin, CellStatus, StudyStatus
from agad.report.pages.rounding import (
    NONE,
    cell_text,
    count_text,
    objective_text,
    plain,
    score_text,
    seconds_text,
)

_WIDE = 100
"""The width from which the table has a column for the phase, and wider gaps."""

STALE_S = 60.0
"""A driver without news for so long may be dead: it publishes a bulletin every 10 s."""

_STATUS_LINE = re.compile(r"[\d,]+/[\d,]+ search trials?\b")

_MIN_LABEL = 8
"""The fewest characters of the column of cells."""

_MAX_WORD = 24
"""The longest word of a label for which columns make room."""

_FIRST_TO_GO = ("phase", "labels", "time", "conf")
"""Columns that make room, in this order."""


def live_table(status: StudyStatus, width: int, *, height: int = 24) -> RenderableType:
    """Return the study's totals and its cells; only the running cells if not all fit.

    Args:
        status: The study's status at this moment.
        width: Characters in a line.
        height: The most lines of the view; a single line counts the cells that do not fit.
    """
    status = _named(status)
    title = Text(f"Study {plain(status.study)}", style="bold", no_wrap=True, overflow="ellipsis")
    shared = _shared_words(status.cells)
    texts = {cell.label: _texts(status, cell, is_wide=width >= _WIDE) for cell in status.cells}
    widths = _widths(list(texts.values()), width, _longest_word(status.cells, shared))
    label_width = max(width - sum(widths.values()) - 1, _MIN_LABEL)
    labels = {cell.label: _folded(cell.label, shared, label_width) for cell in status.cells}
    above = [_progress_text(status)]
    if shared:
        above.append(f"all cells: {' '.join(shared)}")
    if status.cells and "labels" not in widths:
        costs = sorted(status.cells, key=lambda one: one.num_val_anomalies + one.num_fit_anomalies)
        above.append(f"labels: {_labels_text(costs[0])} to {_labels_text(costs[-1])}")
    if not _is_auroc(status):
        above.append(f"obj: {status.objective}")
    # A line for the name, two of the table's head, two of a summary and one below.
    num_around = 6 + sum(_num_lines(line, width) for line in above)
    shown = _shown_cells(status.cells, labels, max(height - num_around, 1))
    left_out = [cell for cell in status.cells if cell not in shown]
    parts: list[RenderableType] = [title, *(Text(line, overflow="fold") for line in above)]
    if shown:
        rows = [(cell, labels[cell.label], texts[cell.label]) for cell in shown]
        parts.append(_cells_table(rows, widths))
    if left_out:
        parts.append(Text(_summary(left_out), style="dim", overflow="fold"))
    return Group(*parts)


def plain_line(status: StudyStatus) -> str:
    """Return the whole status on one line, without colour."""
    best = _best_text(_named(status))
    search = [*_search_texts(status.cells), *_ended_text(status)]
    parts = [*search, *best, _confirm_text(status.cells), *_features_text(status)]
    return ", ".join([*parts, *_cost_texts(status)])


def _named(status: StudyStatus) -> StudyStatus:
    """Return a status whose every label names its detector if the study compares several."""
    if len({cell.detector for cell in status.cells}) < 2:
        return status
    cells = tuple(
        replace(cell, label=cell_text(cell.label, cell.detector)) for cell in status.cells
    )
    return replace(status, cells=cells)


def is_status_line(text: str) -> bool:
    """Whether ``plain_line`` wrote a line."""
    return _STATUS_LINE.match(text) is not None


def watched_table(
    bulletin: Bulletin, age_s: float, width: int, *, height: int = 24
) -> RenderableType:
    """Return ``live_table`` of a bulletin, with the driver and the bulletin's age below.

    Args:
        bulletin: The driver's last bulletin.
        age_s: Seconds since the driver published the bulletin.
        width: Characters in a line.
        height: The most lines of the view.
    """
    text, style = _driver_text(bulletin, age_s)
    table = live_table(bulletin.status, width, height=height - _num_lines(text, width))
    return Group(table, Text(text, style=style, overflow="fold"))


def watched_line(bulletin: Bulletin, age_s: float) -> str:
    """Return ``plain_line`` of a bulletin, followed by the driver's state unless all is well."""
    line = plain_line(bulletin.status)
    is_well = bulletin.state == "running" and age_s <= STALE_S
    return line if is_well else f"{line}; {_driver_text(bulletin, age_s)[0]}"


def _driver_text(bulletin: Bulletin, age_s: float) -> tuple[str, str]:
    """Return the text about a driver, and the text's style."""
    driver = f"driver on {plain(bulletin.host)} (process {bulletin.pid})"
    match bulletin.state:
        case "done":
            return f"done, by the {driver}", "green"
        case "failed":
            return f"the {driver} failed: {plain(bulletin.reason)}", "red"
        case "interrupted":
            return f"the {driver} was interrupted; the same command goes on", "red"
    age = seconds_text(round(age_s))
    if age_s > STALE_S:
        return f"no news for {age}: the {driver} may be dead", "red"
    return f"{driver}, news {age} ago", "dim"


def _progress_text(status: StudyStatus) -> str:
    running = sum(cell.running for cell in status.cells)
    parts = [*_search_texts(status.cells), *_ended_text(status), _confirm_text(status.cells)]
    parts += _features_text(status)
    busy = f"{running:,} of {count_text(status.slots, 'slot')} busy"
    return ", ".join([*parts, *_cost_texts(status), busy])


def _search_texts(cells: Sequence[CellStatus]) -> list[str]:
    """Return how far the search is; nothing if nothing is searched."""
    ended, planned = sum(cell.ended for cell in cells), sum(cell.planned for cell in cells)
    if not planned:
        return []
    counts = {
        "stopped": sum(cell.pruned for cell in cells),
        "paused": sum(cell.paused for cell in cells),
        "diverged": sum(cell.diverged for cell in cells),
        "failed": sum(cell.failed for cell in cells),
    }
    ends = [f"{count:,} {name}" for name, count in counts.items() if count]
    return [f"{ended:,}/{count_text(planned, 'search trial')}", *ends]


def _cost_texts(status: StudyStatus) -> list[str]:
    """Return the time so far, the GPU time if there is any, and the time left."""
    texts = [seconds_text(status.elapsed_s)]
    gpu_s = sum(cell.gpu_s for cell in status.cells)
    if gpu_s:
        texts.append(f"{_hours_text(gpu_s)} GPU h")
    if any(cell.phase != "done" for cell in status.cells):
        texts.append(f"{_left_text(status.left_s)} left")
    return texts


def _left_text(seconds: float | None) -> str:
    return "?" if seconds is None else f"~{seconds_text(round(seconds))}"


def _hours_text(seconds: float) -> str:
    """Return hours in at most five characters."""
    hours = seconds / 3600
    return f"{hours:.2f}" if hours < 9.995 else f"{hours:.1f}" if hours < 999.95 else f"{hours:.0f}"


def _ended_text(status: StudyStatus) -> list[str]:
    return [f"{plain(status.ended_by)} ended the search"] if status.ended_by else []


def _features_text(status: StudyStatus) -> list[str]:
    """Return how far the features of an encoder are; nothing if none are computed now."""
    if not status.features_missing:
        return []
    return [f"features {status.features_done:,} of {status.features_missing:,}"]


def _best_text(status: StudyStatus) -> list[str]:
    scores = {cell.best_objective: cell for cell in reversed(status.cells)}
    best = max((score for score in scores if score is not None), default=None)
    if best is None:
        return []
    label = plain(scores[best].label)
    if _is_auroc(status):
        return [f"best {label} {score_text(best)}"]
    return [f"best {label} {objective_text(best)} ({status.objective})"]


def _labels_text(cell: CellStatus) -> str:
    """Return the labelled anomalies of validation + of training."""
    return f"{cell.num_val_anomalies}+{cell.num_fit_anomalies}"


def _is_auroc(status: StudyStatus) -> bool:
    return status.objective == Labelled.objective


def _confirm_text(cells: Sequence[CellStatus]) -> str:
    planned = sum(cell.confirm_planned for cell in cells)
    return f"{sum(cell.confirmed for cell in cells):,}/{planned:,} confirmed"


def _shared_words(cells: Sequence[CellStatus]) -> list[str]:
    """Return the words that every cell's label has; none if a label has no other words."""
    labels = [plain(cell.label).split() for cell in cells]
    if len(labels) < 2:
        return []
    shared = [word for word in labels[0] if all(word in label for label in labels)]
    return shared if all(len(label) > len(shared) for label in labels) else []


def _longest_word(cells: Sequence[CellStatus], shared: Sequence[str]) -> int:
    words = {word for cell in cells for word in plain(cell.label).split()} - {*shared}
    return max((cell_len(word) for word in words), default=0)


def _folded(label: str, shared: Sequence[str], width: int) -> str:
    """Return a label without the shared words, folded to a width."""
    words = " ".join(word for word in plain(label).split() if word not in shared)
    return textwrap.fill(words, width, break_on_hyphens=False)


def _num_lines(line: str, width: int) -> int:
    return -(-cell_len(line) // width)


def _shown_cells(
    cells: Sequence[CellStatus], labels: Mapping[str, str], num_lines: int
) -> tuple[CellStatus, ...]:
    """Return all cells if they fit, else the running cells that fit, in the study's order."""
    num_label_lines = {label: text.count("\n") + 1 for label, text in labels.items()}
    if sum(num_label_lines.values()) <= num_lines:
        return tuple(cells)
    running = [cell for cell in cells if cell.running]
    used = itertools.accumulate(num_label_lines[cell.label] for cell in running)
    return tuple(cell for cell, lines in zip(running, used, strict=True) if lines <= num_lines)


def _widths(texts: Sequence[Mapping[str, Text]], width: int, longest_word: int) -> dict[str, int]:
    """Return the columns that are shown after the label, and their widths with the gap.

    Columns that say nothing are left out. Others are left out while a label's word would break.
    """
    if not texts:
        return {}
    gap = 2 if width >= _WIDE else 1
    widths = {
        header: gap + max(len(header), *(cell_len(one[header].plain) for one in texts))
        for header in texts[0]
    }
    for header, nothing in {"pause": "0", "GPU h": _hours_text(0)}.items():
        if all(one[header].plain == nothing for one in texts):
            del widths[header]
    room = width - 1 - max(min(longest_word, _MAX_WORD), _MIN_LABEL)
    for header in _FIRST_TO_GO:
        if sum(widths.values()) > room or (header == "phase" and width < _WIDE):
            del widths[header]
    return widths


def _cells_table(
    rows: Sequence[tuple[CellStatus, str, Mapping[str, Text]]], widths: Mapping[str, int]
) -> Table:
    view = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    view.add_column("cell", overflow="fold")
    for header, characters in widths.items():
        view.add_column(header, justify="right", min_width=characters - 1, no_wrap=True)
    for cell, label, texts in rows:
        style = "" if cell.running else "dim"
        view.add_row(Text(label, style=style), *(texts[header] for header in widths))
    return view


def _texts(status: StudyStatus, cell: CellStatus, *, is_wide: bool) -> dict[str, Text]:
    """Return the text of each column; in a narrow table, no space stands before a unit."""
    phase_style = {"search": "", "confirm": "cyan", "done": "green"}[cell.phase]
    left = NONE if cell.phase == "done" else _left_text(status.cell_left_s(cell))
    space = " " if is_wide else ""
    if _is_auroc(status):
        best = {"val": Text(score_text(cell.best_objective), style="bold")}
    else:
        best = {"obj": Text(objective_text(cell.best_objective), style="bold")}
    return {
        "phase": Text(cell.phase, style=phase_style),
        "run": Text(str(cell.running)),
        "done": Text(f"{cell.ended}/{cell.planned}"),
        "stop": Text(str(cell.pruned)),
        "pause": Text(str(cell.paused)),
        "div": Text(str(cell.diverged), style="red" if cell.diverged else ""),
        "fail": Text(str(cell.failed), style="red" if cell.failed else ""),
        **best,
        "conf": Text(f"{cell.confirmed}/{cell.confirm_planned}"),
        "labels": Text(_labels_text(cell)),
        "time": Text(seconds_text(cell.seconds).replace(" ", space)),
        "GPU h": Text(_hours_text(cell.gpu_s)),
        "left": Text(left.replace(" ", space)),
    }


def _summary(cells: Sequence[CellStatus]) -> str:
    counts = Counter(_state(cell) for cell in cells)
    states = ", ".join(f"{counts[state]:,} {state}" for state in _STATES if counts[state])
    return f"and {count_text(len(cells), 'more cell', 'more cells')}: {states}"


_STATES = ("running", "waiting", "searching", "confirming", "done")


def _state(cell: CellStatus) -> str:
    if cell.running:
        return "running"
    if cell.phase == "search":
        return "searching" if cell.ended else "waiting"
    return {"confirm": "confirming", "done": "done"}[cell.phase]
