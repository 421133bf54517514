"""Rows of two methods, and the leaderboards made from them as text."""

import io
import json
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import numpy as np
from rich.console import Console

from agad.config import Grid
from agad.records import TrialRow
from agad.report import Leaderboard, terminal

RowBuilder: TypeAlias = Callable[..., TrialRow]
BACKBONES = ("naive", "unet")


def printed(board: Leaderboard, width: int) -> str:
    out = io.StringIO()
    Console(width=width, file=out, color_system=None).print(terminal(board))
    return out.getvalue()


def words(text: str) -> str:
    return " ".join(text.replace("•", " ").split())


def rows_of(
    make_confirm_row: RowBuilder,
    grid: Grid,
    shifts: Mapping[str, float],
    missing: Iterable[str] = (),
) -> list[TrialRow]:
    """Return three seeds a cell: a level of the class, and a shift of the backbone."""
    rng = np.random.default_rng(0)
    levels: dict[object, float] = {}
    rows = []
    for cell in grid.all_cells:
        level = levels.setdefault((cell.dataset, cell.given_class), float(rng.uniform(0.6, 0.9)))
        shift = shifts[str(dict(cell.settings)["backbone"])]
        place = {
            "cell": cell.label,
            "dataset": cell.dataset,
            "normal_class": cell.normal_class,
            "anomaly_ratio": cell.anomaly_ratio,
            "pollution_ratio": cell.pollution_ratio,
            "settings": json.dumps(dict(cell.settings)),
        }
        rows += [
            make_confirm_row(seed, level + shift + seed / 100, **place)
            for seed in (1, 2, 3)
            if cell.label not in missing
        ]
    return rows


def grid(classes: Iterable[int], datasets: Iterable[str] = ("digits",)) -> Grid:
    return Grid(
        dataset=list(datasets), normal_class=list(classes), settings={"backbone": list(BACKBONES)}
    )
