"""Encoders of timm and of Hugging Face, on machines where these packages can be imported.

Axes: B images in a batch, C channels, H rows, W columns, T tokens, D features of an image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from agad.encoders.architecture import Preprocessing
from agad.encoders.networks.protocol import GLOBAL
from agad.encoders.reference import HUGGING_FACE, TIMM
from agad.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class HubModel:
    """A model with its weights, as its hub describes it."""

    network: nn.Module
    """An ``EncoderNetwork``."""

    layers: tuple[str, ...]
    native_px: int
    smallest_px: int
    """``native_px`` for a model that takes no other size."""

    preprocessing: Preprocessing


def is_hub_name(name: str) -> bool:
    """Whether a name starts with ``timm:`` or ``hf:``."""
    return name.startswith((TIMM, HUGGING_FACE))


def load_hub_model(name: str, image_px: int | None) -> HubModel:
    """Load a model and its weights; a hub downloads what it has not kept on this machine.

    Args:
        name: ``timm:NAME`` or ``hf:NAME``; ``NAME`` may be what the hub's own loader takes, such as
            a folder for ``hf:``.
        image_px: Height and width that a timm model is built for; None for its own.

    Raises:
        ConfigError: The hub's package cannot be imported, or the model cannot be loaded.
    """
    hub, _, model = name.partition(":")
    package, load = _LOADERS[f"{hub}:"]
    module = _imported(name, package)
    try:
        return load(module, model, image_px)
    except ConfigError:
        raise
    # A hub raises errors of many kinds: no network, no such model, no such size.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(f"the encoder {name} cannot be loaded by {package}: {reason}") from error


def _imported(name: str, package: str) -> ModuleType:
    try:
        return import_module(package)
    # timm imports torchvision, which raises a RuntimeError beside a torch of another build.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(
            f"the encoder {name} needs the package {package}, which cannot be imported here "
            f"({reason}); install it with what it needs, or use a registered encoder."
        ) from error


def _load_timm(timm: ModuleType, model: str, image_px: int | None) -> HubModel:
    network = timm.create_model(model, pretrained=True, num_classes=0)
    config = network.pretrained_cfg
    native_px = int(config["input_size"][-1])
    is_fixed = bool(config.get("fixed_input_size", False))
    if is_fixed and image_px not in (None, native_px):
        network.set_input_size((image_px, image_px))
    num_layers = len(network.feature_info)
    return HubModel(
        network=_TimmNetwork(network, num_layers),
        layers=tuple(f"layer{number}" for number in range(1, num_layers + 1)),
        native_px=native_px,
        smallest_px=32,
        preprocessing=_preprocessing(config["mean"], config["std"]),
    )


class _TimmNetwork(nn.Module):
    """A model of timm. Its layers are those of timm's ``feature_info``, in order."""

    def __init__(self, model: Any, num_layers: int) -> None:  # noqa: ANN401  timm has no types.
        super().__init__()
        self._model = model
        self._places = {f"layer{number}": number - 1 for number in range(1, num_layers + 1)}

    def forward(self, images: Tensor, outputs: Collection[str]) -> dict[str, Tensor]:
        layers = sorted(
            (name for name in outputs if name != GLOBAL), key=lambda name: self._places[name]
        )
        if not layers:
            return {GLOBAL: self._model(images)}
        last, maps = self._model.forward_intermediates(
            images, indices=[self._places[name] for name in layers], output_fmt="NCHW"
        )
        found: dict[str, Tensor] = dict(zip(layers, maps, strict=True))
        if GLOBAL in outputs:
            found[GLOBAL] = self._model.forward_head(last)
        return found


