"""The interface of a detector's configuration. Nothing here loads torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Literal, Protocol, Self, TypeAlias, TypeVar, runtime_checkable

from agad.config.counts import check_count, count_rule, is_count, is_finite_number, shown_number
from agad.config.scheduler import NoStopping, Scheduler
from agad.config.space import Distribution, Setting
from agad.errors import ConfigError

Labels: TypeAlias = Literal["unused", "optional", "required"]
"""How a detector's fit uses labelled anomalies."""

Scaling: TypeAlias = Literal["symmetric", "unit", "contrast", "standardised"]

_MAX_SIZE = 2**31 - 1
"""The most of a detector's count, if the detector states no other maximum: torch's largest size."""

SCALINGS: tuple[Scaling, ...] = ("symmetric", "unit", "contrast", "standardised")


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervision:
    """The data that a detector receives in addition to images that count as normal."""

    labels: Labels = "unused"
    """``unused``: the fit ignores labelled anomalies. ``optional``: the fit uses them if there are
    any. ``required``: the fit refuses to start without them."""

    external_data: str = ""
    """External data that the detector was made from, such as ``ImageNet``; empty for none."""

    def __str__(self) -> str:
        labels = {"unused": "", "optional": "labels if there are any", "required": "labels"}
        return ", ".join(filter(None, (labels[self.labels], self.external_data))) or "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A part of a training. All stages but the last run before the study's first epoch."""

    name: str
    """The stage's name, such as ``pretrain`` or ``train``."""

    epochs: int | None = None
    """Epochs of a stage before the last one; they count for no rung and are not validated. None for
    the last stage, whose epochs are the study's."""

    def __post_init__(self) -> None:
        if self.epochs is not None:
            check_count(f"stage {self.name!r} epochs", self.epochs, 1)


