"""Test images beside what a confirmed model makes of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from itertools import groupby

from agad.errors import StoreError
from agad.report.figures.figure_data import FigureData, Picture
from agad.report.figures.parts import (
    Datum,
    axis,
    chart,
    layer,
    layers,
    number_tip,
    part_name,
    tip,
    told,
)
from agad.report.figures.render import Figure, Spec
from agad.report.numbers.leaderboard import Leaderboard
from agad.report.pages.rounding import plain

_TILE_PX = (216, 72)
"""Width and height of a picture's three tiles together, on the chart."""

_MAX_SIDE_PX = 512


def picture_figures(board: Leaderboard, figure_data: FigureData) -> list[Figure]:
    """Return one figure of each model that has pictures.

    Raises:
        StoreError: A picture is no PNG file.
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
    width, height = _TILE_PX
    panel = layers(
        ({"step": width + 14}, {"step": height + 26}),
        layer({"type": "image", "width": width, "height": height}, url={"field": "png"}),
        layer({"type": "text", "dy": height / 2 + 9, "fontSize": 10}, text={"field": "shown"}),
        x=axis("place", "", "ordinal", axis=None),
        y=axis(
            "kind",
            "",
            "ordinal",
            sort=["normal", "anomalous"],
            axis={"domain": False, "ticks": False},
        ),
        tooltip=[tip("kind"), tip("image"), number_tip("score", "score", ".4~g")],
    )
    return chart(values, {"view": {"stroke": None}, **panel})


def _data_url(one: Picture) -> str:
    """Return a picture for a chart, drawn anew: the bytes in a store may hold anything else."""
    # A leaderboard without figures does not need Pillow.
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
