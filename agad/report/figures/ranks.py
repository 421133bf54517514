"""The critical-difference diagram: average ranks, and which methods do not differ."""

from __future__ import annotations

import math
import re

from agad.report.figures.figure import Figure
from agad.report.figures.parts import Datum, Spec, axis, chart, tip, told
from agad.report.numbers.leaderboard import Leaderboard
from agad.report.numbers.rankings import Ranking
from agad.report.pages.columns import ranking_layouts
from agad.report.pages.notes import ranking_note
from agad.report.pages.rounding import plain

_WIDTH_PX = 520
_LINE_PX = 18
"""Height of a label's line, and of a group's bar."""


def rank_figures(board: Leaderboard) -> list[Figure]:
    """Return a diagram for each ranking that has a verdict; the notes say why another has none."""
    return [
        Figure(
            name=f"ranks-{number}",
            title=plain(f"Average ranks over {_of(ranking)}"),
            caption=(
                "Average rank of each method, 1 the best; methods under one bar are not apart at "
                f"0.05, and a bar is a group, not a distance. {ranking_note(ranking)}"
            ),
            alt=f"Average ranks over {plain(_of(ranking))}: "
            + told(
                f"{plain(method)} {rank:.2f}, group {letters}"
                for method, rank, letters in zip(
                    ranking.methods, ranking.average_ranks, ranking.groups, strict=True
                )
            ),
            spec=_spec(ranking),
            table=ranking_layouts(ranking)[0][0][0],
        )
        for number, ranking in enumerate(board.rankings, start=1)
        if ranking.has_verdict
    ]


def _of(ranking: Ranking) -> str:
    alike = f", {ranking.policy} alone" if ranking.policy else ""
    return (f"the classes of {ranking.dataset}" if ranking.dataset else "data sets") + alike


def _spec(ranking: Ranking) -> Spec:
    """Lay out the scale at 0, the groups' bars below it, and the labels' lines below these.

    The better half of the methods is named on the left, the other on the right, as Demsar has it.
    """
    bars = _bars(ranking)
    num_methods = len(ranking.methods)
    num_left = math.ceil(num_methods / 2)
    first, last = 1.0, float(num_methods)
    values: list[Datum] = []
    for place, (method, rank) in enumerate(
        zip(ranking.methods, ranking.average_ranks, strict=True)
    ):
        is_left = place < num_left
        line = place if is_left else num_methods - 1 - place
        values.append(
            {
                "method": plain(method),
                "label": f"{plain(method)}  {rank:.2f}"
                if is_left
                else f"{rank:.2f}  {plain(method)}",
                "rank": rank,
                "top": 0,
                "line": len(bars) + 1.5 + line,
                "end": first if is_left else last,
                "is_left": is_left,
                "groups": ranking.groups[place],
            }
        )
    values += [
        {"from": low, "to": high, "bar": place + 0.9} for place, (low, high) in enumerate(bars)
    ]
    depth = len(bars) + 1.5 + num_left
    rank_axis = axis(
        "rank",
        "average rank",
        scale={"domain": [first, last], "nice": False, "zero": False},
        axis={"orient": "top", "grid": False, "values": [*range(1, num_methods + 1)]},
    )
    down: Spec = {"scale": {"domain": [0, depth], "reverse": True, "nice": False}, "axis": None}
    leader = [{"filter": "isValid(datum.label)"}]
    return chart(
        values,
        {
            "width": _WIDTH_PX,
            "height": _LINE_PX * depth,
            "view": {"stroke": None},
            "layer": [
                {
                    "transform": leader,
                    "mark": {"type": "rule"},
                    "encoding": {
                        "x": rank_axis,
                        "y": axis("top", "", **down),
                        "y2": {"field": "line"},
                    },
                },
                {
                    "transform": leader,
                    "mark": {"type": "rule"},
                    "encoding": {
                        "x": rank_axis,
                        "x2": {"field": "end"},
                        "y": axis("line", "", **down),
                    },
                },
                *(_labels(is_left, rank_axis, down) for is_left in (True, False)),
                {
                    "transform": [{"filter": "isValid(datum.bar)"}],
                    "mark": {"type": "rule", "strokeWidth": 5, "strokeCap": "round"},
                    "encoding": {
                        "x": rank_axis | {"field": "from"},
                        "x2": {"field": "to"},
                        "y": axis("bar", "", **down),
                    },
                },
            ],
        },
    )


def _labels(is_left: bool, rank_axis: Spec, down: Spec) -> Spec:
    side = {"align": "right", "dx": -6} if is_left else {"align": "left", "dx": 6}
    return {
        "transform": [{"filter": {"field": "is_left", "equal": is_left}}],
        "mark": {"type": "text", "baseline": "middle", **side},
        "encoding": {
            "x": rank_axis | {"field": "end"},
            "y": axis("line", "", **down),
            "text": {"field": "label"},
            "tooltip": [
                tip("method", "method"),
                tip("rank", "average rank", "quantitative", ".2f"),
                tip("groups", "group"),
            ],
        },
    }


def _bars(ranking: Ranking) -> list[tuple[float, float]]:
    """Return the lowest and the highest rank of each letter that several methods share."""
    bars = []
    for letter in sorted({one for letters in ranking.groups for one in _letters(letters)}):
        ranks = [
            rank
            for rank, letters in zip(ranking.average_ranks, ranking.groups, strict=True)
            if letter in _letters(letters)
        ]
        if len(ranks) > 1:
            bars.append((min(ranks), max(ranks)))
    return sorted(bars)


def _letters(text: str) -> list[str]:
    """Return the groups of a method: ``a``, ..., ``z``, ``a1``, ..."""
    return re.findall(r"[a-z]\d*", text)
