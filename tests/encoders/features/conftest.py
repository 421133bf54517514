"""A store with digits of a test's own, and readers of their features."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from agad.data import Library, Manifest, NodeCache
from agad.encoders import EncoderReference
from agad.encoders.features import FeatureReader, put_encoder
from agad.encoders.networks import find_encoder
from agad.objects import open_objects

MakeReader: TypeAlias = Callable[..., FeatureReader]


@pytest.fixture(scope="session")
def mine(own_weights: Path) -> EncoderReference:
    """Return a user's own encoder of random weights, which sees pictures at 32 px."""
    return find_encoder(str(own_weights), image_px=32)


@pytest.fixture
def store(
    tmp_path: Path, digits_library: Library, mine: EncoderReference, own_weights: Path
) -> Path:
    """Return a store of this test alone: digits, and the weights of the encoder."""
    folder = tmp_path / "store"
    shutil.copytree(digits_library.uri, folder)
    put_encoder(mine, own_weights, open_objects(str(folder)))
    return folder


@pytest.fixture
def make_reader(
    tmp_path: Path, store: Path, digits: Manifest, mine: EncoderReference
) -> MakeReader:
    """Return a builder of readers; each name of a node stands for a cache of its own."""

    def build(
        node: str = "node",
        *,
        uri: str = str(store),
        encoder: EncoderReference = mine,
        sees_test: bool = False,
        max_gib: float = 20.0,
    ) -> FeatureReader:
        return FeatureReader(
            encoder=encoder,
            data=digits,
            store=uri,
            cache=NodeCache(folder=str(tmp_path / node), max_gib=max_gib),
            sees_test=sees_test,
        )

    return build
