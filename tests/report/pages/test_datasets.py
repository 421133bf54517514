"""Imported data sets as text: the numbers are right, and no name drives the terminal."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console, RenderableType

from agad.data import Dropped, Manifest, StoredPart
from agad.report import dataset_details, dataset_line, dataset_table

STORE = "/some/store"
HOSTILE = "[bold red]x[/]\x1b[31m\nnext"
CLEAN = "Pixel duplicates: none in training, and none of the test part's in training."

PHOTOS = Manifest(
    name="photos",
    class_names=("good", "broken"),
    channels=3,
    image_px=64,
    num_val_anomalies=62,
    fingerprint="ab12" * 16,
    train=StoredPart(sha256="0" * 64, num_bytes=1, class_counts=(1200, 34)),
    test=StoredPart(sha256="1" * 64, num_bytes=1, class_counts=(5, 6)),
    source="folder photos",
    resize="to 64 x 64 by Pillow's bilinear",
    test_split="official",
)
DUPLICATES = (
    Dropped(name="a.png", reason="copy", copy_of="b.png"),
    Dropped(name="c.png", reason="in the test part", copy_of="test/good/c.png"),
    Dropped(name="d.png", reason="copy", copy_of="b.png"),
)


def printed(view: RenderableType, width: int = 120) -> str:
    out = io.StringIO()
    Console(width=width, file=out, color_system=None).print(view)
    return out.getvalue()


def words(text: str) -> str:
    return " ".join(text.split())


def test_dataset_line_ends_an_import_with_what_was_kept() -> None:
    assert dataset_line(PHOTOS, STORE, is_new=True) == (
        "photos: 1,234 training and 11 test images of 2 classes, 3 x 64 x 64; imported into "
        f"/some/store. {CLEAN}"
    )


def test_dataset_line_says_that_nothing_was_to_do() -> None:
    line = dataset_line(PHOTOS, STORE, is_new=False)
    assert "; in /some/store already, nothing to do. " in line


def test_dataset_line_counts_duplicates_by_their_reason() -> None:
    line = dataset_line(replace(PHOTOS, dropped=DUPLICATES), STORE, is_new=True)
    assert line.endswith("Pixel duplicates kept out of training: 2 copies, 1 in the test part.")


def test_dataset_line_is_one_line_whatever_the_store_is_called() -> None:
    line = dataset_line(PHOTOS, f"/some/{HOSTILE}", is_new=True)
    assert line.isprintable()
    assert "[bold red]x[/]" in line


def test_dataset_table_has_a_row_a_data_set() -> None:
    chosen = replace(PHOTOS, name="digits", channels=1, test_split="0.3333 of each class")
    lines = printed(dataset_table([PHOTOS, chosen], STORE, [])).splitlines()
    assert lines[0] == "Data sets in /some/store"
    rows = [line.split() for line in lines if line.strip().startswith(("photos", "digits"))]
    shape = ["x", "64", "x", "64"]
    assert rows == [
        ["photos", "2", "3", *shape, "1,234", "11", "official", "ab12ab12ab12"],
        ["digits", "2", "1", *shape, "1,234", "11", "chosen", "ab12ab12ab12"],
    ]


@pytest.mark.parametrize(
    ("known", "named"),
    [(["photos", "mnist", "cifar10"], "mnist, cifar10"), (["photos"], "none")],
    ids=["some", "none"],
)
def test_dataset_table_names_the_known_ones_that_are_not_there(
    known: list[str], named: str
) -> None:
    text = words(printed(dataset_table([PHOTOS], STORE, known)))
    assert text.endswith(f"Known by name, not imported here: {named}.")


@pytest.mark.parametrize("width", [80, 120])
def test_dataset_table_cuts_neither_a_name_nor_a_number(width: int) -> None:
    name = "photos-of-screws-" + "x" * 80
    large = replace(PHOTOS.train, class_counts=(50_000, 0))
    table = dataset_table([replace(PHOTOS, name=name, train=large)], STORE, [])
    text = printed(table, width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in text
    assert "50,000" in text
    assert "ab12ab12ab12" in text
    assert name in "".join(line.split()[0] for line in lines[4:] if line.strip())


def test_dataset_table_of_an_empty_store_says_none() -> None:
    text = printed(dataset_table([], STORE, ["digits"]))
    assert text.splitlines()[1] == "none"
    assert "not imported here: digits." in text


def test_dataset_table_never_reads_a_store_as_markup_or_as_a_command() -> None:
    text = printed(dataset_table([], HOSTILE, []))
    assert "[bold red]x[/]" in text
    assert "\x1b" not in text


def test_dataset_details_have_a_row_a_class() -> None:
    lines = printed(dataset_details(PHOTOS)).splitlines()
    assert lines[0] == "Data set photos"
    rows = [line.split() for line in lines if line.split()[:1] in (["0"], ["1"])]
    assert rows == [["0", "good", "1,200", "5"], ["1", "broken", "34", "6"]]


def test_dataset_details_say_where_it_is_from_and_how_it_was_read() -> None:
    text = words(printed(dataset_details(PHOTOS)))
    assert "Images: 3 x 64 x 64; resized: to 64 x 64 by Pillow's bilinear." in text
    assert "Source: folder photos. Test part: official." in text
    assert "Validation: 62 labelled anomalies where a study names no number; the training" in text
    assert "part holds 34 to 1,200, by the normal class, so name fewer with Labelled(" in text
    assert f"Content: SHA-256 {PHOTOS.fingerprint}." in text
    assert text.endswith(CLEAN)


def test_dataset_details_list_each_duplicate_with_what_it_copies() -> None:
    text = words(printed(dataset_details(replace(PHOTOS, dropped=DUPLICATES))))
    assert "Pixel duplicates kept out of training: 2 copies, 1 in the test part." in text
    assert "a.png (copy): b.png c.png (in the test part): test/good/c.png d.png" in text


def test_dataset_details_list_the_first_twenty_duplicates_and_count_the_others() -> None:
    dropped = tuple(
        Dropped(name=f"n{number}.png", reason="copy", copy_of="b.png") for number in range(1225)
    )
    text = words(printed(dataset_details(replace(PHOTOS, dropped=dropped))))
    assert "n19.png (copy): b.png and 1,205 more" in text
    assert "n20.png" not in text


def test_dataset_details_never_read_a_name_as_markup_or_as_a_command() -> None:
    dropped = (Dropped(name=HOSTILE, reason="copy", copy_of=HOSTILE),)
    hostile = replace(
        PHOTOS, class_names=("good", HOSTILE), source=f"folder {HOSTILE}", dropped=dropped
    )
    text = printed(dataset_details(hostile), width=1000)
    assert text.count("[bold red]x[/]") == 4
    assert "\x1b" not in text
    assert "\nnext" not in text


@pytest.mark.parametrize("width", [40, 80, 200])
def test_dataset_details_fit_the_terminal(width: int) -> None:
    long = replace(PHOTOS, class_names=("good", "x" * 100), dropped=DUPLICATES)
    text = printed(dataset_details(long), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert text.count("x") >= 100
