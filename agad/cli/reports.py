"""The command that prints leaderboards, compares studies and checks one against a baseline."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from agad.cli.figures import FORMATS, write_figures
from agad.cli.files import check_writable, write_file
from agad.cli.flags import add_price_flag, add_store_flag, checked_price
from agad.cli.pages import Evidences, add_page_flags, check_page_flags, watch_page, write_page
from agad.errors import ConfigError
from agad.reading import (
    chosen_studies,
    store_uri,
    stored_diagnostics,
    stored_figure_data,
    stored_leaderboard,
)
from agad.report import (
    CellResult,
    Comparison,
    Leaderboard,
    Page,
    baseline_cells,
    compare,
    comparison_csv,
    comparison_page,
    csv,
    latex,
    markdown,
    means_csv,
    priced,
    published_page,
    terminal,
)

if TYPE_CHECKING:
    from agad.objects import ObjectStore

FALLEN = 1
"""Exit code: ``--check`` found a cell that fell."""


_OF_LEADERBOARDS = {
    "means-csv": "a leaderboard's means",
    "latex": "a leaderboard's tables",
    "figures": "a study's figures",
}
"""Flags that no comparison has, and what they write."""


def add_report_flags(parser: argparse.ArgumentParser) -> None:
    """Add what a report shows and where it goes."""
    add_store_flag(parser, is_positional=True)
    parser.add_argument(
        "other", nargs="?", metavar="OTHER", help="compare with this store, as --against-store"
    )
    parser.add_argument("--study", metavar="NAME", help="only this study")
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
    add_price_flag(parser)
    parser.add_argument(
        "--published", action="store_true", help="show published values too, which were not run"
    )
    parser.add_argument(
        "--md", type=Path, metavar="FILE", help="write Markdown too, of all that is printed"
    )
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="write CSV too, a row a cell or a pair of cells"
    )
    parser.add_argument(
        "--latex", type=Path, metavar="FILE", help="write the leaderboard's tables for LaTeX too"
    )
    parser.add_argument(
        "--figures", type=Path, metavar="DIR", help="draw every figure into this folder too"
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help=f"of the figures (default: {' and '.join(FORMATS)})",
    )
    parser.add_argument(
        "--means-csv", type=Path, metavar="FILE", help="write CSV of the means over cells too"
    )
    add_page_flags(parser)


def report(arguments: argparse.Namespace) -> int:
    """Print and write the leaderboards of a store, or a comparison; return the exit code."""
    from agad.objects import open_objects

    _check_flags(arguments)
    objects = open_objects(store_uri(arguments.store))
    chosen = chosen_studies(objects, arguments.study)
    is_compared = _is_compared(arguments)
    if is_compared and len(chosen) > 1:
        raise ConfigError(
            f"{objects.uri} holds {len(chosen)} studies, but one is compared at a time; name it "
            f"with --study: {', '.join(chosen)}."
        )
    if arguments.watch:
        _watch(arguments, objects, chosen)
    boards, evidences = _read(arguments, objects, chosen)
    shown = _to_show(arguments, objects, boards)
    fallen, text = False, ""
    if is_compared:
        comparison = _comparison(arguments, objects.uri, boards[0])
        shown[: len(boards)] = [comparison_page(comparison, is_checked=arguments.check)]
        fallen = bool(comparison.fallen)
        text = comparison_csv(comparison)
    _show(shown)
    _write(arguments, shown, boards, text or csv(*boards))
    if arguments.html:
        write_page(arguments.html, shown, evidences)
    if arguments.figures:
        write_figures(arguments.figures, objects, chosen, arguments.format)
    return FALLEN if arguments.check and fallen else 0


def _write(
    arguments: argparse.Namespace,
    shown: Sequence[Leaderboard | Page],
    boards: Sequence[Leaderboard],
    text: str,
) -> None:
    """Write the files that flags name: ``text`` is that of ``--csv``."""
    if arguments.md:
        write_file(arguments.md, "\n".join(markdown(one) for one in shown).encode())
    if arguments.csv:
        write_file(arguments.csv, text.encode())
    if arguments.means_csv:
        write_file(arguments.means_csv, means_csv(*boards).encode())
    if arguments.latex:
        write_file(arguments.latex, latex(*boards).encode())


def _watch(arguments: argparse.Namespace, objects: ObjectStore, studies: Sequence[str]) -> None:
    from agad.store import StudyReader

    def read() -> tuple[Sequence[Leaderboard | Page], Evidences]:
        boards, evidences = _read(arguments, objects, studies)
        return _to_show(arguments, objects, boards), evidences

    readers = [StudyReader(objects, study) for study in studies]
    watch_page(arguments.html, readers, read, arguments.watch)


def _read(
    arguments: argparse.Namespace, objects: ObjectStore, studies: Sequence[str]
) -> tuple[list[Leaderboard], Evidences]:
    """Return leaderboards and, where a page shows them, what their figures are drawn from."""
    price = arguments.price_per_gpu_hour
    if not arguments.html or _is_compared(arguments):
        return [_priced(stored_leaderboard(objects, study), price) for study in studies], {}
    found = [stored_figure_data(objects, study) for study in studies]
    return (
        [_priced(board, price) for board, _ in found],
        {board.study: figure_data for board, figure_data in found},
    )


def _is_compared(arguments: argparse.Namespace) -> bool:
    return bool(arguments.against or _other_store(arguments) or arguments.baseline)


def _other_store(arguments: argparse.Namespace) -> str | None:
    found: str | None = arguments.other or arguments.against_store
    return found


def _to_show(
    arguments: argparse.Namespace, objects: ObjectStore, boards: Sequence[Leaderboard]
) -> list[Leaderboard | Page]:
    """Return the leaderboards, then what stands apart from them."""
    shown: list[Leaderboard | Page] = [*boards]
    if not _is_compared(arguments):
        pages = [stored_diagnostics(objects, board) for board in boards]
        shown += [page for page in pages if page is not None]
    if arguments.published:
        shown.append(published_page(cell.dataset for board in boards for cell in board.cells))
    return shown


def _priced(board: Leaderboard, price_per_gpu_hour: float | None) -> Leaderboard:
    return board if price_per_gpu_hour is None else priced(board, price_per_gpu_hour)


def _check_sides(arguments: argparse.Namespace) -> None:
    """Refuse two things to compare one study with."""
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


def _check_flags(arguments: argparse.Namespace) -> None:
    checked_price(arguments.price_per_gpu_hour)
    _check_sides(arguments)
    for path in (arguments.md, arguments.csv, arguments.means_csv, arguments.latex):
        if path:
            check_writable(path)
    is_compared = _is_compared(arguments)
    check_page_flags(arguments, is_compared=is_compared)
    for flag, what in _OF_LEADERBOARDS.items():
        if getattr(arguments, flag.replace("-", "_")) and is_compared:
            raise ConfigError(
                f"--{flag} is given with a comparison, but holds {what}; leave one of them out."
            )
    if arguments.format and not arguments.figures:
        raise ConfigError("--format is given, but there is no figure to write; add --figures DIR.")
    if arguments.check and not is_compared:
        raise ConfigError(
            "--check is given, but there is nothing to check against; add --baseline or --against."
        )


def _show(shown: Sequence[Leaderboard | Page]) -> None:
    console = Console()
    for one in shown:
        console.print(terminal(one))


def _comparison(arguments: argparse.Namespace, store: str, board: Leaderboard) -> Comparison:
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
    """Whether any cell has a verdict, or is known to have lost seeds."""
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
    other = _priced(stored_leaderboard(objects, study), arguments.price_per_gpu_hour)
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
