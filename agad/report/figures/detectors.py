"""Figures of each detector of a study: each has its own space, rungs and objective."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from agad.report.figures.figure_data import DetectorSearch, FigureData
from agad.report.figures.render import Figure
from agad.report.numbers.leaderboard import Leaderboard
from agad.report.pages.rounding import plain

Draw: TypeAlias = Callable[[Leaderboard, FigureData], list[Figure]]


def of_each_detector(draw: Draw, board: Leaderboard, figure_data: FigureData) -> list[Figure]:
    """Return the figures of every detector, by its name if there are several.

    Args:
        draw: Draws the figures of one detector.
        board: The study's leaderboard.
        figure_data: The data of the study's figures.
    """
    if len(figure_data.searches) == 1:
        return draw(board, figure_data)
    return [
        replace(
            figure,
            name=f"{figure.name}-{name}",
            title=f"{figure.title}: {plain(_method(board, one))}",
        )
        for one, name in zip(figure_data.searches, _names(figure_data.searches), strict=True)
        for figure in draw(_part(board, one), _data_of(figure_data, one))
    ]


def _names(searches: Sequence[DetectorSearch]) -> Iterator[str]:
    """Yield a name for each detector; a further candidate of a detector has a number."""
    used: set[str] = set()
    for one in searches:
        name, number = one.detector, 1
        while name in used:
            number += 1
            name = f"{one.detector}-{number}"
        used.add(name)
        yield name


def _method(board: Leaderboard, one: DetectorSearch) -> str:
    return next((cell.method for cell in board.cells if cell.cell in one.cells), one.detector)


def _part(board: Leaderboard, one: DetectorSearch) -> Leaderboard:
    return replace(
        board,
        cells=tuple(cell for cell in board.cells if cell.cell in one.cells),
        searches=tuple(cell for cell in board.searches if cell.cell in one.cells),
    )


def _data_of(figure_data: FigureData, one: DetectorSearch) -> FigureData:
    cell_of = {row.trial_key: row.cell for row in figure_data.trials}
    return replace(
        figure_data,
        searches=(one,),
        pictures=[
            picture
            for picture in figure_data.pictures
            if cell_of.get(picture.trial_key) in one.cells
        ],
    )