TRAIN = Stage(name="train")
"""The stage whose epochs are those of the study."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """How a stored picture is prepared for a detector: its size and its scale, or its features.

    Example:
        >>> InputSpec(encoder="efficientnet-lite0")  # Features (B, D, 1, 1) in place of pictures.
        InputSpec(image_px=None, scaling='symmetric', encoder='efficientnet-lite0', layers=())
    """

    image_px: int | None = None
    """Height and width after bilinear resizing; None keeps the stored size."""

    scaling: Scaling = "symmetric"
    """``symmetric``: grey levels in [-1, 1]. ``unit``: in [0, 1]. ``contrast``: each image minus
    its mean, divided by its mean absolute deviation (global contrast normalisation).
    ``standardised``: each image minus its mean, divided by its standard deviation."""

    encoder: str = ""
    """A frozen encoder, whose float32 features take the place of pictures everywhere: a registered
    name, the path of a ``.safetensors`` file, ``timm:NAME`` or ``hf:NAME``. Empty for pictures."""

    layers: tuple[str, ...] = ()
    """Layers of the encoder. None of them: the features of the whole image, ``(B, D, 1, 1)``. Else
    maps ``(B, C, H', W')``: the maps of later layers are resized (bilinear) to the grid of the
    first layer, and all are concatenated over the channels in the order named."""

    def __post_init__(self) -> None:
        if self.image_px is not None:
            check_count("input.image_px", self.image_px, 1)
        if self.scaling not in SCALINGS:
            raise ConfigError(
                f"input.scaling is {self.scaling!r}, but must be one of: {', '.join(SCALINGS)}."
            )
        if self.layers and not self.encoder:
            raise ConfigError(
                f"input.layers is {self.layers!r}, but there is no input.encoder; name both."
            )
        if self.encoder and (self.image_px, self.scaling) != (None, "symmetric"):
            raise ConfigError(
                f"input.encoder is {self.encoder!r}, but an encoder has its own size and scale; "
                "leave input.image_px and input.scaling out."
            )

    def shape(self, stored: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return channels, height and width of a prepared picture.

        Args:
            stored: Channels, height and width of a stored picture.

        Raises:
            ValueError: Features take the place of pictures; their shape is known to the encoder.
        """
        if self.encoder:
            raise ValueError(f"the shape of features is known to the encoder {self.encoder} alone")
        channels, height, width = stored
        return (channels, self.image_px or height, self.image_px or width)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """Batches of one epoch."""

    batch_size: int | None = None
    """Images of a batch, normal and anomalous together; None puts all images in one batch."""

    num_anomalies: int = 0
    """Labelled anomalies of a batch, drawn with replacement if there are any. Ignored if all images
    are in one batch."""

    def num_steps(self, num_normals: int, num_anomalies: int) -> int:
        """Return the batches of an epoch.

        Args:
            num_normals: Images that the fit takes as normal.
            num_anomalies: Labelled anomalies that the fit has.
        """
        if self.batch_size is None:
            return 1
        return -(-num_normals // (self.batch_size - (self.num_anomalies if num_anomalies else 0)))


@runtime_checkable
class DetectorConfig(Protocol):
    """A detector's configuration: a frozen, keyword-only dataclass of settings.

    A parameter is True or False, a number, a text or None. ``DetectorDefaults`` implements the
    members that are the same for most detectors.
    """

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    name: ClassVar[str]
    """Registered name: lower-case letters, digits and ``-``; in rows, labels and keys."""

    version: ClassVar[int]
    """Must grow when the same settings and seed give other scores; part of every trial key."""

    paper: ClassVar[str]
    """Authors, title and year; empty for none."""

    limits: ClassVar[str]
    """Known limits of the detector, in a sentence; empty for none."""

    loss_weights: ClassVar[tuple[str, ...]]
    """Weights of a loss that is itself the score. ``LabelFree`` refuses to search these parameters:
    its search would always put all weight on the score."""

    equal_time: ClassVar[tuple[str, ...]]
    """Parameters that do not change the time of an epoch, such as a learning rate."""

    @property
    def supervision(self) -> Supervision:
        """The data that the detector receives in addition to images that count as normal.

        A property if a parameter decides it, such as the kind of features; else a class variable.
        """

    def __hash__(self) -> int:
        """Equal configurations have equal hashes, as in a frozen dataclass."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of a training, in their order; the last one has the study's epochs."""

    def default_space(self) -> Mapping[str, Distribution]:
        """Return the search space for a study that gives none."""

    def default_scheduler(self) -> Scheduler:
        """Return the scheduler for a study that gives none."""

    def input(self) -> InputSpec:
        """Return how a stored picture is prepared for the detector."""

    def batches(self, anomaly_ratio: float) -> BatchPlan:
        """Return the batches of an epoch.

        Args:
            anomaly_ratio: The ratio of the cell, in [0, 1).
        """

    def reduced(self) -> Self:
        """Return the same detector at a laptop's budget."""

    def build(self, image_shape: tuple[int, int, int], rng: Any, compute: Any) -> Any:  # noqa: ANN401
        """Return a fresh ``agad.detectors.Detector``. Torch is imported here, not before.

        Args:
            image_shape: Channels, height and width of a prepared picture, or of its features.
            rng: A ``torch.Generator`` on the CPU: the source of every random weight.
            compute: The ``Compute`` to train on: the device and its settings.
        """

    def build_scorer(
        self,
        image_shape: tuple[int, int, int],
        weights: Mapping[str, Any] | None,
    ) -> Any:  # noqa: ANN401
        """Return a ``torch.nn.Module`` that maps prepared pictures to scores.

        Args:
            image_shape: Channels, height and width of a prepared picture, or of its features.
            weights: The value that a trained detector's ``scoring_weights`` returned. None asks for
                a module with arbitrary weights, for counting the operations of a score.

        Raises:
            ValueError: The weights do not belong to this detector or to images of this shape. Or
                the operations cannot be counted before the detector is fitted.
        """


class DetectorDefaults:
    """The defaults of most configurations; a configuration inherits from this class."""

    __slots__ = ()

    model_module: ClassVar[str] = ""
    """The module with ``build(config, image_shape, rng, compute)`` and ``build_scorer(config,
    image_shape, weights)``. The module is imported when a model is built. Empty if the class
    defines both methods itself."""

    paper: ClassVar[str] = ""
    limits: ClassVar[str] = ""
    supervision: ClassVar[Supervision] = Supervision()
    loss_weights: ClassVar[tuple[str, ...]] = ()
    fits_once: ClassVar[bool] = False
    """Whether a second epoch would only repeat the first. A study then has one epoch, and no rule
    that stops trials."""

    least_normals: ClassVar[int] = 1
    """The fewest images that count as normal on which the detector can be fitted."""

    equal_time: ClassVar[tuple[str, ...]] = ()
    picture_sizes: ClassVar[tuple[int, ...]] = ()
    """Heights of the stored pictures that the detector takes; empty for all. A study of others is
    refused before any trial starts."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """A single stage, which trains the study's epochs."""
        return (TRAIN,)

    def default_space(self) -> Mapping[str, Distribution]:
        """Nothing is searched: the configuration is confirmed as it is."""
        return {}

    def default_scheduler(self) -> Scheduler:
        """A single epoch, for a detector that fits once."""
        return NoStopping(max_epochs=1)

    def input(self) -> InputSpec:
        """The stored picture, in [-1, 1]."""
        return InputSpec()

    def batches(self, anomaly_ratio: float) -> BatchPlan:  # noqa: ARG002  As others need it.
        """All images in one batch."""
        return BatchPlan()

    def reduced(self) -> Self:
        """The detector as it is."""
        return self

    def build(self, image_shape: tuple[int, int, int], rng: Any, compute: Any) -> Any:  # noqa: ANN401
        """Return what ``build`` of ``model_module`` makes of the configuration."""
        return import_module(self.model_module).build(self, image_shape, rng, compute)

    def build_scorer(
        self,
        image_shape: tuple[int, int, int],
        weights: Mapping[str, Any] | None,
    ) -> Any:  # noqa: ANN401
        """Return what ``build_scorer`` of ``model_module`` makes of the configuration."""
        return import_module(self.model_module).build_scorer(self, image_shape, weights)

    def _check(self, parameter: str, is_allowed: bool, constraint: str) -> None:
        """Refuse a parameter's value.

        Args:
            parameter: The name of the parameter.
            is_allowed: Whether the value is allowed.
            constraint: The condition that the value must meet, such as ``above 0``.

        Raises:
            ConfigError: The value is not allowed.
        """
        if not is_allowed:
            value = shown_number(getattr(self, parameter))
            raise ConfigError(
                f"{type(self).__name__}.{parameter} is {value}, but must be {constraint}."
            )

    def _is_number(self, parameter: str) -> bool:
        """Whether a parameter is a finite number, and neither True nor False."""
        return is_finite_number(getattr(self, parameter))

    def _check_count(self, parameter: str, least: int, most: int = _MAX_SIZE) -> None:
        """Refuse a parameter that is no whole number from ``least`` to ``most``."""
        value = getattr(self, parameter)
        self._check(parameter, is_count(value, least, most), count_rule(least, most))


_Config = TypeVar("_Config", bound=DetectorConfig)


def parameters_of(detector: DetectorConfig) -> dict[str, Any]:
    """Return every parameter of a detector with its value, in the order of the class."""
    return dataclasses.asdict(detector)


def with_parameters(detector: _Config, parameters: Mapping[str, Setting]) -> _Config:
    """Return the detector with some of its parameters set.

    Raises:
        ConfigError: The detector lacks a parameter, or refuses a value.
    """
    known = sorted(field.name for field in dataclasses.fields(detector))
    for name in parameters:
        if name not in known:
            has = f"has: {', '.join(known)}" if known else "has none"
            raise ConfigError(
                f"{name!r} is no parameter of {type(detector).__name__}, which {has}."
            )
    # The detector's own __post_init__ checks every value again.
    return dataclasses.replace(detector, **parameters)
