"""A user's own encoder as data in the store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from agad.data import NodeCache
from agad.encoders import EncoderReference
from agad.encoders.features import open_stored_encoder, put_encoder
from agad.encoders.networks import find_encoder, open_encoder
from agad.errors import ConfigError, DataError, StoreError
from agad.objects import ObjectStore, open_objects

CPU = torch.device("cpu")


@pytest.fixture
def cache(tmp_path: Path) -> NodeCache:
    return NodeCache(folder=str(tmp_path / "cache"))


def test_workers_fetch_the_weights_once_and_need_no_file(
    objects: ObjectStore,
    mine: EncoderReference,
    own_weights: Path,
    cache: NodeCache,
) -> None:
    put_encoder(mine, own_weights, objects)
    put_encoder(mine, own_weights, objects)
    images = torch.zeros(2, 1, 28, 28)
    expected = open_encoder(mine, weights=own_weights).features(images)
    for uri in (objects.uri, "/nowhere"):  # The second worker finds them in the cache.
        encoder = open_stored_encoder(mine, store=uri, cache=cache, device=CPU)
        torch.testing.assert_close(encoder.features(images), expected, rtol=0, atol=0)
    names = [path.name for path in Path(cache.folder).glob("*/*.safetensors")]
    assert names == [f"{mine.sha256}.safetensors"]


def test_changed_weights_in_the_store_are_refused(
    store: Path, mine: EncoderReference, own_weights: Path, cache: NodeCache
) -> None:
    path = store / f"_encoders/{mine.sha256}.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=f"but must have {mine.sha256}: the store's object was"):
        open_stored_encoder(mine, store=str(store), cache=cache, device=CPU)
    with pytest.raises(DataError, match=r"holds other bytes than .*remove the object"):
        put_encoder(mine, own_weights, open_objects(str(store)))


def test_weights_that_nobody_put_are_missing(
    mine: EncoderReference, tmp_path: Path, cache: NodeCache
) -> None:
    with pytest.raises(StoreError, match=rf"{mine.sha256}\.safetensors"):
        open_stored_encoder(mine, store=str(tmp_path / "empty"), cache=cache, device=CPU)


def test_an_encoder_of_another_architecture_than_its_file_is_refused(
    store: Path, mine: EncoderReference, cache: NodeCache
) -> None:
    other = replace(mine, architecture="efficientnet-lite2")
    with pytest.raises(DataError, match=r"holds no weights of efficientnet-lite2"):
        open_stored_encoder(other, store=str(store), cache=cache, device=CPU)
    unknown = replace(mine, architecture="of-a-package-that-is-not-here")
    with pytest.raises(ConfigError, match="must be one of: efficientnet-lite0"):
        open_stored_encoder(unknown, store=str(store), cache=cache, device=CPU)


@pytest.mark.usefixtures("published")
def test_published_weights_are_converted_into_the_cache(cache: NodeCache) -> None:
    reference = find_encoder("efficientnet-lite0", image_px=32)
    encoder = open_stored_encoder(reference, store="/nowhere", cache=cache, device=CPU)
    assert encoder.features(torch.zeros(1, 1, 28, 28)).shape == (1, 1280)
    assert len(list((Path(cache.folder) / "converted").iterdir())) == 1
