"""What is known of a saved model beside its weights, as JSON that is read with suspicion."""

from __future__ import annotations

import dataclasses
import json
import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

from agad.config import DETECTORS, DetectorConfig, with_parameters
from agad.data import Resize
from agad.errors import CheckpointError
from agad.trial.trial_spec import TrialSpec

FORMAT_VERSION = 1
"""Grows when an older version could no longer read what a newer one writes."""

Mode: TypeAlias = Literal["L", "RGB"]
_CHANNELS: dict[Mode, int] = {"L": 1, "RGB": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export adds: where the model stands in its study, and the threshold."""

    study: str
    threshold: float
    """A picture whose score is higher is called anomalous."""

    false_positive_rate: float
    """The share of the validation normals above the threshold, at most; in (0, 1)."""

    commit: str
    """Git commit of the code that trained, empty where it was not in a checkout."""

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
    """Pillow's, of the pictures: ``L`` (grey) or ``RGB``."""

    image_px: int
    """Height and width that pictures are brought to; their 0 to 255 then becomes -1 to 1."""

    filter: str
    """Pillow's filter that does so."""

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
    val_auroc: float | None
    """Of this model, after its last epoch; None where it was chosen without validation anomalies.
    """

    test_auroc: float
    """Of this model, after its last epoch."""

    exported: Exported | None = None
    """None in the store of the study."""

    def __post_init__(self) -> None:
        if self.mode not in _CHANNELS:
            raise ValueError(f"mode is {self.mode!r}")
        _ = self.resize  # Checks its values.
        if not all(0 <= label < len(self.class_names) for label in self.normal_classes):
            raise ValueError(f"normal_classes is {self.normal_classes}")

    @classmethod
    def of_trial(cls, spec: TrialSpec, *, val_auroc: float | None, test_auroc: float) -> ModelCard:
        """Return the card of a trial's model after its last epoch."""
        return cls(
            detector=spec.detector,
            mode="L" if spec.data.channels == 1 else "RGB",
            image_px=spec.data.image_px,
            filter=spec.data.filter,
            dataset=spec.data.name,
            data_fingerprint=spec.data.fingerprint,
            class_names=spec.data.class_names,
            normal_classes=spec.task.normal_classes,
            cell=spec.cell.label,
            trial_key=spec.key,
            seed=spec.seed,
            num_epochs=spec.max_epochs,
            val_auroc=val_auroc,
            test_auroc=test_auroc,
        )

    @property
    def resize(self) -> Resize:
        """How pictures are brought to the model's size."""
        return Resize(image_px=self.image_px, filter=self.filter)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        return (_CHANNELS[self.mode], self.image_px, self.image_px)

    def to_json(self) -> str:
        """Return the card as a JSON document."""
        values = dataclasses.asdict(self)
        values["detector"] = {
            "name": self.detector.name,
            "version": self.detector.version,
            "settings": values["detector"],
        }
        document = {"format_version": FORMAT_VERSION} | values
        return json.dumps(document, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, where: str) -> ModelCard:
        """Read a card.

        Args:
            text: The document.
            where: Where it is, for the error.

        Raises:
            CheckpointError: It is no card, or one that another version of agad wrote.
        """
        try:
            values = json.loads(text)
            version = values.pop("format_version")
            if version == FORMAT_VERSION:
                detector = _detector(values.pop("detector"), where)
                exported = values.pop("exported")
                return cls(
                    detector=detector,
                    exported=None if exported is None else Exported(**_typed(Exported, exported)),
                    **_typed(cls, values, without=("detector", "exported")),
                )
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
    """Return the error of what is no model."""
    said = f"it lacks {reason}" if isinstance(reason, KeyError) else str(reason)
    text = textwrap.shorten(said, width=200, placeholder="...").rstrip(".")
    return CheckpointError(f"{where} is no model of agad ({text}); name one that it exported.")


def _detector(values: Mapping[str, Any], where: str) -> DetectorConfig:
    name, version, settings = values["name"], values["version"], values["settings"]
    known = {one.name: one for one in DETECTORS}
    if name not in known or version != known[name].version:
        has = ", ".join(f"{one.name} version {one.version}" for one in DETECTORS)
        raise CheckpointError(
            f"{where} is of the detector {name!r:.40} version {version!r:.40}, but this agad has "
            f"{has}; install the agad that trained it."
        )
    return with_parameters(known[name](), settings)


def _typed(
    record: type[Exported] | type[ModelCard],
    values: Mapping[str, Any],
    without: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return the values of a record's fields; any other name, or kind of value, is an error."""
    kinds = {name: kind for name, kind in get_type_hints(record).items() if name not in without}
    if unknown := sorted({*values} - {*kinds}):
        raise ValueError(f"it holds {unknown[0]!r:.40}")
    return {name: _value(name, values[name], kind) for name, kind in kinds.items()}


def _value(name: str, value: object, kind: Any) -> object:  # noqa: ANN401
    if isinstance(kind, UnionType):
        return None if value is None else _value(name, value, get_args(kind)[0])
    if kind is float:
        # A whole number is the equal real one.
        if type(value) in (int, float) and math.isfinite(value):  # type: ignore[arg-type]
            return float(value)  # type: ignore[arg-type]
    elif get_origin(kind) is tuple and isinstance(value, list):
        return tuple(_value(name, one, get_args(kind)[0]) for one in value)
    elif type(value) is kind or (get_origin(kind) is Literal and value in get_args(kind)):
        return value
    raise ValueError(f"{name} is {value!r:.40}")
