"""The plan of a study and its cost, as a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from agad.report.pages.rounding import (
    NONE,
    cell_text,
    cost_text,
    count_text,
    names_text,
    plain,
    seconds_text,
)

if TYPE_CHECKING:
    from agad.study import CellPlan, DetectorPlan, FeatureTime, StudyPlan


def plan_table(
    plan: StudyPlan,
    slots: int,
    price_per_gpu_hour: float | None = None,
    price_per_hour: float | None = None,
) -> RenderableType:
    """Return the trials, epochs, seconds, GPU time and labels that the rest of a study will take.

    Args:
        plan: The plan. The table says so if its seconds are unknown.
        slots: Trials that run at once.
        price_per_gpu_hour: 0 or more, in any currency; None shows no cost of GPUs.
        price_per_hour: The price of all machines together, as the price of GPUs.
    """
    if plan.is_done:
        return Text(f"Study {plain(plan.study)}: {_done_text(plan)}, nothing left.", style="bold")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("cell", "epoch", "timed", "labels val+fit", "distinct"):
        is_cell = header == "cell"
        justify: JustifyMethod = "left" if is_cell else "right"
        table.add_column(header, justify=justify, overflow="fold", no_wrap=not is_cell)
    several = len(plan.detectors) > 1
    for one in plan.detectors:
        for cell in one.cells:
            name = cell_text(cell.label, one.detector if several else "")
            table.add_row(Text(plain(name)), *_numbers(cell))
    counts = [line for one in plan.detectors for line in _counts(one, several=several)]
    lines = [*counts, *_seconds(plan, slots), *_gpu_time(plan, price_per_gpu_hour)]
    if price_per_hour is not None:
        lines.append(_wall_cost(plan, slots, price_per_hour))
    what = "what it will take, nothing was run"
    if plan.done is not None:
        what = "what is left, nothing was run"
        lines.insert(0, f"So far: {_done_text(plan)}; what follows is what is left.")
    return Group(
        Text(f"Study {plain(plan.study)}: {what}", style="bold"),
        table,
        *(Text(f"• {line}") for line in (*lines, _labels(plan))),
    )


def expected_line(plan: StudyPlan, slots: int, features: FeatureTime) -> str:
    """Return in a line how long the rest of a study is expected to take.

    Args:
        plan: The plan. The line names a least time if the time of some cells is unknown.
        slots: Trials that run at once.
        features: The features of encoders that the study needs.
    """
    num_unknown = sum(cell.epoch_time is None for cell in plan.cells)
    parts = [f"{count_text(plan.num_trials, 'trial')}, {slots:,} at once"]
    if features.num_images:
        parts.append(f"features of {count_text(features.num_images, 'image')}")
    least = "about"
    if num_unknown:
        least = "more than"
        parts.append(f"unknown for {num_unknown:,} of {count_text(len(plan.cells), 'cell')}")
    seconds = plan.known.seconds + features.seconds
    time = f"{least} {seconds_text(seconds / slots)}" if seconds else "unknown"
    return f"Expected time: {time} ({'; '.join(parts)})"


def _done_text(plan: StudyPlan) -> str:
    """Return how many of a study's trials are done, such as ``12 of 12 trials done``."""
    assert plan.done is not None
    cells = plan.done.cells
    num_done = sum(cell.ended + cell.confirmed for cell in cells)
    num_planned = sum(cell.planned + cell.confirm_planned for cell in cells)
    by = f" ({plain(plan.done.ended_by)} ended the search)" if plan.done.ended_by else ""
    return f"{num_done:,} of {count_text(num_planned, 'trial')} done{by}"


def _numbers(cell: CellPlan) -> tuple[str, str, str, str]:
    labels = f"{cell.num_val_anomalies}+{cell.num_fit_anomalies}"
    distinct = f"{cell.num_labelled:,}"
    if cell.epoch_time is None:
        return "unknown", NONE, labels, distinct
    epoch_s = cell.epoch_time.epoch_s
    return (
        f"{epoch_s:.3f} s" if epoch_s < 1 else seconds_text(epoch_s),
        cell.epoch_time.source,
        labels,
        distinct,
    )


def _counts(plan: DetectorPlan, *, several: bool) -> list[str]:
    """Return how many trials and epochs a detector takes, by its method if there are several."""
    name = f"{plain(plan.method or plan.detector)}: " if several else ""
    # A cell where nothing is searched does not share the search of another.
    shares = [cell for cell in plan.cells if cell.label_budget != 0]
    is_everywhere = all(cell.num_search_instances for cell in shares)
    each = (
        ""
        if is_everywhere
        else f" for each of {count_text(plan.num_searches, 'search', 'searches')}"
    )
    further = []
    if plan.stage_epochs:
        further = [
            f"{name}Each trial first trains {count_text(plan.stage_epochs, 'epoch')} that nothing "
            "scores; the time counts each as one of the study's epochs."
        ]
    if plan.num_left_out:
        further.append(
            f"{name}Left out: {count_text(plan.num_left_out, 'cell')} at {_axis(plan.cells)} 0, "
            "where no labelled anomaly can be fitted."
        )
    if plan.num_unsearched:
        further.append(
            f"{name}Nothing is searched in {count_text(plan.num_unsearched, 'cell')} at label "
            "budget 0: the configuration is confirmed as it is."
        )
    if not plan.trials_per_cell:
        return [
            f"{name}Trials: {plan.num_confirm_trials:,} to confirm, of "
            f"{count_text(plan.max_epochs, 'epoch')} each; nothing to search.",
            *further,
        ]
    is_begun = any(cell.search_left < 1 or cell.confirm_left < 1 for cell in plan.cells)
    each_cell = f" ({plan.trials_per_cell}{each} and {plan.confirm_per_cell} a cell)"
    share = "" if is_begun else each_cell
    return [
        f"{name}Trials: {plan.num_search_trials:,} to search, {plan.num_confirm_trials:,} to "
        f"confirm{share}.",
        f"{name}Epochs: about {plan.likely_epochs:,.0f} where {plan.expectation}, at most "
        f"{plan.most_epochs:,}; {plan.confirm_epochs:,} of them to confirm.",
        *further,
    ]


