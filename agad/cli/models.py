"""The commands that use what a study found: export a model, score pictures with it."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from rich.console import Console

from agad.cli.files import check_writable, is_new_folder, write_file, write_folder
from agad.cli.flags import add_store_flag
from agad.errors import CheckpointError, ConfigError
from agad.reading import chosen_studies, store_uri, stored_winners
from agad.records import TrialRow, Winner
from agad.report import (
    ScoredPicture,
    confirmed_rows,
    count_text,
    export_summary,
    few_normals,
    has_test_score,
    leaderboard,
    plain,
    score_table,
    scores_csv,
)

if TYPE_CHECKING:
    from agad.objects import ObjectStore
    from agad.trial import PictureScorer, SavedModel

_NUM_LISTED = 10
"""So many cells or studies an error lists, and skipped files a warning."""


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``export`` and ``score``."""
    export = commands.add_parser("export", help="write the model of a study's cell to a file")
    add_store_flag(export, is_positional=True)
    export.add_argument("--study", metavar="NAME", help="default: the only one of the store")
    export.add_argument("--cell", metavar="LABEL", help="default: the only one of the study")
    export.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the model, a safetensors file"
    )
    export.add_argument(
        "--fpr",
        type=float,
        default=0.05,
        metavar="X",
        help="share of normal pictures that may be called anomalous (default: 0.05)",
    )
    export.add_argument(
        "--pt2",
        type=Path,
        metavar="FILE",
        help="write a torch.export program too: images in [-1, 1] to scores",
    )
    export.set_defaults(do=_export)

    score = commands.add_parser("score", help="rank the pictures of a folder by a model")
    score.add_argument("model", type=Path, metavar="MODEL", help="a file of agad export")
    score.add_argument("folder", type=Path, metavar="FOLDER", help="pictures, at any depth")
    score.add_argument("--csv", type=Path, metavar="FILE", help="write every score as CSV")
    score.add_argument(
        "--heatmaps",
        type=Path,
        metavar="DIR",
        help="new folder for a PNG of each picture shown: picture, reconstruction, difference",
    )
    score.add_argument(
        "--all-heatmaps", action="store_true", help="of every picture, with --heatmaps"
    )
    score.add_argument(
        "--top", type=int, default=20, metavar="N", help="pictures to show (default: 20)"
    )
    score.add_argument(
        "--skip-damaged", action="store_true", help="pass over files that cannot be decoded"
    )
    score.add_argument("--device", default="cpu", help="cpu (default), cuda or mps")
    score.set_defaults(do=_score)


def _export(arguments: argparse.Namespace) -> int:
    if not 0 < arguments.fpr < 1:
        raise ConfigError(f"--fpr is {arguments.fpr:g}, but must be in (0, 1).")
    outputs = [path for path in (arguments.out, arguments.pt2) if path is not None]
    for path in outputs:
        check_writable(path)
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise ConfigError(f"--out and --pt2 are both {arguments.out}, but must be two files.")

    # Torch takes seconds to import, which a wrong flag does not wait for.
    from agad.objects import open_objects
    from agad.store import StudyReader
    from agad.trial import to_program

    objects = open_objects(store_uri(arguments.store))
    studies = chosen_studies(objects, arguments.study)
    study = _only(studies, "--study", f"{objects.uri} holds")
    store = StudyReader(objects, study)
    rows, winners = store.trials(), stored_winners(store)
    cells = {cell.cell: cell for cell in leaderboard(rows, study=study, winners=winners).cells}
    if arguments.cell is not None and arguments.cell not in cells:
        raise ConfigError(
            f"--cell is {arguments.cell!r}, but study {study} has: {_listed([*cells])}."
        )
    label = arguments.cell or _only([*cells], "--cell", f"study {study} has")
    row = _first_confirmed([row for row in rows if row.cell == label], label, winners.get(label))
    model = _with_threshold(_stored_model(objects, row), row, arguments.fpr)
    if arguments.pt2:
        write_file(arguments.pt2, to_program(model))
    write_file(arguments.out, model.to_bytes())
    Console().print(export_summary(model, cells[label]))
    _warn(few_normals(model))
    _warn(_changed(model, row))
    print("Written: " + ", ".join(plain(str(path)) for path in outputs))
    return 0


def _only(names: Sequence[str], flag: str, holder: str) -> str:
    if len(names) != 1:
        raise ConfigError(f"{flag} is missing, but {holder}: {_listed(names)}; name one.")
    return names[0]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NUM_LISTED} more" if len(names) > _NUM_LISTED else ""
    return (", ".join(map(repr, names[:_NUM_LISTED])) + more) or "none"


