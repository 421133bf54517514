"""The kinds of features that a shallow detector can take, by name. Nothing here loads torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from agad.config import InputSpec
from agad.encoders import encoder_names, external_data_of, is_encoder_name
from agad.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureKind:
    """A way to turn an image into a row of numbers."""

    input: InputSpec = field(default_factory=InputSpec)
    """How a stored picture is prepared before its features are computed."""

    external_data: str = ""
    """External data that the features were learned from, such as ``ImageNet``; empty for none."""

    module: str = "agad.detectors.shallow.pixels"
    """The module with ``build(image_shape)``, which returns the ``Features`` of prepared pictures.
    The module is imported when a model is built."""

    holds: str = "pixels"
    """The word for the numbers, for the note about a model that keeps training images."""


KINDS: dict[str, FeatureKind] = {
    "pixels": FeatureKind(),
    "pixels-standardised": FeatureKind(
        input=InputSpec(scaling="standardised"), holds="standardised pixels"
    ),
}
"""The kinds of features that no encoder computes, by name. A further kind is one more entry."""


def kind_of(name: str) -> FeatureKind:
    """Return the kind of features of a name that ``check_features`` took.

    Raises:
        ConfigError: The package that registers the encoder cannot be used.
    """
    if name in KINDS:
        return KINDS[name]
    return FeatureKind(
        input=InputSpec(encoder=name),
        external_data=external_data_of(name),
        module="agad.detectors.shallow.encoded",
        holds="features",
    )


def check_features(owner: str, name: object) -> None:
    """Refuse a name that is no kind of features. No encoder is imported, opened or searched.

    Args:
        owner: The class with the parameter ``features``, for the error.
        name: The given name.

    Raises:
        ConfigError: No kind has the name.
    """
    if isinstance(name, str) and (name in KINDS or is_encoder_name(name)):
        return
    raise ConfigError(
        f"{owner}.features is {name!r}, but must be one of: "
        f"{', '.join([*sorted(KINDS), *encoder_names()])}; or the path of a .safetensors file; or "
        "timm:NAME or hf:NAME."
    )