def _seconds(plan: StudyPlan, slots: int) -> list[str]:
    """Return the total seconds and the hardware on which they were timed."""
    epoch_times = [cell.epoch_time for cell in plan.cells if cell.epoch_time is not None]
    hardware = names_text(sorted({plain(epoch_time.hardware) for epoch_time in epoch_times}))
    likely, most = plan.likely, plan.most
    if likely is None or most is None:
        num = len(plan.cells) - len(epoch_times)
        of = "" if not epoch_times else f" of {num} of {count_text(len(plan.cells), 'cell')}"
        return [
            f"Time: seconds an epoch unknown{of}: no trial of this kind in the store; --measure "
            "times one."
        ]
    is_tested = all(epoch_time.test_s for epoch_time in epoch_times)
    test = "the test is counted" if is_tested else "the test is not counted"
    search, confirm = (seconds_text(one / slots) for one in (likely.search_s, likely.confirm_s))
    return [
        f"Wall time on {count_text(slots, 'trial')} at once: about {search} to search and "
        f"{confirm} to confirm, {seconds_text(likely.seconds / slots)} in all, or "
        f"{seconds_text(most.seconds / slots)} where none is stopped; the workers' time is "
        f"{seconds_text(likely.seconds)}, or {seconds_text(most.seconds)}; by what was timed on "
        f"{hardware}; trials beside each other can be slower, and {test}."
    ]


def _wall_cost(plan: StudyPlan, slots: int, price_per_hour: float) -> str:
    """Return the cost of the wall time; unknown if the time is."""
    likely, most = plan.likely, plan.most
    if likely is None or most is None:
        return "Cost: unknown, as the time is."
    both, all_of_it = (
        cost_text(one.seconds / slots / 3600 * price_per_hour) for one in (likely, most)
    )
    return (
        f"Cost at {cost_text(price_per_hour)} an hour of all machines together: about {both}, or "
        f"{all_of_it} where none is stopped."
    )


def _gpu_time(plan: StudyPlan, price_per_gpu_hour: float | None) -> list[str]:
    """Return the GPU time, and its cost if there is a price."""
    likely, most = plan.likely, plan.most
    if likely is None or most is None:
        return [] if price_per_gpu_hour is None else ["Cost: unknown, as the time is."]
    if not most.gpu_s:
        text = "GPU time: none, since no trial that was timed took a GPU"
        if price_per_gpu_hour is not None:
            text += "; no cost by the GPU-hour, but --price-per-hour prices the wall time"
        return [f"{text}."]
    search, confirm, both, all_of_it = (
        f"{one / 3600:,.2f}"
        for one in (likely.search_gpu_s, likely.confirm_gpu_s, likely.gpu_s, most.gpu_s)
    )
    lines = [
        f"GPU-hours: about {search} to search and {confirm} to confirm, {both} in all, or "
        f"{all_of_it} where none is stopped, at the share of a GPU that was reserved there."
    ]
    if price_per_gpu_hour is not None:
        price_per_s = price_per_gpu_hour / 3600
        search, confirm, both, all_of_it = (
            cost_text(one * price_per_s)
            for one in (likely.search_gpu_s, likely.confirm_gpu_s, likely.gpu_s, most.gpu_s)
        )
        lines.append(
            f"Cost at {cost_text(price_per_gpu_hour)} a GPU-hour: about {search} to search and "
            f"{confirm} to confirm, {both} in all, or {all_of_it} where none is stopped."
        )
    return lines


def _axis(cells: Sequence[CellPlan]) -> str:
    """Return the name of the axis that says how many anomalies are labelled."""
    return "ratio" if any(cell.label_budget is None for cell in cells) else "label budget"


def _labels(plan: StudyPlan) -> str:
    counted = (
        f"Labels: {count_text(plan.num_labelled, 'distinct anomaly', 'distinct anomalies')} to "
        "build (to select and to train, in all seeds and phases), "
        f"{plan.num_test_anomalies:,} more of the test split to judge; each counted once a class."
    )
    if _axis(plan.cells) != "ratio":
        return counted
    return f"{counted} {_labels_of_seeds(plan)}"


def _labels_of_seeds(plan: StudyPlan) -> str:
    """Return the labels of a seed, where each seed draws its own."""
    labels = sum(cell.num_val_anomalies + cell.num_fit_anomalies for cell in plan.cells)
    most = max(cell.num_search_instances for cell in plan.cells)
    searched = [cell for cell in plan.cells if cell.num_search_instances]
    is_everywhere = len(searched) == len(plan.cells)
    where = "" if is_everywhere else f", on {count_text(len(searched), 'cell')} alone"
    return (
        f"Each seed draws its own: {labels:,} to select + to train a seed over all cells if none "
        f"is shared; the search has {count_text(most, 'seed')}{where}, the confirm phase "
        f"{count_text(plan.num_confirm_seeds, 'other', 'others')}. Grid(labels=...) keeps all of "
        "them to one pool."
    )
