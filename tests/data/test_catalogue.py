"""The data sets that are known by name."""

from __future__ import annotations

import re
from collections import Counter
from urllib.parse import urlsplit

import pytest

from agad.data import FORMATS, KNOWN
from agad.data.catalogue import _ALL, KnownDataset
from agad.data.library import check_dataset_name
from agad.data.readers.numbered import MAX_CLASSES
from agad.data.resize import SIZES

_EACH = pytest.mark.parametrize("known", _ALL, ids=lambda known: known.name)


def test_every_known_data_set_has_a_name_of_its_own() -> None:
    assert [name for name, count in Counter(one.name for one in _ALL).items() if count > 1] == []
    assert list(KNOWN.values()) == list(_ALL)


@_EACH
def test_a_known_name_can_name_a_data_set(known: KnownDataset) -> None:
    check_dataset_name(known.name)


@_EACH
def test_a_known_data_set_has_a_format_and_a_size_that_networks_take(known: KnownDataset) -> None:
    assert known.format in FORMATS
    assert known.image_px in SIZES
    assert known.num_val_anomalies > 0


@_EACH
def test_the_classes_of_a_known_data_set_are_distinct(known: KnownDataset) -> None:
    names = known.class_names or ("one", "other")
    assert len(set(names)) == len(names)
    assert 2 <= len(names) <= MAX_CLASSES
    assert all(name == name.strip() != "" for name in names)


@pytest.mark.parametrize(
    ("name", "num_classes"),
    [
        ("mnist", 10),
        ("fashion-mnist", 10),
        ("pathmnist", 9),
        ("dermamnist", 7),
        ("octmnist", 4),
        ("pneumoniamnist", 2),
        ("retinamnist", 5),
        ("breastmnist", 2),
        ("bloodmnist", 8),
        ("tissuemnist", 8),
        ("organamnist", 11),
        ("organcmnist", 11),
        ("organsmnist", 11),
    ],
)
def test_a_known_data_set_has_as_many_classes_as_its_paper_says(
    name: str, num_classes: int
) -> None:
    assert len(KNOWN[name].class_names or ()) == num_classes


@_EACH
def test_the_files_of_a_known_data_set_are_at_https_urls_that_end_with_their_names(
    known: KnownDataset,
) -> None:
    for file in known.files:
        url = urlsplit(file.url)
        assert (url.scheme, url.username, url.fragment) == ("https", None, "")
        assert re.fullmatch(r"[a-z0-9.-]+\.[a-z]+", url.netloc)
        assert url.path.endswith(f"/{file.name}")


@_EACH
def test_the_files_of_a_known_data_set_have_distinct_names_and_checksums(
    known: KnownDataset,
) -> None:
    assert len({file.name for file in known.files}) == len(known.files)
    assert len({file.md5 for file in known.files}) == len(known.files)
    assert all(re.fullmatch("[0-9a-f]{32}", file.md5) for file in known.files)


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_but_a_folder_is_that_of_a_known_data_set(format_: str) -> None:
    assert any(known.format == format_ for known in _ALL) == (format_ != "folder")


def test_digits_alone_need_no_files() -> None:
    assert [known.name for known in _ALL if not known.files] == ["digits"]
