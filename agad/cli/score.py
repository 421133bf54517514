"""The command that ranks the pictures of a folder by an exported model."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from agad.cli.files import check_writable, is_new_folder, write_file, write_folder
from agad.cli.flags import add_detector_flag, import_detectors
from agad.cli.screen import screen
from agad.cli.warnings import warn
from agad.config import check_count
from agad.errors import ConfigError
from agad.report import ScoredPicture, count_text, plain, score_table, scored_chance, scores_csv

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from agad.trial import PictureScorer, SavedModel

_NUM_WARNED = 10
"""The most skipped files that warnings name."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``score``."""
    parser = commands.add_parser("score", help="rank the pictures of a folder by a model")
    parser.add_argument("model", type=Path, metavar="MODEL", help="a file of agad export")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="pictures, at any depth")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write every score as CSV")
    parser.add_argument(
        "--heatmaps",
        type=Path,
        metavar="DIR",
        help="new folder for a PNG of each picture shown: picture, reconstruction and difference, "
        "or picture and where it is anomalous, as the model's detector can",
    )
    parser.add_argument(
        "--all-heatmaps", action="store_true", help="of every picture, with --heatmaps"
    )
    parser.add_argument(
        "--top", type=int, default=20, metavar="N", help="pictures to show (default: 20)"
    )
    parser.add_argument(
        "--skip-damaged", action="store_true", help="pass over files that cannot be decoded"
    )
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or mps")
    add_detector_flag(parser)
    parser.set_defaults(do=_score)


def _score(arguments: argparse.Namespace) -> int:
    _check_flags(arguments)
    import_detectors(arguments)
    from agad.data import find_pictures
    from agad.trial import PictureScorer, SavedModel

    model = SavedModel.read(arguments.model)
    if model.card.exported is None:
        raise ConfigError(f"{arguments.model} has no threshold; write it with agad export.")
    if arguments.heatmaps:
        _check_has_heat_maps(arguments.model, model)
    names, ignored = find_pictures(arguments.folder)
    scorer = PictureScorer(model, arguments.device)
    pictures, skipped = _scored(arguments, model, scorer, names)
    if arguments.heatmaps:
        shown = pictures if arguments.all_heatmaps else pictures[: arguments.top]
        maps = _heat_maps(arguments.folder, model, scorer, shown)
        write_folder(arguments.heatmaps, maps)
    if arguments.csv:
        write_file(arguments.csv, scores_csv(pictures).encode())
    console = screen()
    console.print(score_table(pictures, model.card, num_shown=arguments.top))
    if ignored:
        shown_names = plain(", ".join(ignored[:5])) + (", ..." if len(ignored) > 5 else "")
        console.print(f"No images, ignored: {len(ignored):,} ({shown_names})", markup=False)
    if arguments.heatmaps:
        print(_heat_map_line(arguments.heatmaps, model))
    _warn_of(skipped, scored_chance(model.card))
    return 0


def _check_has_heat_maps(path: Path, model: SavedModel) -> None:
    """Refuse heat maps of a model that cannot draw any."""
    assert model.card.exported is not None
    name, threshold = model.card.detector.name, model.card.exported.threshold
    if not model.localizes and not model.rebuilds:
        raise ConfigError(
            f"--heatmaps is given, but {path} is a model of {name}, which neither rebuilds "
            "pictures nor tells where they are anomalous; leave --heatmaps out."
        )
    if model.localizes and threshold <= 0:
        raise ConfigError(
            f"--heatmaps is given, but the threshold of {path} is {threshold:g}, and the colours "
            "are shares of a threshold above 0; leave --heatmaps out."
        )


def _warn_of(skipped: Sequence[str], chance: str) -> None:
    """Warn of files that were passed over, and of a model that is not better than chance."""
    for what in skipped[:_NUM_WARNED]:
        warn(f"skipped: {what}")
    if len(skipped) > _NUM_WARNED:
        warn(f"skipped: {len(skipped) - _NUM_WARNED:,} more.")
    if chance:
        warn(chance)


