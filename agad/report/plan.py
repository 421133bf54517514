"""What a study will take, as a table for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from agad.report.rounding import count_text, plain, seconds_text

if TYPE_CHECKING:
    from agad.study import CellPlan, StudyPlan


def plan_table(plan: StudyPlan, slots: int) -> RenderableType:
    """Return trials, epochs, seconds and labels of a study.

    Args:
        plan: With an epoch measured for each kind of cell.
        slots: Trials at once.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("cell", "epoch", "steps measured", "labels val+fit"):
        is_cell = header == "cell"
        justify: JustifyMethod = "left" if is_cell else "right"
        table.add_column(header, justify=justify, overflow="fold", no_wrap=not is_cell)
    for cell in plan.cells:
        table.add_row(Text(plain(cell.label)), *_numbers(cell))
    return Group(
        Text(f"Study {plain(plan.study)}: what it will take, nothing was run", style="bold"),
        table,
        *(Text(f"• {line}") for line in _lines(plan, slots)),
    )


def _numbers(cell: CellPlan) -> tuple[str, str, str]:
    return (
        f"{cell.epoch_s:.3f} s" if cell.epoch_s < 1 else seconds_text(cell.epoch_s),
        f"{cell.num_measured} of {cell.num_steps}",
        f"{cell.num_val_anomalies}+{cell.num_fit_anomalies}",
    )


def _lines(plan: StudyPlan, slots: int) -> list[str]:
    labels = sum(cell.num_val_anomalies + cell.num_fit_anomalies for cell in plan.cells)
    most = max(cell.num_search_instances for cell in plan.cells)
    searched = [cell for cell in plan.cells if cell.num_search_instances]
    is_everywhere = len(searched) == len(plan.cells)
    seeds = "one seed" if most == 1 else f"{most} seeds"
    where = "" if is_everywhere else f", on {count_text(len(searched), 'cell')} alone"
    each = (
        ""
        if is_everywhere
        else f" for each of {count_text(plan.num_searches, 'search', 'searches')}"
    )
    return [
        f"Trials: {plan.num_search_trials:,} to search, {plan.num_confirm_trials:,} to confirm "
        f"({plan.trials_per_cell}{each} and {plan.confirm_per_cell} a cell).",
        f"Epochs: about {plan.likely_epochs:,.0f} where {plan.expectation}, at most "
        f"{plan.most_epochs:,}.",
        f"Time on {slots} trials at once: about {seconds_text(plan.likely_s / slots)}, or "
        f"{seconds_text(plan.most_s / slots)} where none is stopped, from steps measured here; "
        "trials beside each other can be slower, and the test is not counted.",
        f"Labels: anomalies to select + to train, {labels:,} a seed over all cells if none is "
        f"shared; the search has {seeds}{where}, the confirm phase "
        f"{plan.num_confirm_seeds} others.",
    ]