def _load_hugging_face(transformers: ModuleType, model: str, image_px: int | None) -> HubModel:
    network, loading = transformers.AutoModel.from_pretrained(
        model, use_safetensors=True, output_loading_info=True
    )
    # transformers gives random values to weights that the files lack: a pooler can be done without.
    lacking = sorted(loading["missing_keys"])
    has_pooler = not lacking
    if any(not name.startswith("pooler.") for name in lacking):
        raise ConfigError(
            f"the encoder hf:{model} has no pretrained values for {lacking[0]}, and they would be "
            "random; use a model whose files hold all its weights."
        )
    if not has_pooler:
        network.pooler = nn.Identity()
    # The processor itself may need torchvision; its settings are plain JSON.
    settings, _ = transformers.image_processing_utils.BaseImageProcessor.get_image_processor_dict(
        model
    )
    config = network.config
    native_px = getattr(config, "image_size", None) or _size_in(settings)
    num_layers = int(getattr(config, "num_hidden_layers", 0)) or len(getattr(config, "depths", ()))
    if not isinstance(native_px, int) or not num_layers:
        raise ConfigError(
            f"the encoder hf:{model} is a {type(network).__name__}, whose input size or layers are "
            "not known; use a model of images with an image_size."
        )
    # A transformer's positions are learnt for one size.
    smallest_px = native_px if hasattr(config, "patch_size") else 32
    if image_px not in (None, native_px) and smallest_px == native_px:
        raise ConfigError(
            f"the size for the encoder hf:{model} is {image_px} px, but must be {native_px}."
        )
    is_rescaled = bool(settings.get("do_normalize", True))
    mean = settings.get("image_mean", (0.5, 0.5, 0.5)) if is_rescaled else (0.0, 0.0, 0.0)
    std = settings.get("image_std", (0.5, 0.5, 0.5)) if is_rescaled else (1.0, 1.0, 1.0)
    return HubModel(
        network=_HuggingFaceNetwork(network, num_layers, has_pooler),
        layers=tuple(f"layer{number}" for number in range(1, num_layers + 1)),
        native_px=native_px,
        smallest_px=smallest_px,
        preprocessing=_preprocessing(mean, std),
    )


def _size_in(settings: dict[str, Any]) -> int | None:
    size = settings.get("size")
    if isinstance(size, dict):
        size = size.get("height", size.get("shortest_edge"))
    return size if isinstance(size, int) else None


class _HuggingFaceNetwork(nn.Module):
    """A model of Hugging Face's transformers, one layer for each of its hidden states.

    The global features are the model's pooled output; without one, its class token, or the mean of
    the last map.
    """

    def __init__(self, model: Any, num_layers: int, has_pooler: bool) -> None:  # noqa: ANN401
        super().__init__()
        self._model = model
        self._has_pooler = has_pooler
        self._places = {f"layer{number}": number for number in range(1, num_layers + 1)}

    def forward(self, images: Tensor, outputs: Collection[str]) -> dict[str, Tensor]:
        needs_layers = any(name != GLOBAL for name in outputs)
        done = self._model(pixel_values=images, output_hidden_states=needs_layers)
        found = {
            name: _as_map(done.hidden_states[self._places[name]])
            for name in outputs
            if name != GLOBAL
        }
        if GLOBAL in outputs:
            pooled = getattr(done, "pooler_output", None) if self._has_pooler else None
            found[GLOBAL] = (_pooled(done.last_hidden_state) if pooled is None else pooled).flatten(
                1
            )
        return found


def _pooled(last: Tensor) -> Tensor:
    return last[:, 0] if last.ndim == 3 else last.mean(dim=(2, 3))


def _as_map(hidden: Tensor) -> Tensor:
    """Return ``(B, C, H', W')`` of a map, or of tokens ``(B, T, C)`` whose last are the patches."""
    if hidden.ndim == 4:
        return hidden
    side = math.isqrt(hidden.shape[1])
    patches = hidden[:, hidden.shape[1] - side * side :]
    return patches.transpose(1, 2).reshape(len(hidden), hidden.shape[2], side, side)


def _preprocessing(mean: Collection[float], std: Collection[float]) -> Preprocessing:
    """Return the scaling of levels in [0, 255] that equals a scaling of levels in [0, 1]."""
    levels = [tuple(255.0 * float(value) for value in values) for values in (mean, std)]
    if len(levels[0]) != 3 or len(levels[1]) != 3:
        raise ConfigError(f"its pictures have {len(levels[0])} channels, but must have 3.")
    return Preprocessing(mean=levels[0], scale=levels[1])


_LOADERS: dict[str, tuple[str, Callable[[ModuleType, str, int | None], HubModel]]] = {
    TIMM: ("timm", _load_timm),
    HUGGING_FACE: ("transformers", _load_hugging_face),
}
