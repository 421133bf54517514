"""The command that prints and writes leaderboards and comparisons."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agad.cli.comparing import (
    FALLEN,
    add_comparison_flags,
    check_sides,
    compared,
    has_other_side,
)
from agad.cli.figures import FORMATS, write_figures
from agad.cli.files import check_writable, write_file
from agad.cli.flags import add_price_flags, add_store_flag, checked_prices
from agad.cli.pages import Evidences, add_page_flags, check_page_flags, watch_page, write_page
from agad.cli.screen import screen
from agad.errors import ConfigError
from agad.reading import (
    chosen_studies,
    store_uri,
    stored_diagnostics,
    stored_figure_data,
    stored_leaderboard,
)
from agad.report import (
    Leaderboard,
    Page,
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

_OF_LEADERBOARDS = {
    "means-csv": "a leaderboard's means",
    "latex": "a leaderboard's tables",
    "figures": "a study's figures",
}
"""Flags that a comparison does not allow, and what they write."""


def add_report_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags for what a report shows and where it is written."""
    add_store_flag(parser)
    parser.add_argument("--study", metavar="NAME", help="only this study")
    add_comparison_flags(parser)
    add_price_flags(parser)
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
    is_compared = has_other_side(arguments)
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
        comparison = compared(arguments, objects.uri, boards[0])
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
    """Write the files that flags name; ``text`` is the content of the ``--csv`` file."""
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
    """Return leaderboards and, if a page shows figures, the data of their figures."""
    prices = checked_prices(arguments)
    if not arguments.html or has_other_side(arguments):
        return [priced(stored_leaderboard(objects, study), **prices) for study in studies], {}
    found = [stored_figure_data(objects, study) for study in studies]
    return (
        [priced(board, **prices) for board, _ in found],
        {board.study: figure_data for board, figure_data in found},
    )


def _to_show(
    arguments: argparse.Namespace, objects: ObjectStore, boards: Sequence[Leaderboard]
) -> list[Leaderboard | Page]:
    """Return the leaderboards, then the pages of diagnostics and of published values."""
    shown: list[Leaderboard | Page] = [*boards]
    if not has_other_side(arguments):
        pages = [stored_diagnostics(objects, board) for board in boards]
        shown += [page for page in pages if page is not None]
    if arguments.published:
        shown.append(published_page(cell.dataset for board in boards for cell in board.cells))
    return shown


def _check_flags(arguments: argparse.Namespace) -> None:
    checked_prices(arguments)
    check_sides(arguments)
    for path in (arguments.md, arguments.csv, arguments.means_csv, arguments.latex):
        if path:
            check_writable(path)
    is_compared = has_other_side(arguments)
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
    console = screen()
    for one in shown:
        console.print(terminal(one))
