"""The command that writes the model of a study's cell to a file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agad.cli.files import check_writable, write_file
from agad.cli.flags import (
    add_cache_flags,
    add_detector_flag,
    add_store_flag,
    import_detectors,
    node_cache,
)
from agad.cli.screen import screen
from agad.cli.warnings import warn
from agad.errors import CheckpointError, ConfigError
from agad.reading import chosen_studies, store_uri, stored_standing, stored_winners
from agad.records import TrialRow, Winner
from agad.report import (
    confirmed_rows,
    export_summary,
    exported_chance,
    few_normals,
    has_test_score,
    leaderboard,
    plain,
)

if TYPE_CHECKING:
    from agad.objects import ObjectStore
    from agad.trial import SavedModel

_NUM_LISTED = 10
"""The most cells or studies that an error lists."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``export``."""
    parser = commands.add_parser("export", help="write the model of a study's cell to a file")
    add_store_flag(parser)
    parser.add_argument("--study", metavar="NAME", help="default: the only one of the store")
    parser.add_argument("--cell", metavar="LABEL", help="default: the only one of the study")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the model, a safetensors file"
    )
    parser.add_argument(
        "--fpr",
        type=float,
        default=0.05,
        metavar="X",
        help="share of normal pictures that may be called anomalous (default: 0.05)",
    )
    parser.add_argument(
        "--pt2",
        type=Path,
        metavar="FILE",
        help="write a torch.export program too: images in [-1, 1] to scores",
    )
    add_cache_flags(parser)
    add_detector_flag(parser)
    parser.set_defaults(do=_export)


def _export(arguments: argparse.Namespace) -> int:
    if not 0 < arguments.fpr < 1:
        raise ConfigError(f"--fpr is {arguments.fpr:g}, but must be in (0, 1).")
    outputs = [path for path in (arguments.out, arguments.pt2) if path is not None]
    for path in outputs:
        check_writable(path)
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise ConfigError(f"--out and --pt2 are both {arguments.out}, but must be two files.")
    import_detectors(arguments)

    # Torch takes seconds to import; a wrong flag is refused before that.
    from agad.objects import open_objects
    from agad.store import StudyReader
    from agad.trial import to_program

    objects = open_objects(store_uri(arguments.store))
    studies = chosen_studies(objects, arguments.study)
    study = _only(studies, "--study", f"{objects.uri} holds")
    store = StudyReader(objects, study)
    rows, winners = store.trials(), stored_winners(store)
    cells = {cell.cell: cell for cell in leaderboard(rows, study=study, winners=winners).cells}
    ran = stored_standing(store).get(arguments.cell, arguments.cell)
    if ran is not None and ran not in cells:
        raise ConfigError(
            f"--cell is {arguments.cell!r}, but study {study} has: {_listed([*cells])}."
        )
    label = ran or _only([*cells], "--cell", f"study {study} has")
    row = _first_confirmed([row for row in rows if row.cell == label], label, winners.get(label))
    stored = _with_encoder(_stored_model(objects, row), objects, arguments)
    model = _with_threshold(stored, row, arguments.fpr)
    if arguments.pt2:
        write_file(arguments.pt2, to_program(model))
    write_file(arguments.out, model.to_bytes())
    screen().print(export_summary(model, cells[label]))
    for text in (
        exported_chance(model, cells[label]),
        few_normals(model),
        _changed(model, row),
    ):
        if text:
            warn(text)
    print(_standing_text(arguments.cell or label, label), end="")
    print("Written: " + ", ".join(plain(str(path)) for path in outputs))
    return 0


def _standing_text(asked: str, ran: str) -> str:
    """Return a line about a cell that did not run; nothing if the cell itself ran."""
    if asked == ran:
        return ""
    return (
        f"{plain(asked)} did not run, since its detector uses no labels: the model is that of "
        f"{plain(ran)}.\n"
    )


def _only(names: Sequence[str], flag: str, holder: str) -> str:
    if len(names) != 1:
        raise ConfigError(f"{flag} is missing, but {holder}: {_listed(names)}; name one.")
    return names[0]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NUM_LISTED} more" if len(names) > _NUM_LISTED else ""
    return (", ".join(map(repr, names[:_NUM_LISTED])) + more) or "none"


def _first_confirmed(rows: Sequence[TrialRow], label: str, winner: Winner | None) -> TrialRow:
    """Return the row of the first seed, of the configuration that counts in a cell."""
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
    from agad.records import model_key, models_prefix
    from agad.trial import SavedModel

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


def _with_encoder(
    model: SavedModel, objects: ObjectStore, arguments: argparse.Namespace
) -> SavedModel:
    """Return a model with the weights of the encoder whose features it takes, if it takes any."""
    if model.card.encoder is None:
        return model
    from agad.trial import with_stored_encoder

    return with_stored_encoder(model, objects.uri, node_cache(arguments))


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
    """Return a warning if the row and the model are of different attempts, else nothing."""
    if model.card.test_auroc == row.test_auroc:
        return ""
    return (
        "the model is of another attempt than the leaderboard's row, whose test AUROC is "
        f"{row.test_auroc}, not {model.card.test_auroc}: a worker ended between the two."
    )
