"""Removing a study: everything of it, nothing else, and never under a driver."""

from __future__ import annotations

from pathlib import Path

import pytest

from agad.errors import OtherDriverError, StoreError
from agad.objects import LocalObjects
from agad.store import StudyStore, list_studies, remove_study, studies_with_dataset
from agad.store.holding.lease import LeaseTimes

_QUICK = LeaseTimes(renew_s=0.05, void_s=0.5, look_s=0.02)


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjects:
    """A store of three studies, whose names begin alike."""
    objects = LocalObjects(tmp_path / "store")
    for name, dataset in (("one", ["tiles"]), ("one-more", ["digits", "tiles"]), ("two", "digits")):
        study = StudyStore(objects, name, lease_times=_QUICK)
        with study.hold():
            study.open({"name": name, "cells": {"dataset": dataset}})
        objects.put_if_absent(f"{name}/models/a.safetensors", b"weights")
    return objects


def test_a_study_is_removed_and_the_others_stay(objects: LocalObjects) -> None:
    others = [key for key in objects.list("") if not key.startswith("one/")]
    num_objects = remove_study(objects, "one", lease_times=_QUICK)
    assert num_objects > 2
    assert objects.list("") == others
    assert list_studies(objects) == ["one-more", "two"]


def test_a_study_that_a_driver_holds_is_not_removed(objects: LocalObjects) -> None:
    with StudyStore(objects, "one", lease_times=_QUICK).hold():
        kept = [key for key in objects.list("one/") if "lease" not in key]
        with pytest.raises(OtherDriverError, match=r"study one in .* is run by the driver on"):
            remove_study(objects, "one", lease_times=_QUICK)
        assert [key for key in objects.list("one/") if "lease" not in key] == kept


def test_a_removal_that_is_cut_off_can_be_repeated(
    objects: LocalObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str) -> None:
        raise StoreError("the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr(objects, "delete", refuse)
        with pytest.raises(StoreError, match="the disk is gone"):
            remove_study(objects, "one", lease_times=_QUICK)
    assert "one" in list_studies(objects)
    remove_study(objects, "one", lease_times=_QUICK)
    assert objects.list("one/") == []


def test_rows_that_wait_on_this_hosts_disk_are_removed_too(
    objects: LocalObjects, tmp_path: Path
) -> None:
    from agad.store.holding.spool import Spool

    spool = Spool(tmp_path / "spool", objects, "one")
    spool.keep([("one/trials/a/0.parquet", b"row")])
    remove_study(objects, "one", spool=tmp_path / "spool", lease_times=_QUICK)
    assert spool.num_waiting == 0


def test_the_studies_of_a_data_set_are_found_by_their_configuration(objects: LocalObjects) -> None:
    assert studies_with_dataset(objects, "tiles") == ["one", "one-more"]
    assert studies_with_dataset(objects, "digits") == ["one-more", "two"]
    assert studies_with_dataset(objects, "tile") == []
