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
        help="new folder for a PNG of each picture shown: picture, reconstruction, difference",
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
    names, ignored = find_pictures(arguments.folder)
    scorer = PictureScorer(model, arguments.device)
    pictures, skipped = _scored(arguments, model, scorer, names)
    if arguments.heatmaps:
        shown = pictures if arguments.all_heatmaps else pictures[: arguments.top]
        write_folder(arguments.heatmaps, _heat_maps(arguments.folder, model, scorer, shown))
    if arguments.csv:
        write_file(arguments.csv, scores_csv(pictures).encode())
    console = screen()
    console.print(score_table(pictures, model.card, num_shown=arguments.top))
    if ignored:
        shown_names = plain(", ".join(ignored[:5])) + (", ..." if len(ignored) > 5 else "")
        console.print(f"No images, ignored: {len(ignored):,} ({shown_names})", markup=False)
    if arguments.heatmaps:
        print(_heat_map_line(arguments.heatmaps))
    _warn_of(skipped, scored_chance(model.card))
    return 0


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
    from agad.data import heat_map, read_in_batches

    names = [one.name for one in pictures]
    digits = len(str(len(names)))
    rank = 0
    card = model.card
    for batch in read_in_batches(folder, names, card.resize, card.mode, values=card.values):
        rebuilt = scorer.rebuild(batch.pixels)
        for name, pixels, of_it in zip(batch.names, batch.pixels, rebuilt, strict=True):
            rank += 1
            yield f"{rank:0{digits}}-{_slug(name)}.png", heat_map(pixels, of_it)


def _slug(name: str) -> str:
    """Return a path as part of a file's name; the rank before it tells equal ones apart."""
    stem = str(PurePosixPath(name).with_suffix(""))
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem)[-100:]


def _heat_map_line(folder: Path) -> str:
    from agad.data import FULL_SCALE

    return (
        f"Heat maps: {plain(str(folder))}; each is picture, reconstruction, and their mean "
        f"difference, black at 0 to white at {FULL_SCALE * 127.5:.0f} of 255 grey levels and above."
    )
