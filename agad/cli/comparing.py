"""Comparing a study with another study or with a stored baseline, as flags say."""

from __future__ import annotations

import argparse
from pathlib import Path

from agad.cli.flags import checked_prices
from agad.errors import ConfigError
from agad.reading import chosen_studies, store_uri, stored_leaderboard
from agad.report import CellResult, Comparison, Leaderboard, baseline_cells, compare, priced

FALLEN = 1
"""Exit code: ``--check`` found a cell that fell."""


def add_comparison_flags(parser: argparse.ArgumentParser) -> None:
    """Add what a study is compared with, and the check."""
    parser.add_argument(
        "other", nargs="?", metavar="OTHER", help="compare with this store, as --against-store"
    )
    other = parser.add_mutually_exclusive_group()
    other.add_argument(
        "--against", metavar="NAME", help="compare the study with this one, cell by cell"
    )
    other.add_argument(
        "--baseline", type=Path, metavar="FILE", help="compare it with what --csv wrote before"
    )
    parser.add_argument(
        "--against-store",
        metavar="STORE",
        help="where the other study is (default: the same store); alone, its only study, or else "
        "the one of this name",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help=f"exit code {FALLEN} where a cell falls by more than its interval or by the same on "
        "every seed, or has fewer seeds",
    )


def has_other_side(arguments: argparse.Namespace) -> bool:
    """Whether the flags name something to compare a study with."""
    return bool(arguments.against or _other_store(arguments) or arguments.baseline)


def _other_store(arguments: argparse.Namespace) -> str | None:
    found: str | None = arguments.other or arguments.against_store
    return found


def check_sides(arguments: argparse.Namespace) -> None:
    """Refuse flags that name two things to compare one study with."""
    if arguments.baseline and _other_store(arguments):
        raise ConfigError(
            "another store is given with --baseline, but a study is compared with one of them; "
            "leave one out."
        )
    if arguments.other and arguments.against_store:
        raise ConfigError(
            f"the stores {arguments.other} and --against-store {arguments.against_store} are given "
            "to compare with, but a study is compared with one of them; leave one out."
        )


def compared(arguments: argparse.Namespace, store: str, board: Leaderboard) -> Comparison:
    """Compare a study with another study or with a baseline, as the flags say.

    Args:
        arguments: The flags.
        store: URI of the study's store.
        board: The study's leaderboard.

    Raises:
        ConfigError: The other side cannot be read, shares no cell with the study, or is the study
            itself; or ``--check`` is given and no cell can be checked.
    """
    if arguments.baseline:
        cells = _read_baseline(arguments.baseline, board.study)
        comparison = compare((board.study, _with_searches(board)), (str(arguments.baseline), cells))
    else:
        comparison = _against(arguments, store, board)
    if not any(one.first and one.second for one in comparison.pairs):
        raise ConfigError(
            f"{comparison.first} and {comparison.second} share no cell (data set, class, ratio, "
            "variant and kind of selection), so nothing can be compared; name two studies of the "
            "same question."
        )
    if arguments.check and not _can_be_checked(comparison):
        raise ConfigError(
            f"--check finds no cell of {comparison.first} and {comparison.second} whose seeds tell "
            "a difference from chance (two on both sides); confirm with more seeds."
        )
    return comparison


def _can_be_checked(comparison: Comparison) -> bool:
    """Whether any cell can be told from chance, or has lost seeds."""
    return bool(comparison.fallen) or any(
        one.difference
        and (one.difference.interval or one.difference.is_none or one.difference.is_alike)
        for one in comparison.pairs
    )


def _against(arguments: argparse.Namespace, store: str, board: Leaderboard) -> Comparison:
    from agad.objects import open_objects

    objects = open_objects(store_uri(_other_store(arguments) or store))
    held = chosen_studies(objects, None)
    only = held[0] if objects.uri != store and len(held) == 1 and not arguments.study else None
    study = arguments.against or only or board.study
    if (objects.uri, study) == (store, board.study):
        raise ConfigError(
            f"study {study!r} is compared with itself; name another with --against, or another "
            "store with --against-store."
        )
    flag = "--against" if arguments.against else "--study"
    chosen_studies(objects, study, flag)
    other = priced(stored_leaderboard(objects, study), **checked_prices(arguments))
    names = (
        (f"{board.study} of {store}", f"{study} of {objects.uri}")
        if objects.uri != store
        else (board.study, study)
    )
    return compare((names[0], _with_searches(board)), (names[1], _with_searches(other)))


def _with_searches(board: Leaderboard) -> list[CellResult]:
    return [*board.cells, *board.searches]


def _read_baseline(path: Path, study: str) -> list[CellResult]:
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"--baseline {path} cannot be read ({error}); name a file that agad report --csv wrote."
        ) from error
    return baseline_cells(text, str(path), study)
