"""The tables of a store, described as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from agad.report.pages.rounding import count_text, plain

if TYPE_CHECKING:
    from agad.store import Column, Compacted, StudyInfo, TableInfo


def compacted_line(done: Compacted) -> str:
    """Return the sentence that is printed when a study's compaction ends."""
    if done.num_attempts:
        what = f"{count_text(done.num_attempts, 'attempt')} merged"
    else:
        what = "nothing to merge"
    files = count_text(done.num_files, "file")
    has = f"manifest {done.number} has {files} of {done.num_bytes:,} bytes"
    removed = f"{count_text(done.num_deleted, 'object')} removed"
    return plain(f"{done.study}: {what}; {has if done.number else 'no manifest'}; {removed}.")


def info_table(info: StudyInfo) -> Group:
    """Return a study's objects, bytes and rows."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("table")
    for name in ("rows", "B a row", "compacted", "files", "bytes", "loose", "objects", "bytes"):
        table.add_column(name, justify="right")
    for one in info.tables:
        table.add_row(*_cells(one))
    last = f"{info.compacted_at:%Y-%m-%d %H:%M:%S} UTC" if info.compacted_at else "never"
    return Group(
        Text(plain(f"Study {info.study}"), style="bold"),
        table,
        Text(
            f"{count_text(info.objects, 'object')} of {info.bytes:,} bytes in all. "
            f"{count_text(info.claims, 'claim')}, {info.claims_without_rows:,} without rows. "
            f"Last compaction: {last}.\n"
        ),
    )


def _cells(info: TableInfo) -> list[str]:
    num_rows = info.compacted_rows + info.loose_rows
    num_bytes = info.compacted_bytes + info.loose_bytes
    numbers = (
        info.compacted_rows,
        info.compacted_files,
        info.compacted_bytes,
        info.loose_rows,
        info.loose_objects,
        info.loose_bytes,
    )
    per_row = f"{num_bytes / num_rows:,.0f}" if num_rows else ""
    return [info.table, f"{num_rows:,}", per_row, *(f"{number:,}" for number in numbers)]


def schema_tables(columns: Sequence[Column]) -> Group:
    """Return the columns of every table and what they mean."""
    names = dict.fromkeys(column.table for column in columns)
    return Group(*(_schema_table(name, columns) for name in names))


def _schema_table(name: str, columns: Sequence[Column]) -> Group:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("column", "type", "None"):
        table.add_column(heading, no_wrap=heading == "column")
    table.add_column("meaning", overflow="fold")
    for one in columns:
        if one.table == name:
            earlier = (
                f" Read as {one.default!r} in files of earlier versions." if one.is_added else ""
            )
            table.add_row(
                one.column,
                one.type,
                "yes" if one.is_nullable else "",
                Text(one.description + earlier),
            )
    return Group(Text(f"Table {name}", style="bold"), table)
