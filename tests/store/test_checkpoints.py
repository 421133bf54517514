"""Which checkpoints a study drops, on each store."""

from __future__ import annotations

import pytest

from agad.objects import ObjectStore
from agad.records import CheckpointName
from agad.store import StudyStore

ONE, OTHER, THIRD = "0a" * 16, "1b" * 16, "2c" * 16


def _put(objects: ObjectStore, trial_key: str, *names: str, study: str = "a-study") -> None:
    for name in names:
        assert objects.put_if_absent(f"{study}/checkpoints/{trial_key}/{name}", name.encode())


def _left(objects: ObjectStore) -> list[str]:
    return [key.removeprefix("a-study/checkpoints/") for key in objects.list("a-study/")]


def test_all_checkpoints_of_a_trial_are_dropped(objects: ObjectStore) -> None:
    _put(objects, ONE, "1-0.ckpt", "9-1.ckpt")
    _put(objects, OTHER, "1-0.ckpt")
    StudyStore(objects, "a-study").drop_checkpoints([ONE, THIRD], kept=[])
    assert _left(objects) == [f"{OTHER}/1-0.ckpt"]


def test_of_a_kept_trial_the_newest_checkpoint_stays(objects: ObjectStore) -> None:
    _put(objects, ONE, "9-0.ckpt", "27-0.ckpt", "27-1.ckpt", "3-12.ckpt")
    _put(objects, OTHER, "27-0.ckpt")
    store = StudyStore(objects, "a-study")
    for _ in range(2):
        store.drop_checkpoints({ONE, OTHER}, kept={ONE})
        assert _left(objects) == [f"{ONE}/27-1.ckpt"]


def test_what_is_no_checkpoint_of_the_study_stays(objects: ObjectStore) -> None:
    _put(objects, ONE, "notes.txt", "01-0.ckpt")
    _put(objects, ONE, "1-0.ckpt", study="another")
    StudyStore(objects, "a-study").drop_checkpoints([ONE], kept=[])
    assert _left(objects) == [f"{ONE}/01-0.ckpt", f"{ONE}/notes.txt"]
    assert objects.list("another/") == [f"another/checkpoints/{ONE}/1-0.ckpt"]


def test_what_a_winner_keeps_for_diagnostics_stays_and_all_that_others_keep_goes(
    objects: ObjectStore,
) -> None:
    for trial_key in (ONE, OTHER, THIRD):
        for name in ("2-0.ckpt", "4-0.ckpt", "4-1.ckpt", "notes.txt"):
            assert objects.put_if_absent(f"a-study/kept/{trial_key}/{name}", b"")
    StudyStore(objects, "a-study").drop_checkpoints({ONE, OTHER}, kept={ONE})
    assert objects.list("a-study/kept/") == [
        *(f"a-study/kept/{ONE}/{name}" for name in ("2-0.ckpt", "4-0.ckpt", "4-1.ckpt")),
        f"a-study/kept/{ONE}/notes.txt",
        f"a-study/kept/{OTHER}/notes.txt",
        *(f"a-study/kept/{THIRD}/{name}" for name in ("2-0.ckpt", "4-0.ckpt", "4-1.ckpt")),
        f"a-study/kept/{THIRD}/notes.txt",
    ]


def test_nothing_to_drop_is_fine(objects: ObjectStore) -> None:
    StudyStore(objects, "a-study").drop_checkpoints([ONE], kept=[ONE])
    assert objects.list("") == []


@pytest.mark.parametrize(
    "name",
    [
        CheckpointName(num_epochs=0, attempt=0),
        CheckpointName(num_epochs=81, attempt=12),
        CheckpointName(num_epochs=0, num_pretrained=30, attempt=1),
    ],
    ids=str,
)
def test_a_checkpoints_name_is_read_as_it_is_written(name: CheckpointName) -> None:
    assert CheckpointName.parse(str(name)) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1.ckpt",
        "1-0",
        "1-0.ckpt.tmp",
        "-1-0.ckpt",
        "1-00.ckpt",
        "1-0.ckpt\n",
        "a-0.ckpt",
        "1.3-0.ckpt",
        "0.0-0.ckpt",
        "0.-0.ckpt",
    ],
)
def test_another_name_is_no_checkpoints(text: str) -> None:
    assert CheckpointName.parse(text) is None


def test_a_checkpoint_of_a_pretraining_is_newer_than_none_and_older_than_an_epochs() -> None:
    names = ["0-3.ckpt", "0.9-0.ckpt", "0.30-0.ckpt", "0.30-1.ckpt", "1-0.ckpt"]
    parsed = [CheckpointName.parse(name) for name in names]
    assert sorted(filter(None, reversed(parsed))) == parsed


def test_the_newest_checkpoint_of_each_trial_asked_for_is_told(objects: ObjectStore) -> None:
    _put(objects, ONE, "9-0.ckpt", "27-1.ckpt", "3-12.ckpt", "notes.txt")
    _put(objects, OTHER, "1-0.ckpt")
    _put(objects, THIRD, "2-0.ckpt", study="another")
    found = StudyStore(objects, "a-study").checkpoints({ONE, THIRD})
    assert found == {ONE: CheckpointName(num_epochs=27, attempt=1)}
