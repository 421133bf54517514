"""Numbers and names as text. Numbers are rounded only in this room."""

from __future__ import annotations

import json
from collections.abc import Sequence

from agad.config import count_text as count_text  # Beside the other texts.
from agad.report.numbers.chance import CHANCE, Verdict, chance_verdict
from agad.report.numbers.methods import Contrast
from agad.report.numbers.results import CellResult, RatioResult, Summary
from agad.report.numbers.statistics import Interval

NONE = "-"
"""The text for a missing number."""

NO_RESULTS = (NONE, "not confirmed", "no trial yet")
"""The texts for a missing result."""


def plain(text: str) -> str:
    """Return a text on one line, without characters that control a terminal or reorder a line."""
    return printable(" ".join(text.split()))


def printable(line: str) -> str:
    """Return a line as ``plain`` does, but with its spaces, which align the columns of a table."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for character in line.expandtabs()
    )


def cell_text(label: str, detector: str) -> str:
    """Return a cell's label with the name of the detector, which some labels leave out."""
    named = f"detector={detector}"
    return label if not detector or named in label.split() else f"{label} {named}"


def score_text(score: float | None) -> str:
    """Return an AUROC or average precision as a fraction with three decimals."""
    return NONE if score is None else f"{score:.3f}"


def objective_text(objective: float | None) -> str:
    """Return an objective that is no AUROC and may have any unit, with four digits."""
    return NONE if objective is None else f"{objective:.4g}"


_MARKS: dict[Verdict, str] = {"better": "", "chance": " ~0.5", "worse": " <0.5"}
"""The mark of an AUROC in a table, by its verdict."""


def chance_mark(auroc: float | None, interval: Interval | None) -> str:
    """Return the mark of an AUROC that is not better than chance; empty for every other."""
    return "" if auroc is None else _MARKS[chance_verdict(auroc, interval)]


def chance_text(auroc: float | None, interval: Interval | None) -> str:
    """Return in words that an AUROC is not better than chance; empty for every other."""
    verdict: Verdict = "better" if auroc is None else chance_verdict(auroc, interval)
    if verdict == "better":
        return ""
    said = "worse than chance" if verdict == "worse" else "not told apart from chance"
    held = "" if interval is None else f"95 % interval {interval_text(interval)}; "
    return f"{said} ({held}chance is {CHANCE:g})"


def marked_text(auroc: float | None, interval: Interval | None) -> str:
    """Return an AUROC with three decimals and its mark."""
    return score_text(auroc) + chance_mark(auroc, interval)


def interval_text(interval: Interval | None) -> str:
    """Return the ends of an interval of scores."""
    return NONE if interval is None else f"{interval.low:.3f}-{interval.high:.3f}"


def difference_text(difference: float | None) -> str:
    """Return a difference of scores with its sign."""
    return NONE if difference is None else f"{difference:+.3f}"


def signed_interval_text(interval: Interval | None) -> str:
    """Return the ends of an interval of differences."""
    return NONE if interval is None else f"{interval.low:+.3f} to {interval.high:+.3f}"


def p_text(p: float) -> str:
    """Return a p value with three decimals."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def cost_text(cost: float | None) -> str:
    """Return a cost with two decimals, in the currency of the price."""
    return NONE if cost is None else f"{cost:,.2f}"


def ratio_text(anomaly_ratio: float) -> str:
    """Return a ratio with up to six digits."""
    return f"{anomaly_ratio:g}"


def seconds_text(seconds: float) -> str:
    """Return a duration in s, min or h, such as ``83 s`` or ``12 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    if seconds < 119.5 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def confirmed_text(cell: CellResult) -> str:
    """Return mean ± SD (n), with the number planned if fewer seeds have a score."""
    if cell.test_auroc is None:
        return NO_RESULTS[1] if cell.selection else NO_RESULTS[2]
    spread = "" if cell.test_auroc_sd is None else f" ± {cell.test_auroc_sd:.3f}"
    of_planned = (
        "" if cell.num_confirmed >= cell.num_confirm_planned else (f"/{cell.num_confirm_planned}")
    )
    return f"{cell.test_auroc:.3f}{spread} (n={cell.num_confirmed}{of_planned})"


def marked_result(cell: CellResult) -> str:
    """Return ``confirmed_text`` with a mark if the test AUROC is not better than chance."""
    return confirmed_text(cell) + chance_mark(cell.test_auroc, cell.test_auroc_interval)


def labels_text(cell: CellResult) -> str:
    """Return the labelled anomalies of validation and of training, such as ``30+10``."""
    if cell.num_val_anomalies is None or cell.num_fit_anomalies is None:
        return NONE
    return f"{cell.num_val_anomalies}+{cell.num_fit_anomalies}"


def left_out_text(over: RatioResult | Summary) -> str:
    """Return the development classes that a mean leaves out."""
    return ", ".join(map(str, over.left_out)) or NONE


def classes_text(ratio: RatioResult) -> str:
    """Return the confirmed classes of all classes, such as ``3/10``."""
    return f"{ratio.num_classes}/{ratio.num_classes + ratio.num_missing}"


def cells_text(over: Summary | Contrast) -> str:
    """Return the confirmed cells of all cells, such as ``3/10``."""
    return f"{over.num_cells}/{over.num_cells + over.num_missing}"


def params_text(cell: CellResult) -> str:
    """Return the confirmed configuration; real numbers have three digits."""
    if cell.best_params is None:
        return NONE
    return " ".join(
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={_setting_text(value)}"
        for name, value in sorted(cell.best_params.items())
    )


def _setting_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def names_text(names: Sequence[str], limit: int = 8) -> str:
    """Return the first names, and the number of the others."""
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit:,} more"
