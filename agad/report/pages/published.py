"""The page of published values. They have another protocol and enter no ranking."""

from __future__ import annotations

import csv as csv_format
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from statistics import fmean
from typing import TypeAlias

from agad.report.pages.page import Column, Layouts, Page, text_table
from agad.report.pages.rounding import NONE, plain, ratio_text

_NUM_NAMES = 2
"""Columns before the numbers: the paper's table and the system."""

_NOTES = (
    "Source: the tables of the AGAD paper (arXiv 2304.04211), 1 to 5 and 9, which quote the other "
    "systems from their own papers. None of it was run here, and it enters no mean and no rank.",
    "Protocol: one-class, the whole official test split, each class normal in turn. Which epoch "
    "the AGAD rows report is not stated; the code that they descend from keeps the best epoch on "
    "the test split and scores with batch statistics. Systems of other papers report their own "
    "epoch. Here, validation chooses and the last epoch is scored once.",
    "Labels: what table 2 quotes from Deep SAD's paper labels anomalies of one class; AGAD, as far "
    "as its paper tells, of all.",
    "± is the SD over classes where one was printed: of the population for AGAD, of the sample for "
    "systems quoted. A mean without one is that of the printed classes.",
    "* put together from a source whose cells had shifted. ? doubtful: mean and SD as printed do "
    "not fit the classes, or the place of the number is not certain.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedValue:
    """One printed number."""

    table: str
    """Number of the table in the AGAD paper."""

    dataset: str
    """This project's name of the data set."""

    system: str
    """The method and its variant."""

    anomaly_ratio: float
    given_class: str
    """The normal class, or ``mean`` over all."""

    auroc: float
    """In [0, 1]."""

    sd: float | None
    """SD over classes, in [0, 1]; None if none was printed."""

    mark: str
    """``?`` doubtful, ``*`` put together from shifted cells, else empty."""


_Line: TypeAlias = tuple[str, str, Sequence[PublishedValue]]


def published_values() -> list[PublishedValue]:
    """Return every published value, in the order of the file."""
    text = files("agad.report.pages").joinpath("published.csv").read_text("utf-8")
    return [
        PublishedValue(
            table=row["table"],
            dataset=row["dataset"].replace("_", "-"),
            system=f"{row['method']} {row['variant']}".rstrip(),
            anomaly_ratio=float(row["anomaly_ratio"]),
            given_class=row["normal_class"],
            auroc=float(row["auroc_pct"]) / 100,
            sd=float(row["sd_pct"]) / 100 if row["sd_pct"] else None,
            mark=_mark(row["status"]),
        )
        for row in csv_format.DictReader(text.splitlines())
    ]


def published_page(datasets: Iterable[str]) -> Page:
    """Return a page with the published values of some data sets."""
    values = published_values()
    wanted = sorted(set(datasets))
    tables: list[Layouts] = []
    for dataset in wanted:
        of_dataset = [value for value in values if value.dataset == dataset]
        if of_dataset:
            tables += [_mean_layouts(dataset, of_dataset), _class_layouts(dataset, of_dataset)]
    known = {value.dataset for value in values}
    without = [name for name in wanted if name not in known]
    none = [f"Nothing published is known here of: {', '.join(without)}."] if without else []
    return Page(
        title="Published values, not run here",
        tables=tuple(tables),
        notes=(*(_NOTES if tables else ()), *map(plain, none)),
    )


def _mark(status: str) -> str:
    if status.lower().startswith("doubtful"):
        return "?"
    return "*" if status in ("cells-rejoined", "shifted-repaired") else ""


def _mean_layouts(dataset: str, values: Sequence[PublishedValue]) -> Layouts:
    """Return the means by ratio, with the SD over classes unless the terminal is narrow."""
    ratios = sorted({value.anomaly_ratio for value in values})
    lines = list(_lines(values))

    def columns(*, with_sd: bool) -> list[Column[_Line]]:
        return [
            ("table", lambda line: line[0]),
            ("system", lambda line: line[1]),
            *(
                (
                    ratio_text(ratio),
                    lambda line, ratio=ratio: _mean_text(
                        [value for value in line[2] if value.anomaly_ratio == ratio],
                        with_sd=with_sd,
                    ),
                )
                for ratio in ratios
            ),
        ]

    title = f"Published, not run here · {dataset} · mean AUROC by anomaly ratio"
    whole = text_table(columns(with_sd=True), lines, title)
    bare = text_table(columns(with_sd=False), lines, title)
    return [[whole], [bare], bare.split(_NUM_NAMES, 3)]


def _class_layouts(dataset: str, values: Sequence[PublishedValue]) -> Layouts:
    """Return the values by class at ratio 0, with fewer classes in a table if it is narrow."""
    by_class = [value for value in values if value.given_class != "mean"]
    columns: list[Column[_Line]] = [
        ("table", lambda line: line[0]),
        ("system", lambda line: line[1]),
        *(
            (str(label), lambda line, label=str(label): _class_text(line[2], label))
            for label in sorted({int(value.given_class) for value in by_class})
        ),
    ]
    title = f"Published, not run here · {dataset} · AUROC by normal class, ratio 0"
    whole = text_table(columns, _lines(by_class), title)
    return [whole.split(_NUM_NAMES, num) for num in (20, 10, 5)]


def _lines(values: Iterable[PublishedValue]) -> Iterator[_Line]:
    by_system: Mapping[tuple[str, str], list[PublishedValue]] = defaultdict(list)
    for value in values:
        by_system[value.table, value.system].append(value)
    return ((table, system, of_system) for (table, system), of_system in by_system.items())


def _mean_text(values: Sequence[PublishedValue], *, with_sd: bool) -> str:
    if not values:
        return NONE
    printed = [value for value in values if value.given_class == "mean"]
    if not printed:
        doubtful = "?" if any(value.mark == "?" for value in values) else ""
        marks = doubtful or ("*" if any(value.mark for value in values) else "")
        return f"{fmean(value.auroc for value in values):.3f}{marks}"
    (value,) = printed
    spread = f" ± {value.sd:.3f}" if with_sd and value.sd is not None else ""
    return f"{value.auroc:.3f}{spread}{value.mark}"


def _class_text(values: Iterable[PublishedValue], given_class: str) -> str:
    found = [value for value in values if value.given_class == given_class]
    return f"{found[0].auroc:.3f}{found[0].mark}" if found else NONE
