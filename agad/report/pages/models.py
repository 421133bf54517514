"""Exported models and scored pictures as text."""

from __future__ import annotations

import csv as csv_format
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from agad.report.numbers.chance import false_positive_bound
from agad.report.numbers.results import CellResult
from agad.report.pages.csv_files import csv_value
from agad.report.pages.rounding import (
    chance_text,
    confirmed_text,
    count_text,
    plain,
    score_text,
)

if TYPE_CHECKING:
    from agad.encoders import EncoderReference
    from agad.trial import ModelCard, SavedModel


_CONFIDENCE = 0.95
"""Confidence of the bound on the false-positive rate, which is one-sided."""


@dataclass(frozen=True, slots=True)
class ScoredPicture:
    """A user's picture and its score."""

    name: str
    """Path below the folder that was scored."""

    score: float
    """Higher is more anomalous."""

    is_above: bool
    """Whether the score is above the model's threshold."""


def export_summary(model: SavedModel, cell: CellResult) -> Group:
    """Return a description of an exported model.

    Args:
        model: The model with its threshold.
        cell: The cell's result in the leaderboard.
    """
    card = model.card
    assert card.exported is not None
    scores = model.val_normal_scores
    num_above = int((scores.double() > card.exported.threshold).sum())
    # Scores that equal the threshold may have been above a threshold of other normals.
    num_counted = int((scores.double() >= card.exported.threshold).sum()) - 1
    bound = false_positive_bound(num_counted, len(scores), _CONFIDENCE)
    normal = ", ".join(card.class_names[label] for label in card.normal_classes)
    lines = [
        f"Cell: {card.cell}; normal: {normal}.",
        f"Pictures: {_pictures(card)}.",
        f"Test AUROC: {score_text(card.test_auroc)} of this model, seed {card.seed}, the first and "
        f"not the best; {confirmed_text(cell)} over the confirm seeds.",
        f"Threshold: a score above {_threshold(card)} is called anomalous; {num_above} of "
        f"{count_text(len(scores), 'validation normal')} score above it. With {_CONFIDENCE:.0%} "
        f"confidence, the false-positive rate on further normals like these is below {bound:.2g} "
        "(Clopper-Pearson).",
    ]
    if card.encoder is not None:
        lines.append(_encoder_text(card.encoder, is_inside=bool(model.encoder)))
    if model.holds:
        lines.append(
            f"The file holds {model.holds}: give it only to people who may see these images."
        )
    title = f"Model of the study {card.exported.study}"
    return Group(Text(plain(title), style="bold"), *(Text(f"• {plain(line)}") for line in lines))


def few_normals(model: SavedModel) -> str:
    """Return a warning if a threshold rests on too few validation normals, else nothing."""
    assert model.card.exported is not None
    rate, num = model.card.exported.false_positive_rate, len(model.val_normal_scores)
    share = Fraction(repr(rate))
    if share * num >= 1:
        return ""
    return (
        f"--fpr is {rate:g}, which needs {math.ceil(1 / share):,} validation normals or more, but "
        f"there {'is' if num == 1 else 'are'} {num}: the threshold is the highest of their scores."
    )


def exported_chance(model: SavedModel, cell: CellResult) -> str:
    """Return a warning if a cell's test AUROC is not better than chance, else nothing.

    The model's own test AUROC counts if the cell has none.
    """
    said = chance_text(cell.test_auroc, cell.test_auroc_interval)
    if not said:
        return scored_chance(model.card)
    return (
        f"the test AUROC of the cell is {score_text(cell.test_auroc)}, {said}: do not rely on the "
        "scores of this model."
    )


def scored_chance(card: ModelCard) -> str:
    """Return a warning if a model's own test AUROC is not better than chance, else nothing."""
    said = chance_text(card.test_auroc, None)
    if not said:
        return ""
    return (
        f"the test AUROC of this model is {score_text(card.test_auroc)}, {said}: do not rely on "
        "its scores."
    )


def score_table(pictures: Sequence[ScoredPicture], card: ModelCard, *, num_shown: int) -> Group:
    """Return the most anomalous pictures, with a mark on those above the threshold.

    Args:
        pictures: The pictures in order of rank.
        card: The model's card with its threshold.
        num_shown: The most pictures to show.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("rank", justify="right")
    table.add_column("score", justify="right")
    table.add_column("")
    table.add_column("file", overflow="fold")
    for rank, one in enumerate(pictures[:num_shown], start=1):
        mark = Text("anomalous", style="red") if one.is_above else Text("")
        table.add_row(str(rank), f"{one.score:.4g}", mark, Text(plain(one.name)))
    num_above = sum(one.is_above for one in pictures)
    counted = count_text(len(pictures), "picture", "pictures")
    lines = [f"{num_above:,} of {counted} above the threshold of {_threshold(card)}."]
    if len(pictures) > num_shown:
        lines.append(f"The {num_shown:,} highest scores are shown; --csv FILE keeps all.")
    return Group(table, *(Text(line) for line in lines))


def scores_csv(pictures: Sequence[ScoredPicture]) -> str:
    """Return CSV with a line for each picture, at full precision. Source: RFC 4180."""
    out = io.StringIO()
    writer = csv_format.writer(out, lineterminator="\r\n")
    writer.writerow(("file", "score", "above_threshold"))
    for one in pictures:
        writer.writerow((csv_value(one.name), repr(one.score), "yes" if one.is_above else "no"))
    return out.getvalue()


def _encoder_text(encoder: EncoderReference, *, is_inside: bool) -> str:
    """Return a sentence about the encoder of a model, its source and its licence."""
    source = f"from {encoder.source}, " if encoder.source else ""
    licence = encoder.licence or "not known"
    where = "The file holds its weights"
    if not is_inside:
        where = "The file names its weights alone, so scoring needs the library that has them"
    return (
        f"Encoder: {encoder.name} at {encoder.image_px} px, {source}licence {licence}, trained on "
        f"{encoder.external_data}; SHA-256 {encoder.sha256}. {where}."
    )


def _pictures(card: ModelCard) -> str:
    colour = "grey" if card.mode == "L" else "colour"
    return f"{colour}, brought {card.resize}"


def _threshold(card: ModelCard) -> str:
    assert card.exported is not None
    return f"{card.exported.threshold:.4g}"
