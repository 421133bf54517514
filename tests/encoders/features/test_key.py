"""What features are features of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agad.encoders import EncoderReference, Preprocessing
from agad.encoders.features import FeatureKey

ENCODER = EncoderReference(
    name="mine",
    sha256="ab" * 32,
    image_px=96,
    native_px=224,
    smallest_px=32,
    preprocessing=Preprocessing(),
    architecture="efficientnet-lite0",
)
KEY = FeatureKey(data_fingerprint="cd" * 32, part="train", encoder=ENCODER, output="global")


@pytest.mark.parametrize(
    "changes",
    [
        {"data_fingerprint": "ef" * 32},
        {"part": "test"},
        {"output": "stage3"},
        {"encoder": replace(ENCODER, sha256="ef" * 32)},
        {"encoder": replace(ENCODER, image_px=128)},
        {"encoder": replace(ENCODER, architecture="another")},
        {"encoder": replace(ENCODER, version=2)},
        {"encoder": replace(ENCODER, preprocessing=Preprocessing(version=2))},
        {"encoder": replace(ENCODER, preprocessing=Preprocessing(mean=(0.0, 0.0, 0.0)))},
    ],
    ids=["data", "part", "output", "weights", "size", "network", "version", "resizing", "scaling"],
)
def test_what_decides_the_features_is_in_the_key(changes: dict[str, Any]) -> None:
    assert replace(KEY, **changes).digest != KEY.digest


def test_what_a_file_is_called_is_not_in_the_key() -> None:
    renamed = replace(ENCODER, name="yours", external_data="photographs", num_bytes=5)
    assert replace(KEY, encoder=renamed).digest == KEY.digest


def test_the_digest_is_that_of_stored_features() -> None:
    """A change here would lose every stored feature."""
    assert KEY.digest == "a193189e678d0eeb2a0b947153701d506646d7ebb41ed898e468fd31b3156b7d"
