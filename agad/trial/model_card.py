"""The facts about a saved model beside its weights, as JSON that is not trusted."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from agad.config import (
    DetectorConfig,
    detector_class,
    detector_versions,
    known_names,
    typed,
    with_parameters,
)
from agad.data import FULL_RANGE, Fit, Resize, ValueRange
from agad.encoders import EncoderReference
from agad.errors import CheckpointError
from agad.trial.trial_spec import TrialSpec

FORMAT_VERSION = 3
"""Grows when an older version could no longer read what a newer one writes."""

_SINCE: dict[int, dict[str, object]] = {
    2: {"fit": "stretch", "value_range": None},
    3: {"encoder": None, "feature_shape": None},
}
"""Fields that earlier versions lack, and their values there, by the first version that has them. A
card with these values is written as the earlier version, so that earlier releases read on."""

Mode: TypeAlias = Literal["L", "RGB"]
_CHANNELS: dict[Mode, int] = {"L": 1, "RGB": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """The facts that an export adds: the model's place in its study, and the threshold."""

    study: str
    threshold: float
    """A picture whose score is higher is called anomalous."""

    false_positive_rate: float
    """The largest share of the validation normals above the threshold, in (0, 1)."""

    commit: str
    """Git commit of the code that trained; empty if the code was not in a checkout."""

    is_dirty: bool
    versions: str
    """JSON object: versions of Python and the libraries that trained."""

    hardware: str

    def __post_init__(self) -> None:
        if not 0 < self.false_positive_rate < 1:
            raise ValueError(f"false_positive_rate is {self.false_positive_rate}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """A model's settings, how pictures are read for it, and where it comes from."""

    detector: DetectorConfig
    mode: Mode
    """Pillow's mode of the pictures: ``L`` (grey) or ``RGB``."""

    image_px: int
    """Height and width that pictures are resized to; their 0 to 255 then becomes -1 to 1."""

    filter: str
    """Pillow's filter for the resizing."""

    fit: Fit = "stretch"
    """What pictures that are not square become."""

    value_range: ValueRange | None = None
    """Values of 16-bit pictures that become 0 and 255; None is all 16 bits."""

    dataset: str
    data_fingerprint: str
    class_names: tuple[str, ...]
    normal_classes: tuple[int, ...]
    """Labels: places in ``class_names``."""

    cell: str
    """The cell's label."""

    trial_key: str
    seed: int
    num_epochs: int
    encoder: EncoderReference | None = None
    """The encoder whose features the detector takes; None for a detector of pictures."""

    feature_shape: tuple[int, int, int] | None = None
    """Channels, height and width of the features; None for a detector of pictures."""

    val_auroc: float | None
    """Validation AUROC of this model, after its last epoch; None if the model was chosen without
    validation anomalies."""

    test_auroc: float
    """Test AUROC of this model, after its last epoch."""

    exported: Exported | None = None
    """None for a model in the store of its study."""

    def __post_init__(self) -> None:
        if self.mode not in _CHANNELS:
            raise ValueError(f"mode is {self.mode!r}")
        _ = self.resize  # Checks its values.
        is_encoded = bool(self.detector.input().encoder)
        if is_encoded != (self.encoder is not None) or is_encoded != bool(self.feature_shape):
            raise ValueError("encoder is not the one that the detector takes")
        if not all(0 <= label < len(self.class_names) for label in self.normal_classes):
            raise ValueError(f"normal_classes is {self.normal_classes}")

    @classmethod
    def of_trial(
        cls,
        spec: TrialSpec,
        *,
        val_auroc: float | None,
        test_auroc: float,
        feature_shape: tuple[int, int, int] | None = None,
    ) -> ModelCard:
        """Return the card of a trial's model after its last epoch."""
        return cls(
            detector=spec.detector,
            mode="L" if spec.data.channels == 1 else "RGB",
            image_px=spec.data.image_px,
            filter=spec.data.filter,
            fit=spec.data.fit,
            value_range=spec.data.value_range,
            dataset=spec.data.name,
            data_fingerprint=spec.data.fingerprint,
            class_names=spec.data.class_names,
            normal_classes=spec.task.normal_classes,
            cell=spec.cell.label,
            trial_key=spec.key,
            seed=spec.seed,
            num_epochs=spec.max_epochs,
            encoder=spec.encoder,
            feature_shape=feature_shape,
            val_auroc=val_auroc,
            test_auroc=test_auroc,
        )

    @property
    def resize(self) -> Resize:
        """How pictures are brought to the model's size."""
        return Resize(image_px=self.image_px, filter=self.filter, fit=self.fit)

    @property
    def values(self) -> ValueRange:
        """The values of 16-bit pictures that become 0 and 255."""
        return self.value_range or FULL_RANGE

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of a picture."""
        return (_CHANNELS[self.mode], self.image_px, self.image_px)

    @property
    def detector_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of what the detector takes of a picture."""
        return self.feature_shape or self.detector.input().shape(self.image_shape)

    def to_json(self) -> str:
        """Return the card as a JSON document."""
        values = dataclasses.asdict(self)
        values["detector"] = {
            "name": self.detector.name,
            "version": self.detector.version,
            "settings": values["detector"],
        }
        version = FORMAT_VERSION
        while version > 1 and all(values[name] == of for name, of in _SINCE[version].items()):
            values = {name: of for name, of in values.items() if name not in _SINCE[version]}
            version -= 1
        document = {"format_version": version} | values
        return json.dumps(document, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, where: str) -> ModelCard:
        """Read a card.

        Args:
            text: The document.
            where: Where the document is, for the error.

        Raises:
            CheckpointError: The document is no card, or another version of agad wrote it.
        """
        try:
            values = json.loads(text)
            version = values.pop("format_version")
            if version in (1, *_SINCE):
                values["detector"] = _detector(values["detector"], where)
                _ = values["exported"]  # Every version wrote it, although it has a default.
                return typed(cls, values, only_known=True)
        except CheckpointError:
            raise
        except (
            *(KeyError, TypeError, ValueError, AttributeError),
            *(OverflowError, RecursionError),
        ) as error:
            raise no_model(where, error) from error
        raise CheckpointError(
            f"{where} has format version {version!r:.40}, but this version reads "
            f"{FORMAT_VERSION}; install a newer agad."
        )


def no_model(where: str, reason: object) -> CheckpointError:
    """Return the error for data that are no model."""
    said = f"it lacks {reason}" if isinstance(reason, KeyError) else str(reason)
    text = textwrap.shorten(said, width=200, placeholder="...").rstrip(".")
    return CheckpointError(f"{where} is no model of agad ({text}); name one that it exported.")


def _detector(values: Mapping[str, Any], where: str) -> DetectorConfig:
    name, version, settings = values["name"], values["version"], values["settings"]
    is_known = name in known_names()
    if not is_known or detector_class(name).version != version:
        has = ", ".join(f"{one} version {number}" for one, number in detector_versions().items())
        own = "" if is_known else ", or name the class of your own detector by --detector"
        raise CheckpointError(
            f"{where} is of the detector {name!r:.40} version {version!r:.40}, but this agad has "
            f"{has}; install the agad that trained it{own}."
        )
    return with_parameters(detector_class(name)(), settings)
