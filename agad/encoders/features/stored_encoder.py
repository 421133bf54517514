"""A user's own encoder as data: put into the store once, fetched by every node."""

from __future__ import annotations

from pathlib import Path

import torch

from agad.data import CachedFile, NodeCache
from agad.encoders.networks.encoder import Encoder
from agad.encoders.networks.opening import open_encoder
from agad.encoders.reference import EncoderReference
from agad.errors import DataError
from agad.objects import ObjectStore, open_objects
from agad.records import encoder_key


def put_encoder(reference: EncoderReference, path: Path, objects: ObjectStore) -> None:
    """Put a user's own file of weights into the store, so that workers find it.

    Args:
        reference: As ``find_encoder`` returned it for the file.
        path: The file.
        objects: The store.

    Raises:
        DataError: The store's object, or the file by now, holds other bytes.
        StoreError: The store cannot be reached.
    """
    key = encoder_key(reference.sha256)
    if not objects.put_file_if_absent(key, path):
        raise DataError(
            f"{objects.uri}/{key} holds other bytes than {path}, or {path} was changed meanwhile; "
            "remove the object, and start the study again."
        )


def open_stored_encoder(
    reference: EncoderReference, *, store: str, cache: NodeCache, device: torch.device
) -> Encoder:
    """Return an encoder on a device; a user's own weights come through this node's cache.

    Raises:
        ConfigError: The encoder's package is not installed here.
        DataError: Weights are damaged, or the cache cannot hold them.
        StoreError: The store cannot be reached, or lacks the weights.
    """
    if not reference.is_stored:
        return open_encoder(reference, device=device, folder=cache.folder)
    file = CachedFile(
        path=f"encoders/{reference.sha256}.safetensors",
        sha256=reference.sha256,
        num_bytes=reference.num_bytes,
    )
    return cache.read(
        file,
        lambda path: open_objects(store).get_file(encoder_key(reference.sha256), path),
        lambda path: open_encoder(reference, device=device, weights=path),
    )
