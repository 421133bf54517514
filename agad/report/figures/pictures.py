"""Test images beside what a confirmed model makes of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from itertools import groupby

from agad.errors import StoreError
from agad.report.figures.figure import Figure
from agad.report.figures.figure_data import FigureData, Picture
from agad.report.figures.parts import Datum, Spec, axis, chart, part_name, tip, told
from agad.report.numbers.leaderboard import Leaderboard
from agad.report.pages.rounding import plain

_TILE_PX = (216, 72)
"""Of the three tiles of a picture on the chart, in all."""

_MAX_SIDE_PX = 512
_STEP_PX = (_TILE_PX[0] + 14, _TILE_PX[1] + 26)


def picture_figures(board: Leaderboard, figure_data: FigureData) -> list[Figure]:
    """Return the pictures of each model that has any, one figure each.

    Raises:
        StoreError: A picture is none.
    """
    rows = {row.trial_key: row for row in figure_data.trials}
    known = [one for one in figure_data.pictures if one.trial_key in rows]
    models = [[*of_it] for _, of_it in groupby(known, key=lambda one: one.trial_key)]
    num_confirmed = sum(cell.num_confirmed > 0 for cell in board.cells)
    return [
        Figure(
            name=part_name("reconstructions", place, models),
            title=plain(f"Reconstructions: {rows[of_model[0].trial_key].cell}"),
            caption=(
                "Test image, its reconstruction, and where they differ (black: equal, white: far "
                "apart, one scale for all), with the score below. One model, of the cell's first "
                "seed; images drawn without regard to their scores, so they show no rate of "
                f"errors. Of {num_confirmed:,} confirmed cells {len(models):,} are pictured."
            ),
            alt="Scores of the images shown: " + told(_score_texts(of_model)),
            spec=_spec(of_model),
        )
        for place, of_model in enumerate(models)
    ]


def _score_texts(pictures: Sequence[Picture]) -> list[str]:
    return [f"{_kind(one)} image {one.image}: {one.score:.3g}" for one in pictures]


def _kind(one: Picture) -> str:
    return "anomalous" if one.is_anomaly else "normal"


def _spec(pictures: Sequence[Picture]) -> Spec:
    values: list[Datum] = []
    for kind, of_kind in groupby(pictures, key=_kind):
        values += [
            {
                "kind": kind,
                "place": place,
                "image": one.image,
                "score": one.score,
                "shown": f"image {one.image}: {one.score:.3g}",
                "png": _data_url(one),
            }
            for place, one in enumerate(of_kind)
        ]
    return chart(
        values,
        {
            "width": {"step": _STEP_PX[0]},
            "height": {"step": _STEP_PX[1]},
            "view": {"stroke": None},
            "encoding": {
                "x": axis("place", "", "ordinal", axis=None),
                "y": axis(
                    "kind",
                    "",
                    "ordinal",
                    sort=["normal", "anomalous"],
                    axis={"domain": False, "ticks": False},
                ),
                "tooltip": [
                    tip("kind", "kind"),
                    tip("image", "image"),
                    tip("score", "score", "quantitative", ".4~g"),
                ],
            },
            "layer": [
                {
                    "mark": {"type": "image", "width": _TILE_PX[0], "height": _TILE_PX[1]},
                    "encoding": {"url": {"field": "png"}},
                },
                {
                    "mark": {"type": "text", "dy": _TILE_PX[1] / 2 + 9, "fontSize": 10},
                    "encoding": {"text": {"field": "shown"}},
                },
            ],
        },
    )


def _data_url(one: Picture) -> str:
    """Return a picture for a chart: drawn anew, since a store's bytes may hold anything else."""
    # Pillow is not needed by a leaderboard without figures.
    from PIL import Image

    try:
        with Image.open(io.BytesIO(one.png), formats=["PNG"]) as picture:
            picture.thumbnail((_MAX_SIDE_PX, _MAX_SIDE_PX))
            shown = picture.convert("RGB").quantize(colors=128)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise StoreError(
            f"the picture of image {one.image} of the trial {one.trial_key} is no PNG ({error}); "
            "restore it from a copy, or remove it."
        ) from error
    buffer = io.BytesIO()
    shown.save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
