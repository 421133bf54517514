"""The keys of stored objects, as the layout in the docstring shows them."""

from __future__ import annotations

import re

import pytest

from agad.records import (
    CheckpointName,
    Winner,
    attempt_key,
    checkpoint_key,
    checkpoints_prefix,
    compact_key,
    config_key,
    dataset_file_key,
    dataset_manifest_key,
    encoder_key,
    features_key,
    features_sha256,
    kept_prefix,
    keys,
    lease_key,
    manifest_key,
    mark_key,
    model_key,
    models_prefix,
    new_probe_key,
    passed_key,
    picture_key,
    pictures_prefix,
    status_key,
    winner_key,
)

TRIAL = "0f" * 16
WINNER = Winner(
    cell="a cell", num_search_trials=100, num_seeds=5, params={}, val_auroc=None, objective=None
)
MADE = [
    dataset_manifest_key("mnist"),
    dataset_file_key("mnist", TRIAL),
    encoder_key(TRIAL),
    features_key(TRIAL, TRIAL),
    passed_key(2, "s3://a-bucket"),
    new_probe_key(),
    config_key("a-study", 0),
    config_key("a-study", 1),
    status_key("a-study"),
    lease_key("a-study", 17),
    attempt_key("a-study", "claims", TRIAL, 0),
    mark_key("a-study", TRIAL, 0, "released"),
    mark_key("a-study", TRIAL, 0, "paused"),
    attempt_key("a-study", "epochs", TRIAL, 0),
    attempt_key("a-study", "scores", TRIAL, 0),
    attempt_key("a-study", "trials", TRIAL, 0),
    attempt_key("a-study", "diagnostics", TRIAL, 0),
    winner_key("a-study", WINNER),
    compact_key("a-study", "trials", 1),
    manifest_key("a-study", 1),
    checkpoint_key(checkpoints_prefix("a-study"), TRIAL, CheckpointName(num_epochs=27, attempt=0)),
    checkpoint_key(kept_prefix("a-study"), TRIAL, CheckpointName(num_epochs=27, attempt=0)),
    model_key(models_prefix("a-study"), TRIAL),
    picture_key(pictures_prefix("a-study"), TRIAL, 12),
]


def _examples() -> list[str]:
    """Return the example keys of the docstring, in its order."""
    return [line.split()[0] for line in (keys.__doc__ or "").splitlines() if line[:4] == " " * 4]


@pytest.mark.parametrize(
    ("example", "key"), [*zip(_examples(), MADE, strict=True)], ids=_examples()
)
def test_the_layout_of_a_store_shows_every_key_as_it_is_made(example: str, key: str) -> None:
    pattern = re.escape(example).replace("TRIAL", TRIAL).replace("HASH", "[0-9a-f]{16,32}")
    assert re.fullmatch(pattern, key)


def test_features_sha256_is_none_for_a_key_that_names_no_features() -> None:
    sha256 = "0f" * 32
    assert features_sha256(TRIAL, features_key(TRIAL, sha256)) == sha256
    assert features_sha256(TRIAL, f"_features/{TRIAL}/a-note.txt") is None
    assert features_sha256("other", features_key(TRIAL, sha256)) is None
