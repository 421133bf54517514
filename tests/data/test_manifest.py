"""What is known of an imported data set, as JSON and by its classes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from agad.data.manifest import Dropped, Manifest, StoredPart
from agad.data.readers.values import ValueRange
from agad.errors import ConfigError, DataError

_MANIFEST = Manifest(
    name="bottle",
    class_names=("good", "brøken", "7"),
    channels=3,
    image_px=64,
    num_val_anomalies=5,
    fingerprint="0f" * 32,
    train=StoredPart(sha256="ab" * 32, num_bytes=12_345_678_901, class_counts=(9, 0, 1)),
    test=StoredPart(sha256="cd" * 32, num_bytes=678, class_counts=(3, 2, 1)),
    source="folder bottle",
    resize="to 64 x 64 by Pillow's bilinear",
    test_split="official",
    dropped=(Dropped(name="train/good/1.png", reason="copy", copy_of="train/good/0.png"),),
)


def test_a_manifest_comes_back_from_json_as_it_was() -> None:
    assert Manifest.from_json(_MANIFEST.to_json(), "here") == _MANIFEST


def test_a_manifest_without_duplicates_comes_back_from_json_as_it_was() -> None:
    manifest = replace(_MANIFEST, dropped=())
    assert Manifest.from_json(manifest.to_json(), "here") == manifest


def test_a_manifest_is_a_json_document_that_names_its_version() -> None:
    values = json.loads(_MANIFEST.to_json())
    assert values["format_version"] == 1
    assert values["class_names"] == ["good", "brøken", "7"]
    assert values["train"]["class_counts"] == [9, 0, 1]
    assert values["dropped"][0]["copy_of"] == "train/good/0.png"


def test_a_manifest_with_a_fit_or_a_range_comes_back_and_older_versions_ask_for_a_newer_one() -> (
    None
):
    manifest = replace(_MANIFEST, fit="pad", value_range=ValueRange(0, 4095))
    assert json.loads(manifest.to_json())["format_version"] == 2
    assert Manifest.from_json(manifest.to_json(), "here") == manifest


def test_a_manifest_of_the_defaults_is_what_earlier_versions_read() -> None:
    assert not {"fit", "value_range"} & json.loads(_MANIFEST.to_json()).keys()


@pytest.mark.parametrize("change", [{"fit": "squash"}, {"value_range": {"low": 9, "high": 3}}])
def test_a_manifest_with_a_fit_or_a_range_that_is_none_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises((DataError, ConfigError), match=r"squash|9-3"):
        Manifest.from_json(_changed(lambda values: values.update(format_version=2, **change)), "x")


def test_a_manifest_can_be_a_key_and_never_changes() -> None:
    assert len({_MANIFEST, Manifest.from_json(_MANIFEST.to_json(), "here")}) == 1
    with pytest.raises(FrozenInstanceError, match="name"):
        _MANIFEST.name = "other"  # type: ignore[misc]


def test_a_part_counts_its_images() -> None:
    assert _MANIFEST.part("train").num_images == 10
    assert _MANIFEST.part("test").num_images == 6


def test_the_image_shape_is_channels_height_and_width() -> None:
    assert _MANIFEST.image_shape == (3, 64, 64)


def _changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    values = json.loads(_MANIFEST.to_json())
    change(values)
    return json.dumps(values).encode()


def test_a_manifest_of_a_newer_version_is_refused() -> None:
    text = _changed(lambda values: values.update(format_version=3, train="what comes then"))
    match = (
        r"^s3://a/manifest\.json has format version 3, but this .* reads 2; install a newer agad"
    )
    with pytest.raises(DataError, match=match):
        Manifest.from_json(text, "s3://a/manifest.json")


_DAMAGED = {
    "empty": b"",
    "cut": _MANIFEST.to_json()[:-20],
    "binary": b"\xff\xfe\x00",
    "list": b"[]",
    "null": b"null",
    "text": b'"format_version"',
    "no-version": _changed(lambda values: values.pop("format_version")),
    "no-name": _changed(lambda values: values.pop("name")),
    "no-test": _changed(lambda values: values.pop("test")),
    "no-counts": _changed(lambda values: values["train"].pop("class_counts")),
    "no-sha": _changed(lambda values: values["train"].pop("sha256")),
    "no-reason": _changed(lambda values: values["dropped"][0].pop("reason")),
    "unknown-field": _changed(lambda values: values.update(colour="red")),
    "part-is-null": _changed(lambda values: values.update(train=None)),
    "part-is-text": _changed(lambda values: values.update(train="abc")),
    "classes-are-a-number": _changed(lambda values: values.update(class_names=3)),
    "dropped-is-a-number": _changed(lambda values: values.update(dropped=1)),
}


@pytest.mark.parametrize("text", _DAMAGED.values(), ids=_DAMAGED)
def test_a_damaged_manifest_is_refused(text: bytes) -> None:
    with pytest.raises(DataError, match=r"^here is no manifest of a data set \(.*\); import the"):
        Manifest.from_json(text, "here")


@pytest.mark.parametrize(("given", "label"), [(0, 0), (2, 2), ("good", 0), ("brøken", 1), ("7", 2)])
def test_a_class_is_found_by_its_label_and_by_its_name(given: int | str, label: int) -> None:
    assert _MANIFEST.label_of("cells.normal_class", given) == label


@pytest.mark.parametrize("given", [3, -1, 7, "2", "Good", "", "broken"])
def test_an_unknown_class_is_refused_with_the_known_ones(given: int | str) -> None:
    message = (
        f"cells.normal_class holds {given!r}, but bottle has the classes 0 good, 1 brøken, 2 7; "
        "give a label or a name."
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        _MANIFEST.label_of("cells.normal_class", given)
