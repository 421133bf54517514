"""Weights of encoders: found in packages, converted once, read from files, and fitted."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import pickle
import uuid
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from agad.encoders.architecture import Architecture, Pretrained
from agad.encoders.registry import architecture, encoder_names
from agad.errors import ConfigError, DataError

_ARCHITECTURE_KEY = "architecture"
_TENSORS_KEY = "sha256"


def check_installed(kind: Architecture) -> Path:
    """Return the published file of an architecture's weights, without importing its package.

    Raises:
        ConfigError: The architecture has no published weights, or their package is not installed.
    """
    pretrained = kind.pretrained
    if pretrained is None:
        raise ConfigError(
            f"the encoder {kind.name} comes without weights; name a .safetensors file of them."
        )
    path = _found(pretrained)
    if path is None:
        raise ConfigError(
            f"the encoder {kind.name} needs the package {pretrained.package}, which is not "
            f"installed; {pretrained.install}."
        )
    return path


def _found(pretrained: Pretrained) -> Path | None:
    try:
        spec = importlib.util.find_spec(pretrained.package)
    except (ImportError, ValueError):  # A parent package is missing, or a module is half made.
        return None
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        path = Path(folder) / pretrained.file
        if path.is_file():
            return path
    return None


def pretrained_weights(kind: Architecture, folder: Path) -> dict[str, Tensor]:
    """Return the published weights of an architecture.

    The first call converts the published file to safetensors; later calls, of any process, read the
    converted file. A converted file that is damaged is made anew.

    Args:
        kind: The architecture.
        folder: Where the converted file is kept; created if missing.

    Raises:
        ConfigError: The package of the weights is not installed.
        DataError: The published file is not the one that its SHA-256 tells, or the folder cannot
            be written.
    """
    source = check_installed(kind)
    assert kind.pretrained is not None
    sha256 = kind.pretrained.sha256
    converted = folder / f"{sha256}.safetensors"
    kept = _read_converted(converted)
    if kept is not None:
        return kept
    weights = _read_published(source, sha256)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Several processes may convert at once: each writes a file of its own, and the last wins.
        beside = folder / f"{sha256}.{uuid.uuid4().hex}.part"
        try:
            beside.write_bytes(save(weights, {_TENSORS_KEY: tensors_sha256(weights)}))
            beside.replace(converted)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"the weights of {kind.name} cannot be written to {folder} "
            f"({error.strerror or error}); name another folder with --cache."
        ) from error
    return weights


def _read_converted(path: Path) -> dict[str, Tensor] | None:
    try:
        with safe_open(str(path), framework="pt") as file:
            told = (file.metadata() or {}).get(_TENSORS_KEY)
        weights = load_file(str(path))
    except (OSError, SafetensorError):
        return None
    with contextlib.suppress(PermissionError, FileNotFoundError):  # Another user's, or evicted.
        os.utime(path)  # The cache removes what was unused for the longest time.
    return weights if tensors_sha256(weights) == told else None


def _read_published(path: Path, sha256: str) -> dict[str, Tensor]:
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise DataError(
            f"{path} has SHA-256 {found}, but must have {sha256}; install its package again."
        )
    try:
        # Nothing in the file is executed.
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise DataError(f"{path} cannot be read ({error}); install its package again.") from error
    return {name: tensor.contiguous() for name, tensor in weights.items()}


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of named tensors, whatever their order; on the CPU and elsewhere."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def build_network(kind: Architecture) -> nn.Module:
    """Return an architecture's network with arbitrary weights.

    Raises:
        ConfigError: The network's module cannot be imported.
    """
    module, _, attribute = kind.network.partition(":")
    try:
        network: nn.Module = getattr(import_module(module), attribute)()
    # A foreign module may raise any error.
    except Exception as error:
        raise ConfigError(
            f"the network {kind.network} of the encoder {kind.name} cannot be built: {error}"
        ) from error
    return network


def fitted_network(kind: Architecture, weights: Mapping[str, Tensor]) -> nn.Module:
    """Return an architecture's network with these weights: all that it needs, no other.

    Raises:
        ValueError: A tensor is missing, unknown, of another shape or type, or not finite.
    """
    with torch.device("meta"):
        network = build_network(kind)
    reason = _misfit(kind, network, {name: tuple(one.shape) for name, one in weights.items()})
    if reason:
        raise ValueError(reason)
    expected = network.state_dict()
    used = {name: tensor for name, tensor in weights.items() if name in expected}
    for name, tensor in used.items():
        if tensor.dtype != expected[name].dtype:
            raise ValueError(f"{name} is of {tensor.dtype}, but must be of {expected[name].dtype}")
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} is not finite everywhere")
    network.load_state_dict(used, assign=True)
    return network


def _misfit(kind: Architecture, network: nn.Module, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return why tensors of these shapes are no weights of a network; empty if they are."""
    expected = {name: tuple(one.shape) for name, one in network.state_dict().items()}
    for name, shape in expected.items():
        if name not in shapes:
            return f"{name} is missing"
        if shapes[name] != shape:
            return f"{name} is of shape {shapes[name]}, but must be of {shape}"
    unknown = sorted(shapes.keys() - expected.keys() - set(kind.ignored))
    return f"{unknown[0]} is unknown" if unknown else ""


def architecture_of(path: Path) -> Architecture:
    """Return the architecture whose weights a safetensors file holds; only its header is read.

    The file's metadata may name the architecture: ``{"architecture": "efficientnet-lite0"}``. If
    not, the names and shapes of its tensors must be those of a registered architecture.

    Raises:
        ConfigError: The file cannot be read, or holds the weights of no registered architecture.
    """
    if not path.is_file():
        raise ConfigError(f"the encoder is {path}, but there is no such file.")
    try:
        with safe_open(str(path), framework="pt") as file:
            named = (file.metadata() or {}).get(_ARCHITECTURE_KEY)
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"{path} is no safetensors file ({error}).") from error
    if named is not None and named not in encoder_names():
        raise ConfigError(
            f"{path} says that its architecture is {named!r}, but must name one of: "
            f"{', '.join(encoder_names())}."
        )
    reasons = []
    for name in encoder_names() if named is None else [named]:
        kind = architecture(name)
        with torch.device("meta"):
            reason = _misfit(kind, build_network(kind), shapes)
        if not reason:
            return kind
        reasons.append(f"{name}: {reason}")
    raise ConfigError(
        f"{path} holds the weights of no registered encoder ({'; '.join(reasons)}); rename its "
        "tensors, or register its architecture by an entry point of the group agad.encoders."
    )
