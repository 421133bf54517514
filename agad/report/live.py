"""The view of a study while it runs: a table for a terminal, one line for a log."""

from __future__ import annotations

import itertools
import textwrap
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agad.config import Labelled
from agad.report.rounding import count_text, objective_text, plain, score_text, seconds_text
from agad.status import CellStatus, StudyStatus

_WIDE = 100
"""Characters from which the table has a column for the phase."""

_LINES_AROUND = 7
"""Lines beside those of the cells: the name, two of totals, the header's two, two below."""


def live_table(status: StudyStatus, width: int, *, height: int = 24) -> RenderableType:
    """Return the study's totals and its cells, only the running ones where not all fit.

    Args:
        status: The study at this moment.
        width: Characters in a line.
        height: Lines that the view may take; the cells that do not fit become one line.
    """
    labels = {cell.label: _folded(cell.label, width) for cell in status.cells}
    is_auroc = status.objective == Labelled.objective
    num_lines = height - _LINES_AROUND - (not is_auroc)
    shown = _shown_cells(status.cells, labels, max(num_lines, 1))
    left_out = [cell for cell in status.cells if cell not in shown]
    parts: list[RenderableType] = [
        Text(f"Study {plain(status.study)}", style="bold", no_wrap=True, overflow="ellipsis"),
        Text(_progress_text(status), overflow="fold"),
    ]
    if shown:
        parts.append(_cells_table(shown, labels, width, status.objective))
    if shown and not is_auroc:
        parts.append(Text(f"obj: {status.objective}", style="dim", overflow="fold"))
    if left_out:
        parts.append(Text(_summary(left_out), style="dim", overflow="fold"))
    return Group(*parts)


def plain_line(status: StudyStatus) -> str:
    """Return the whole state on one line, without colour."""
    best = _best_text(status)
    search = [_search_text(status.cells), *_ended_text(status)]
    parts = [*search, *best, _confirm_text(status.cells)]
    return ", ".join([*parts, seconds_text(status.elapsed_s)])


def _progress_text(status: StudyStatus) -> str:
    running = sum(cell.running for cell in status.cells)
    parts = [_search_text(status.cells), *_ended_text(status), _confirm_text(status.cells)]
    busy = f"{running:,} of {count_text(status.slots, 'slot')} busy"
    return ", ".join([*parts, seconds_text(status.elapsed_s), busy])


def _search_text(cells: Sequence[CellStatus]) -> str:
    ended, planned = sum(cell.ended for cell in cells), sum(cell.planned for cell in cells)
    counts = {
        "stopped": sum(cell.pruned for cell in cells),
        "diverged": sum(cell.diverged for cell in cells),
        "failed": sum(cell.failed for cell in cells),
    }
    ends = [f"{count:,} {name}" for name, count in counts.items() if count]
    return ", ".join([f"{ended:,}/{planned:,} search trials", *ends])


def _ended_text(status: StudyStatus) -> list[str]:
    return [f"{plain(status.ended_by)} ended the search"] if status.ended_by else []


def _best_text(status: StudyStatus) -> list[str]:
    scores = {cell.best_objective: cell for cell in reversed(status.cells)}
    best = max((score for score in scores if score is not None), default=None)
    if best is None:
        return []
    label = plain(scores[best].label)
    if status.objective == Labelled.objective:
        return [f"best {label} {score_text(best)}"]
    return [f"best {label} {objective_text(best)} ({status.objective})"]


def _confirm_text(cells: Sequence[CellStatus]) -> str:
    planned = sum(cell.confirm_planned for cell in cells)
    return f"{sum(cell.confirmed for cell in cells):,}/{planned:,} confirmed"


def _folded(label: str, width: int) -> str:
    """Return a label over as many lines as the column of cells needs in a table this wide."""
    label_width = max(width - sum(_columns(width).values()) - 1, 8)
    return textwrap.fill(plain(label), label_width, break_on_hyphens=False)


def _shown_cells(
    cells: Sequence[CellStatus], labels: Mapping[str, str], num_lines: int
) -> tuple[CellStatus, ...]:
    """Return all cells where they fit, else the running ones that do, in the study's order."""
    num_label_lines = {label: text.count("\n") + 1 for label, text in labels.items()}
    if sum(num_label_lines.values()) <= num_lines:
        return tuple(cells)
    running = [cell for cell in cells if cell.running]
    used = itertools.accumulate(num_label_lines[cell.label] for cell in running)
    return tuple(cell for cell, lines in zip(running, used, strict=True) if lines <= num_lines)


def _columns(width: int) -> dict[str, int]:
    """Return the columns beside the cell's: header and characters, the gap before it included."""
    columns = {"phase": 9, "run": 5, "search": 9, "stop": 6, "div": 5, "fail": 6, "val": 7}
    if width < _WIDE:
        columns = {name: characters - 1 for name, characters in columns.items() if name != "phase"}
    return columns | {"confirm": 8 if width < _WIDE else 9}


def _cells_table(
    cells: Sequence[CellStatus], labels: Mapping[str, str], width: int, objective: str
) -> Table:
    is_auroc = objective == Labelled.objective
    columns = _columns(width)
    view = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    view.add_column("cell", overflow="fold")
    for header, characters in columns.items():
        shown = header if is_auroc or header != "val" else "obj"
        view.add_column(shown, justify="right", min_width=characters - 1, no_wrap=True)
    for cell in cells:
        texts = _texts(cell, score_text if is_auroc else objective_text)
        label = Text(labels[cell.label], style="" if cell.running else "dim")
        view.add_row(label, *(texts[header] for header in columns))
    return view


def _texts(cell: CellStatus, as_text: Callable[[float | None], str]) -> dict[str, Text]:
    phase_style = {"search": "", "confirm": "cyan", "done": "green"}[cell.phase]
    return {
        "phase": Text(cell.phase, style=phase_style),
        "run": Text(str(cell.running)),
        "search": Text(f"{cell.ended}/{cell.planned}"),
        "stop": Text(str(cell.pruned)),
        "div": Text(str(cell.diverged), style="red" if cell.diverged else ""),
        "fail": Text(str(cell.failed), style="red" if cell.failed else ""),
        "val": Text(as_text(cell.best_objective), style="bold"),
        "confirm": Text(f"{cell.confirmed}/{cell.confirm_planned}"),
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
