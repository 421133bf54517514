"""Weights of a stored model, checked before a network takes them over."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def take_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Let a module take weights over, every one of them and no other.

    Args:
        module: It may be on the ``meta`` device: its own weights are never read.
        weights: By the names of ``module.state_dict()``.

    Raises:
        ValueError: A weight is missing, unknown, of another shape or type, or not finite.
    """
    kinds = {name: tensor.dtype for name, tensor in module.state_dict().items()}
    for name, tensor in weights.items():
        if kinds.get(name, tensor.dtype) != tensor.dtype:
            raise ValueError(f"{name} is of {tensor.dtype}, but must be of {kinds[name]}")
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} is not finite everywhere")
    try:
        module.load_state_dict(dict(weights), assign=True)
    except RuntimeError as error:
        raise ValueError(str(error)) from error


def sizes_of(
    axes: Mapping[str, str], weights: Mapping[str, Tensor], known: Mapping[str, int]
) -> dict[str, int]:
    """Return the size of every axis of some tensors, by its letter; 0 if no tensor tells it.

    Args:
        axes: A letter for each axis of every tensor, by the tensor's name, such as ``NC``.
        weights: The tensors, of which some may be missing or have another shape.
        known: The sizes that do not come from the tensors.
    """
    sizes = dict(known)
    for name, letters in axes.items():
        shape = weights[name].shape if name in weights else ()
        for letter, size in zip(letters, shape, strict=False):
            sizes.setdefault(letter, size)
    for letters in axes.values():
        for letter in letters:
            sizes.setdefault(letter, 0)
    return sizes
