"""The commands that compact, verify and describe the tables of a store, and remove a study."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

from agad.cli.asking import add_yes_flag, is_confirmed
from agad.cli.flags import add_store_flag, spool_folder
from agad.cli.screen import screen
from agad.config import count_text
from agad.errors import ConfigError
from agad.reading import chosen_studies, store_uri
from agad.report import compacted_line, info_table, plain, schema_tables

if TYPE_CHECKING:
    from agad.objects import ObjectStore

FAULTY = 1
"""Exit code: an object is faulty."""

_MAX_GRACE_MIN = 60 * 24 * 365


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add ``compact``, ``verify``, ``info``, ``files``, ``schema`` and ``remove``."""
    commands = parser.add_subparsers(dest="store_command", required=True, metavar="COMMAND")

    compact = commands.add_parser(
        "compact", help="merge a study's many objects into a few files, also while it runs"
    )
    _add_flags(compact)
    compact.add_argument(
        "--grace",
        type=float,
        default=60.0,
        metavar="MIN",
        help="minutes that objects stay after the compaction that covers them (default: 60)",
    )
    compact.set_defaults(do=_compact)

    verify = commands.add_parser("verify", help="read every object and check it")
    _add_flags(verify)
    verify.set_defaults(do=_verify)

    info = commands.add_parser("info", help="count objects, bytes and rows")
    _add_flags(info)
    info.set_defaults(do=_info)

    files = commands.add_parser("files", help="list the files that hold every row of a table once")
    _add_flags(files)
    files.add_argument(
        "--table",
        choices=("trials", "epochs", "scores", "diagnostics"),
        default="trials",
        help="which table (default: trials)",
    )
    files.set_defaults(do=_files)

    schema = commands.add_parser("schema", help="list the columns and what they mean")
    schema.add_argument("--json", action="store_true", help="as JSON, an object a column")
    schema.set_defaults(do=_schema)

    remove = commands.add_parser("remove", help="remove a study that no driver works on")
    remove.add_argument("study", metavar="STUDY")
    add_store_flag(remove)
    add_yes_flag(remove)
    remove.set_defaults(do=_remove)


def _add_flags(parser: argparse.ArgumentParser) -> None:
    add_store_flag(parser)
    parser.add_argument("--study", metavar="NAME", help="only this study")


def _chosen(arguments: argparse.Namespace) -> tuple[ObjectStore, list[str]]:
    from agad.objects import open_objects

    objects = open_objects(store_uri(arguments.store))
    return objects, chosen_studies(objects, arguments.study)


def _compact(arguments: argparse.Namespace) -> int:
    from agad.store import compact

    grace_min = arguments.grace
    if not math.isfinite(grace_min) or not 0 <= grace_min <= _MAX_GRACE_MIN:
        raise ConfigError(
            f"--grace is {grace_min:g}, but must be minutes from 0 to {_MAX_GRACE_MIN:,}."
        )
    objects, studies = _chosen(arguments)
    for study in studies:
        print(compacted_line(compact(objects, study, timedelta(minutes=grace_min))), flush=True)
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from agad.store import verify

    objects, studies = _chosen(arguments)
    num_faults = 0
    for study in studies:
        found = verify(objects, study)
        num_faults += len(found.faults)
        for fault in found.faults:
            print(plain(fault))
        for note in found.notes:
            print(plain(f"note: {note}"))
        read, faults = count_text(found.objects, "object"), count_text(len(found.faults), "fault")
        print(f"{study}: {read} read, {faults}.", flush=True)
    return FAULTY if num_faults else 0


def _info(arguments: argparse.Namespace) -> int:
    from agad.store import study_info

    objects, studies = _chosen(arguments)
    for study in studies:
        screen().print(info_table(study_info(objects, study)))
    return 0


def _files(arguments: argparse.Namespace) -> int:
    from agad.store import table_files

    objects, studies = _chosen(arguments)
    for study in studies:
        sys.stdout.writelines(f"{uri}\n" for uri in table_files(objects, study, arguments.table))
    return 0


def _schema(arguments: argparse.Namespace) -> int:
    from agad.store import columns_of_tables

    columns = columns_of_tables()
    if arguments.json:
        print(json.dumps([dataclasses.asdict(column) for column in columns], indent=2))
    else:
        screen().print(schema_tables(columns))
        print("Trials have a column param_<name> of each searched parameter as well.")
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    from agad.objects import open_objects
    from agad.records import study_prefix
    from agad.store import remove_study

    objects = open_objects(store_uri(arguments.store))
    (study,) = chosen_studies(objects, arguments.study, "STUDY")
    found = count_text(len(objects.list(study_prefix(study))), "object")
    if is_confirmed(arguments, f"study {study} with {found} from {objects.uri}"):
        num_objects = remove_study(objects, study, spool=spool_folder())
        print(plain(f"{study}: {count_text(num_objects, 'object')} removed from {objects.uri}."))
    return 0
