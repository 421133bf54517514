"""The encoder that a detector of patches names: checked without a network."""

from __future__ import annotations

from agad.encoders import architecture, encoder_names
from agad.errors import ConfigError

_OTHERS = (".safetensors", "timm:", "hf:")


def check_patch_encoder(owner: str, name: object) -> None:
    """Refuse a value that names no encoder. A file or a model of a hub is not looked up.

    Args:
        owner: The class with the parameter ``features``, for the error.
        name: The given value.

    Raises:
        ConfigError: The value names no encoder.
    """
    if isinstance(name, str) and (_is_registered(name) or _is_other(name)):
        return
    raise ConfigError(
        f"{owner}.features is {name!r}, but must be one of: {', '.join(encoder_names())}; or the "
        "path of a .safetensors file; or timm:NAME or hf:NAME."
    )


def external_data_of(name: str) -> str:
    """Return the data that the weights of an encoder were trained on."""
    return (
        architecture(name).external_data if _is_registered(name) else f"the training data of {name}"
    )


def _is_registered(name: str) -> bool:
    return name in encoder_names()


def _is_other(name: str) -> bool:
    return name not in _OTHERS and (name.endswith(_OTHERS[0]) or name.startswith(_OTHERS[1:]))