def _check_flags(arguments: argparse.Namespace) -> None:
    """Refuse flags that would otherwise fail only after the pictures are scored."""
    check_count("--top", arguments.top, 1)
    if arguments.all_heatmaps and arguments.heatmaps is None:
        raise ConfigError("--all-heatmaps is given without --heatmaps; give both.")
    if arguments.csv:
        check_writable(arguments.csv)
    if arguments.heatmaps is None:
        return
    folder = arguments.heatmaps.resolve()
    if folder.is_relative_to(arguments.folder.resolve()):
        raise ConfigError(
            f"--heatmaps is {arguments.heatmaps}, but must be outside {arguments.folder}, whose "
            "pictures the next run scores."
        )
    if not is_new_folder(folder):
        raise ConfigError(
            f"--heatmaps is {arguments.heatmaps}, but must be a new or empty folder in one that "
            "exists; name another."
        )


def _scored(
    arguments: argparse.Namespace, model: SavedModel, scorer: PictureScorer, names: Sequence[str]
) -> tuple[list[ScoredPicture], list[str]]:
    """Return the pictures in order of rank, and the faults of the files that were skipped."""
    from agad.data import read_in_batches

    assert model.card.exported is not None
    threshold = model.card.exported.threshold
    pictures: list[ScoredPicture] = []
    skipped: list[str] = []
    for batch in read_in_batches(
        arguments.folder,
        names,
        model.card.resize,
        model.card.mode,
        values=model.card.values,
        skips_damaged=arguments.skip_damaged,
    ):
        skipped += batch.skipped.values()
        for name, score in zip(batch.names, scorer.scores(batch.pixels).tolist(), strict=True):
            pictures.append(ScoredPicture(name, score, score > threshold))
    if not pictures:
        number = count_text(len(skipped), "image")
        raise ConfigError(
            f"{arguments.folder} holds {number}, but none that can be decoded: {skipped[0]}"
        )
    return sorted(pictures, key=lambda one: (-one.score, one.name)), skipped


def _heat_maps(
    folder: Path, model: SavedModel, scorer: PictureScorer, pictures: Sequence[ScoredPicture]
) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the bytes of a PNG file for each picture, in order of rank."""
    from agad.data import read_in_batches

    names = [one.name for one in pictures]
    digits = len(str(len(names)))
    rank = 0
    card = model.card
    for batch in read_in_batches(folder, names, card.resize, card.mode, values=card.values):
        for name, drawn in zip(batch.names, _drawn(batch.pixels, model, scorer), strict=True):
            rank += 1
            yield f"{rank:0{digits}}-{_slug(name)}.png", drawn


def _drawn(pixels: NDArray[np.uint8], model: SavedModel, scorer: PictureScorer) -> Iterator[bytes]:
    """Yield a PNG of each picture ``(N, C, H, W)``, in the way that the model has."""
    from agad.data import anomaly_overlay, heat_map

    if model.localizes:
        assert model.card.exported is not None
        threshold = model.card.exported.threshold
        for one, places in zip(pixels, scorer.anomaly_map(pixels), strict=True):
            yield anomaly_overlay(one, places, threshold)
        return
    for one, rebuilt in zip(pixels, scorer.rebuild(pixels), strict=True):
        yield heat_map(one, rebuilt)


def _slug(name: str) -> str:
    """Return a path as part of a file's name; the rank before it tells equal ones apart."""
    stem = str(PurePosixPath(name).with_suffix(""))
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem)[-100:]


def _heat_map_line(folder: Path, model: SavedModel) -> str:
    from agad.data import FULL_SCALE

    if model.localizes:
        return (
            f"Heat maps: {plain(str(folder))}; each is picture, and where it is anomalous: clear "
            "up to 0.75 times the threshold, red at the threshold, white at 3 times and above."
        )
    return (
        f"Heat maps: {plain(str(folder))}; each is picture, reconstruction, and their mean "
        f"difference, black at 0 to white at {FULL_SCALE * 127.5:.0f} of 255 grey levels and above."
    )
