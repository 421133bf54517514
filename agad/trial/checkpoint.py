"""Checkpoints: what a trial needs to go on, in one file that is whole or refused."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from agad.errors import CheckpointError
from agad.trial.trial_spec import TrialSpec

_MAGIC = b"agad checkpoint 1\n"
"""The number grows when an older version could no longer read the content."""

_DIGEST_BYTES = hashlib.sha256().digest_size


def to_bytes(state: Mapping[str, Any]) -> bytes:
    """Return a checkpoint.

    Args:
        state: Tensors, numbers, texts, and dictionaries and lists of them.
    """
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    body = buffer.getbuffer()
    return b"".join((_MAGIC, hashlib.sha256(body).digest(), body))


def from_bytes(data: bytes, where: str) -> dict[str, Any]:
    """Return the state in a checkpoint, its tensors on the CPU. Nothing in it is executed.

    Args:
        data: The checkpoint.
        where: Where the checkpoint is, for the error.

    Raises:
        CheckpointError: The data are truncated, damaged, or no checkpoint.
    """
    if not data.startswith(_MAGIC):
        raise CheckpointError(f"{where} is no checkpoint of this version; remove it to start anew.")
    digest = data[len(_MAGIC) : len(_MAGIC) + _DIGEST_BYTES]
    body = data[len(_MAGIC) + _DIGEST_BYTES :]
    if hashlib.sha256(body).digest() != digest:
        raise CheckpointError(f"{where} is truncated or damaged; remove it to start anew.")
    try:
        state = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise CheckpointError(f"{where} holds what no checkpoint holds ({error}).") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{where} holds what no checkpoint holds (a {type(state).__name__}).")
    return state


def write_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state in one piece: after a crash the file is the old one or the new one.

    Args:
        path: The file, in a folder that exists.
        state: As ``to_bytes`` takes it.
    """
    data = to_bytes(state)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the state in a file, as ``from_bytes`` does.

    Raises:
        CheckpointError: The file is missing, truncated, damaged, or no checkpoint.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}).") from error
    return from_bytes(data, str(path))


def check_trial(state: Mapping[str, Any], spec: TrialSpec, where: str) -> None:
    """Refuse the state of another trial's checkpoint."""
    found, wanted = state.get("trial_key"), spec.training_key
    if found != wanted:
        raise CheckpointError(f"{where} is of trial {found}, but must be of {wanted}.")


class Checkpointed(ABC):
    """Training that is written to a checkpoint's file and goes on from one."""

    __slots__ = ()

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return what a checkpoint holds."""

    @abstractmethod
    def go_on_from(self, state: Mapping[str, Any], where: str) -> None:
        """Go on from a checkpoint's state.

        Args:
            state: As ``state`` returned it.
            where: Where the checkpoint is, for the error.

        Raises:
            CheckpointError: The checkpoint is of another trial, or lacks something.
        """

    def save(self, path: Path) -> None:
        """Write a checkpoint."""
        write_checkpoint(path, self.state())

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint's file.

        Raises:
            CheckpointError: The file is damaged, or of another trial.
        """
        self.go_on_from(read_checkpoint(path), str(path))