def _first_confirmed(rows: Sequence[TrialRow], label: str, winner: Winner | None) -> TrialRow:
    """Return the first seed's row of the configuration that the leaderboard has for a cell."""
    confirmed = confirmed_rows(rows, winner)
    if not any(map(has_test_score, confirmed)):
        raise ConfigError(
            f"cell {label!r} has no confirmed result yet; run its study to the end first."
        )
    for row in confirmed:
        if row.number == 0 and row.state == "finished":
            return row
    ends = ", ".join(row.state for row in confirmed if row.number == 0) or "not ended yet"
    raise ConfigError(
        f"cell {label!r} kept no model: the trial of its first confirm seed is {ends}, and no "
        "other seed is taken in its place; run the study with another seed under another name."
    )


def _stored_model(objects: ObjectStore, row: TrialRow) -> SavedModel:
    from agad.objects import MissingObjectError
    from agad.trial import SavedModel, model_key, models_prefix

    key = model_key(models_prefix(row.study), row.trial_key)
    try:
        data = objects.get(key)
    except MissingObjectError as error:
        raise ConfigError(
            f"study {row.study!r} kept no model of cell {row.cell!r} ({objects.uri}/{key} does not "
            "exist): it ran before agad kept models; run it again under another name."
        ) from error
    model = SavedModel.from_bytes(data, f"{objects.uri}/{key}")
    if model.card.trial_key != row.trial_key:
        raise CheckpointError(
            f"{objects.uri}/{key} holds the model of trial {model.card.trial_key}, but must hold "
            "the one that its name says; restore it from a copy."
        )
    return model


def _with_threshold(model: SavedModel, row: TrialRow, false_positive_rate: float) -> SavedModel:
    from agad.trial import Exported

    return model.exported(
        Exported(
            study=row.study,
            threshold=model.threshold(false_positive_rate),
            false_positive_rate=false_positive_rate,
            commit=row.commit,
            is_dirty=row.is_dirty,
            versions=row.versions,
            hardware=row.hardware,
        )
    )


def _changed(model: SavedModel, row: TrialRow) -> str:
    """Return the warning where the row kept is of another attempt than the model."""
    if model.card.test_auroc == row.test_auroc:
        return ""
    return (
        "the model is of another attempt than the leaderboard's row, whose test AUROC is "
        f"{row.test_auroc}, not {model.card.test_auroc}: a worker ended between the two."
    )


def _score(arguments: argparse.Namespace) -> int:
    _check_score_flags(arguments)
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
    console = Console()
    console.print(score_table(pictures, model.card, num_shown=arguments.top))
    if ignored:
        shown_names = plain(", ".join(ignored[:5])) + (", ..." if len(ignored) > 5 else "")
        console.print(f"No images, ignored: {len(ignored):,} ({shown_names})", markup=False)
    if arguments.heatmaps:
        print(_heat_map_line(arguments.heatmaps))
    for what in skipped[:_NUM_LISTED]:
        _warn(f"skipped: {what}")
    if len(skipped) > _NUM_LISTED:
        _warn(f"skipped: {len(skipped) - _NUM_LISTED:,} more.")
    return 0


def _check_score_flags(arguments: argparse.Namespace) -> None:
    """Refuse what could only be found out after the pictures are scored."""
    if arguments.top < 1:
        raise ConfigError(f"--top is {arguments.top}, but must be at least 1.")
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
    """Return the pictures by rank, and what is wrong with those that were skipped."""
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
    """Yield a file's name and its bytes for each picture, in order of rank."""
    from agad.data import heat_map, read_in_batches

    names = [one.name for one in pictures]
    digits = len(str(len(names)))
    rank = 0
    for batch in read_in_batches(folder, names, model.card.resize, model.card.mode):
        rebuilt = scorer.rebuild(batch.pixels)
        for name, pixels, of_it in zip(batch.names, batch.pixels, rebuilt, strict=True):
            rank += 1
            yield f"{rank:0{digits}}-{_slug(name)}.png", heat_map(pixels, of_it)


def _slug(name: str) -> str:
    """Return a path below a folder as one name of a file; the rank before it makes it unique."""
    stem = str(PurePosixPath(name).with_suffix(""))
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem)[-100:]


def _heat_map_line(folder: Path) -> str:
    from agad.data import FULL_SCALE

    return (
        f"Heat maps: {plain(str(folder))}; each is picture, reconstruction, and their mean "
        f"difference, black at 0 to white at {FULL_SCALE * 127.5:.0f} of 255 grey levels and above."
    )


def _warn(text: str) -> None:
    if text:
        print(f"agad: warning: {plain(text)}", file=sys.stderr)
