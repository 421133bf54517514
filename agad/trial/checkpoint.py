"""Checkpoints: what a trial needs to go on, in one file that is whole or refused."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from agad.errors import CheckpointError

_MAGIC = b"agad checkpoint 1\n"
"""Its number grows when the content changes so that an older version could not read it."""

_DIGEST_BYTES = hashlib.sha256().digest_size


def write_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state in one piece: after a crash the file is the one before, or this one.

    Args:
        path: The file; its folder exists.
        state: Tensors, numbers, texts, and dictionaries and lists of them.
    """
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    body = buffer.getvalue()
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(_MAGIC + hashlib.sha256(body).digest() + body)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the state in a file, its tensors on the CPU. Nothing in it is executed.

    Raises:
        CheckpointError: The file is missing, truncated, damaged, or no checkpoint.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}).") from error
    if not data.startswith(_MAGIC):
        raise CheckpointError(f"{path} is no checkpoint of this version; remove it to start anew.")
    digest = data[len(_MAGIC) : len(_MAGIC) + _DIGEST_BYTES]
    body = data[len(_MAGIC) + _DIGEST_BYTES :]
    if hashlib.sha256(body).digest() != digest:
        raise CheckpointError(f"{path} is truncated or damaged; remove it to start anew.")
    try:
        state = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise CheckpointError(f"{path} holds what no checkpoint holds ({error}).") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} holds what no checkpoint holds (a {type(state).__name__}).")
    return state
