"""The critical-difference diagram: average ranks, and which methods do not differ."""

from __future__ import annotations

import math
import re

from agad.report.figures.parts import Datum, axis, chart, layer, layers, number_tip, tip, told
from agad.report.figures.render import Figure, Spec
from agad.report.numbers.leaderboard import Leaderboard
from agad.report.numbers.rankings import Ranking
from agad.report.pages.columns import ranking_layouts
from agad.report.pages.notes import ranking_note
from agad.report.pages.rounding import plain

_WIDTH_PX = 520
_LINE_PX = 18
"""Height of a label's line and of a group's bar."""


def rank_figures(board: Leaderboard) -> list[Figure]:
    """Return a diagram of each ranking with a verdict. The notes say why a ranking has none."""
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
    """Lay out the scale at 0, the groups' bars below the scale, and the labels below the bars.

    Labels of the better half of the methods stand on the left, the others on the right, as in
    Demsar 2006, Statistical comparisons of classifiers over multiple data sets.
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
        name, number = plain(method), f"{rank:.2f}"
        values.append(
            {
                "method": name,
                "label": f"{name}  {number}" if is_left else f"{number}  {name}",
                "rank": rank,
                "top": 0,
                "line": len(bars) + 1.5 + (place if is_left else num_methods - 1 - place),
                "end": first if is_left else last,
                "is_left": is_left,
                "groups": ranking.groups[place],
            }
        )
    values += [
        {"from": low, "to": high, "bar": place + 0.9} for place, (low, high) in enumerate(bars)
    ]
    depth = len(bars) + 1.5 + num_left
    x = axis(
        "rank",
        "average rank",
        scale={"domain": [first, last], "nice": False, "zero": False},
        axis={"orient": "top", "grid": False, "values": [*range(1, num_methods + 1)]},
    )
    down = {"domain": [0, depth], "reverse": True, "nice": False}
    line, top, bar = (axis(one, "", scale=down, axis=None) for one in ("line", "top", "bar"))
    has_label = "isValid(datum.label)"
    end = x | {"field": "end"}
    panel = layers(
        (_WIDTH_PX, _LINE_PX * depth),
        layer({"type": "rule"}, where=has_label, x=x, y=top, y2={"field": "line"}),
        layer({"type": "rule"}, where=has_label, x=x, x2={"field": "end"}, y=line),
        _labels({"align": "right", "dx": -6}, is_left=True, x=end, y=line),
        _labels({"align": "left", "dx": 6}, is_left=False, x=end, y=line),
        layer(
            {"type": "rule", "strokeWidth": 5, "strokeCap": "round"},
            where="isValid(datum.bar)",
            x=x | {"field": "from"},
            x2={"field": "to"},
            y=bar,
        ),
    )
    return chart(values, {"view": {"stroke": None}, **panel})


def _labels(side: Spec, *, is_left: bool, x: Spec, y: Spec) -> Spec:
    return layer(
        {"type": "text", "baseline": "middle", **side},
        where={"field": "is_left", "equal": is_left},
        x=x,
        y=y,
        text={"field": "label"},
        tooltip=[tip("method"), number_tip("rank", "average rank", ".2f"), tip("groups", "group")],
    )


def _bars(ranking: Ranking) -> list[tuple[float, float]]:
    """Return the lowest and the highest rank of each group of several methods."""
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
    """Split the groups of a method: ``"ab1"`` is ``a`` and ``b1``."""
    return re.findall(r"[a-z]\d*", text)
