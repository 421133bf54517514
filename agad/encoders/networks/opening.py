"""From the text that names an encoder to what it stands for, and to the encoder itself."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from agad.encoders.architecture import Architecture
from agad.encoders.networks.encoder import Encoder, check_outputs
from agad.encoders.networks.hubs import is_hub_name, load_hub_model
from agad.encoders.networks.weights import (
    architecture_of,
    build_network,
    check_installed,
    fitted_network,
    pretrained_weights,
    tensors_sha256,
)
from agad.encoders.reference import (
    FILE_SUFFIX,
    EncoderReference,
    check_encoder_name,
)
from agad.encoders.registry import architecture, external_data_of
from agad.errors import ConfigError, DataError

DEFAULT_CACHE = "~/.agad/cache"
"""The folder below which converted weights are kept, if no other is given."""


def find_encoder(name: str, *, image_px: int | None = None) -> EncoderReference:
    """Return what a name stands for, and refuse a name that stands for nothing usable here.

    Args:
        name: A registered name, such as ``efficientnet-lite0``; the path of a ``.safetensors``
            file; ``timm:NAME`` or ``hf:NAME``.
        image_px: Height and width at which pictures are shown; None for the encoder's native size.

    Raises:
        ConfigError: No encoder has the name, its package is not installed, or the size is too
            small.
        DataError: The file does not hold the weights that its header tells.
    """
    check_encoder_name(name)
    if is_hub_name(name):
        return _hub_reference(name, image_px)
    if name.endswith(FILE_SUFFIX):
        return _file_reference(Path(name).expanduser(), image_px)
    kind = architecture(name)
    check_installed(kind)
    assert kind.pretrained is not None
    return _reference(kind, kind.pretrained.sha256, image_px)


def _reference(kind: Architecture, sha256: str, image_px: int | None) -> EncoderReference:
    return EncoderReference(
        name=kind.name,
        sha256=sha256,
        image_px=kind.native_px if image_px is None else image_px,
        native_px=kind.native_px,
        smallest_px=kind.smallest_px,
        preprocessing=kind.preprocessing,
        architecture=kind.name,
        version=kind.version,
        external_data=external_data_of(kind.name),
        source=kind.source,
        licence=kind.licence,
    )


def _file_reference(path: Path, image_px: int | None) -> EncoderReference:
    kind = architecture_of(path)
    read_weights(kind, path)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return replace(
        _reference(kind, sha256, image_px),
        name=path.name,
        num_bytes=path.stat().st_size,
        external_data=external_data_of(path.name),
        source=f"the file {path.name}",
        licence="",
    )


def _hub_reference(name: str, image_px: int | None) -> EncoderReference:
    model = load_hub_model(name, image_px)
    return EncoderReference(
        name=name,
        sha256=tensors_sha256(model.network.state_dict()),
        image_px=model.native_px if image_px is None else image_px,
        native_px=model.native_px,
        smallest_px=model.smallest_px,
        preprocessing=model.preprocessing,
        external_data=external_data_of(name),
        source=name,
    )


def check_layers(reference: EncoderReference, names: Sequence[str]) -> None:
    """Refuse layers that an encoder does not have. The weights of a registered one are not read.

    Args:
        reference: As ``find_encoder`` returned it.
        names: Names of layers, or ``global``.

    Raises:
        ConfigError: The encoder has no such layer, or its network cannot be built here.
    """
    if reference.architecture:
        with torch.device("meta"):
            layers = _layers(build_network(architecture(reference.architecture)))
    else:
        layers = load_hub_model(reference.name, None).layers
    check_outputs(reference.name, layers, names)


def read_weights(kind: Architecture, path: Path) -> nn.Module:
    """Return an architecture's network with the weights of a safetensors file.

    Raises:
        DataError: The file holds other weights, or weights that are not finite.
    """
    try:
        return fitted_network(kind, load_file(str(path)))
    except ValueError as error:
        raise DataError(f"{path} holds no weights of {kind.name}: {error}.") from error


def open_encoder(
    reference: EncoderReference,
    *,
    device: torch.device | str = "cpu",
    weights: Path | None = None,
    folder: str = DEFAULT_CACHE,
) -> Encoder:
    """Return a frozen encoder on a device.

    Args:
        reference: As ``find_encoder`` returned it, here or on another machine.
        device: Where features are computed.
        weights: The file of a user's own weights, whose SHA-256 was checked; None for others.
        folder: This machine's cache, which keeps converted weights in its folder ``converted``.

    Raises:
        ConfigError: The encoder's package is not installed here, or its weights are others here.
        DataError: A file of weights is damaged, or the cache cannot be written.
    """
    where = torch.device(device)
    if not reference.architecture:
        model = load_hub_model(reference.name, reference.image_px)
        found = tensors_sha256(model.network.state_dict())
        if found != reference.sha256:
            raise ConfigError(
                f"the encoder {reference.name} has other weights here (SHA-256 {found}) than where "
                f"the study was started ({reference.sha256}); use the same files on every machine."
            )
        return Encoder(reference, model.network, model.layers, where)
    kind = architecture(reference.architecture)
    if reference.is_stored:
        if weights is None:
            raise DataError(f"the encoder {reference.name} needs its file of weights.")
        network = read_weights(kind, weights)
    else:
        network = _pretrained_network(kind, Path(folder).expanduser() / "converted")
    return Encoder(reference, network, _layers(network), where)


def _pretrained_network(kind: Architecture, folder: Path) -> nn.Module:
    weights: dict[str, Tensor] = pretrained_weights(kind, folder)
    try:
        return fitted_network(kind, weights)
    except ValueError as error:
        raise DataError(f"the package's weights do not fit {kind.name}: {error}.") from error


def opened(reference: EncoderReference, weights: dict[str, Tensor]) -> Encoder:
    """Return an encoder on the CPU with weights that came with a model.

    Raises:
        ConfigError: The architecture is not registered here.
        ValueError: The weights are not those of the architecture.
    """
    network = fitted_network(architecture(reference.architecture), weights)
    return Encoder(reference, network, _layers(network), torch.device("cpu"))


def _layers(network: nn.Module) -> tuple[str, ...]:
    return tuple(network.layers)  # type: ignore[arg-type]
