"""Test AUROC of every cell: classes against ratios."""

from __future__ import annotations

from collections.abc import Sequence

from agad.report.figures.parts import (
    Datum,
    axis,
    chart,
    layer,
    layers,
    level,
    level_name,
    number_tip,
    panels,
    series,
    tip,
    told,
)
from agad.report.figures.render import Figure, Spec
from agad.report.numbers.leaderboard import Leaderboard
from agad.report.numbers.results import CellResult
from agad.report.pages.page import text_table
from agad.report.pages.rounding import (
    confirmed_text,
    count_text,
    interval_text,
    plain,
    ratio_text,
    score_text,
)

_ROW_PX = 24
_COLUMN_PX = 58
_MIDDLE = 0.5
"""The middle of the colours' range. The text on a lighter tile is black."""


def heat_figures(board: Leaderboard) -> list[Figure]:
    """Return the map of all cells; none before a confirmed result."""
    if all(cell.test_auroc is None for cell in board.cells):
        return []
    num_missing = sum(cell.test_auroc is None for cell in board.cells)
    missing = (
        f" {count_text(num_missing, 'cell')} without a confirmed seed: an empty tile with a dash."
        if num_missing
        else ""
    )
    return [
        Figure(
            name="auroc-by-class",
            title=f"Test AUROC of each class at each {level_name(board.cells)}",
            caption=(
                f"Each tile: the mean over a cell's confirm seeds, "
                f"{count_text(len(board.cells), 'cell')}. "
                "Colours run over what was found, so two figures do not share them. Tiles carry no "
                f"interval; the table has it.{missing}"
            ),
            alt="Test AUROC by cell: "
            + told(f"{plain(cell.cell)}: {score_text(cell.test_auroc)}" for cell in board.cells),
            spec=_spec(board.cells),
            table=text_table(
                [
                    ("data set", lambda cell: cell.dataset),
                    ("method", series),
                    ("class", lambda cell: str(cell.given_class)),
                    (level_name(board.cells), lambda cell: ratio_text(level(cell))),
                    ("test AUROC", confirmed_text),
                    ("95 % interval", lambda cell: interval_text(cell.test_auroc_interval)),
                ],
                board.cells,
            ),
        )
    ]


def _spec(cells: Sequence[CellResult]) -> Spec:
    found = [cell.test_auroc for cell in cells if cell.test_auroc is not None]
    low, high = min(found), max(found)
    # Equal scores share one colour: a range without width has no middle.
    domain = [low, high] if high > low else [low - _MIDDLE, low + _MIDDLE]
    values: list[Datum] = [
        {
            "panel": plain(f"{cell.dataset} · {series(cell)}"),
            "class": plain(str(cell.given_class)),
            "ratio": ratio_text(level(cell)),
            "score": cell.test_auroc,
            "shown": score_text(cell.test_auroc),
            "n": cell.num_confirmed,
            "is_light": cell.test_auroc is not None
            and cell.test_auroc - domain[0] > _MIDDLE * (domain[1] - domain[0]),
        }
        for cell in cells
    ]
    ratios = [ratio_text(ratio) for ratio in sorted({level(cell) for cell in cells})]
    name = level_name(cells)
    title = "anomaly ratio" if name == "ratio" else name
    classes = list(dict.fromkeys(datum["class"] for datum in values))
    shown = list(dict.fromkeys(datum["panel"] for datum in values))
    colour = axis(
        "score",
        "test AUROC",
        scale={"scheme": "viridis", "domain": domain},
        legend={"format": ".3~f"},
        condition={"test": "!isValid(datum.score)", "value": "transparent"},
    )
    black_or_white = {"condition": {"test": "datum.is_light", "value": "black"}, "value": "white"}
    text = {"type": "text", "fontSize": 11}
    panel = layers(
        # Vega refuses a step as the height of several panels, each with its own scale.
        ({"step": _COLUMN_PX}, _ROW_PX * len(classes) if len(shown) > 1 else {"step": _ROW_PX}),
        layer({"type": "rect", "stroke": "#888888", "strokeWidth": 0.5}, color=colour),
        layer(text, where="isValid(datum.score)", text={"field": "shown"}, color=black_or_white),
        layer(text, where="!isValid(datum.score)", text={"field": "shown"}),
        x=axis("ratio", title, "ordinal", sort=ratios, axis={"labelAngle": 0}),
        y=axis("class", "class", "ordinal", sort=classes),
        tooltip=[tip("class"), tip("ratio", name), tip("shown", "test AUROC"), number_tip("n")],
    )
    own_scales = ["y"] if len(shown) > 1 else []
    return chart(values, panels("panel", shown, panel, own_scales=own_scales))
