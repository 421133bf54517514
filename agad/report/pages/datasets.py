"""Imported data sets as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, JustifyMethod
from rich.table import Table
from rich.text import Text

from agad.report.pages.rounding import count_text, plain

if TYPE_CHECKING:
    from agad.data import Manifest

_NUM_CLASSES = 20
"""The most classes that an import lists; ``agad data show`` lists all of them."""

_NUM_DUPLICATES = 20
"""The most duplicates that are listed; the manifest has all of them."""


def dataset_line(manifest: Manifest, store: str, *, is_new: bool) -> str:
    """Return the sentences that are printed when an import ends."""
    train, test = manifest.train.num_images, manifest.test.num_images
    what = (
        f"{manifest.name}: {train:,} training and {test:,} test images of "
        f"{count_text(len(manifest.class_names), 'class', 'classes')}, {_shape(manifest)}"
    )
    where = f"imported into {store}" if is_new else f"in {store} already, nothing to do"
    return plain(f"{what}; {where}. {_duplicates(manifest)}{_one_class(manifest)}")


def dataset_classes(manifest: Manifest) -> str:
    """Return the classes with their numbers of images, as training + test images."""
    counts = zip(manifest.train.class_counts, manifest.test.class_counts, strict=True)
    shown = [
        f"{name} ({train:,} + {test:,})"
        for name, (train, test) in zip(manifest.class_names, counts, strict=True)
    ]
    more = f", and {len(shown) - _NUM_CLASSES} more" if len(shown) > _NUM_CLASSES else ""
    listed = ", ".join(shown[:_NUM_CLASSES])
    return plain(f"Classes (training + test images): {listed}{more}.")


def dataset_table(manifests: Sequence[Manifest], store: str, known: Sequence[str]) -> Group:
    """Return the data sets of a store, and the names of known data sets that it lacks."""
    table = _table(
        ("data set", "classes", "shape", "train", "test", "test part", "data"),
        texts=("data set", "shape", "test part", "data"),
        folds="data set",
    )
    for one in manifests:
        table.add_row(
            Text(plain(one.name)),
            str(len(one.class_names)),
            _shape(one),
            f"{one.train.num_images:,}",
            f"{one.test.num_images:,}",
            Text("official" if one.test_split == "official" else "chosen"),
            one.fingerprint[:12],
        )
    names = {one.name for one in manifests}
    others = ", ".join(name for name in known if name not in names)
    return Group(
        Text(f"Data sets in {plain(store)}", style="bold"),
        table if manifests else Text("none\n"),
        Text(f"Known by name, not imported here: {others or 'none'}."),
    )


def dataset_details(manifest: Manifest) -> Group:
    """Return everything that a manifest says about a data set."""
    table = _table(("label", "class", "train", "test"), texts=("class",), folds="class")
    counts = zip(manifest.train.class_counts, manifest.test.class_counts, strict=True)
    for label, (name, (train, test)) in enumerate(zip(manifest.class_names, counts, strict=True)):
        table.add_row(str(label), Text(plain(name)), f"{train:,}", f"{test:,}")
    lines = [
        f"Images: {_shape(manifest)}; resized: {manifest.resize}.",
        f"Source: {manifest.source}. Test part: {manifest.test_split}.",
        _validation(manifest),
        f"Content: SHA-256 {manifest.fingerprint}.",
        _duplicates(manifest),
    ]
    listed = [
        f"  {one.name} ({one.reason}): {one.copy_of}" for one in manifest.dropped[:_NUM_DUPLICATES]
    ]
    if len(manifest.dropped) > _NUM_DUPLICATES:
        listed.append(f"  and {len(manifest.dropped) - _NUM_DUPLICATES:,} more")
    return Group(
        Text(f"Data set {plain(manifest.name)}", style="bold"),
        table,
        *(Text(f"• {plain(line)}") for line in lines),
        *(Text(f"  {plain(line)}") for line in listed),
    )


def _table(headers: Sequence[str], *, texts: Sequence[str], folds: str) -> Table:
    """Return an empty table with texts on the left; long text of the column ``folds`` is folded."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for header in headers:
        justify: JustifyMethod = "left" if header in texts else "right"
        table.add_column(header, justify=justify, overflow="fold", no_wrap=header != folds)
    return table


def _one_class(manifest: Manifest) -> str:
    """Return a warning if the training part has a single class, as in MVTec's own split."""
    if not _has_one_class(manifest):
        return ""
    return (
        " Its training part holds one class alone, so a study needs a selection without labels, "
        "such as selection=LabelFree()."
    )


def _validation(manifest: Manifest) -> str:
    if _has_one_class(manifest):
        return "Validation: no labelled anomalies, because the training part holds one class alone."
    wanted = manifest.num_val_anomalies
    counts = [count for count in manifest.train.class_counts if count]
    fewest, most = sum(counts) - max(counts), sum(counts) - min(counts)
    few = ""
    if fewest < wanted:
        found = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}, by the normal class"
        few = f"; the training part holds {found}, so name fewer with Labelled(num_anomalies=N)"
    return f"Validation: {_anomalies(wanted)} where a study names no number{few}."


def _has_one_class(manifest: Manifest) -> bool:
    return sum(count > 0 for count in manifest.train.class_counts) == 1


def _shape(manifest: Manifest) -> str:
    return f"{manifest.channels} x {manifest.image_px} x {manifest.image_px}"


def _duplicates(manifest: Manifest) -> str:
    if not manifest.dropped:
        return "Pixel duplicates: none in training, and none of the test part's in training."
    reasons = Counter(one.reason for one in manifest.dropped)
    counts = ", ".join(_reason_text(count, reason) for reason, count in sorted(reasons.items()))
    return f"Pixel duplicates kept out of training: {counts}."


def _anomalies(count: int) -> str:
    return count_text(count, "labelled anomaly", "labelled anomalies")


def _reason_text(count: int, reason: str) -> str:
    """Return how many images were dropped for a reason of ``Dropped``, such as ``2 copies``."""
    return count_text(count, "copy", "copies") if reason == "copy" else f"{count:,} {reason}"
