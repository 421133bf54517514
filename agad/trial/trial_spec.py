"""A trial to run: everything that decides its result, and the key made of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace

from agad.config import Cell, DetectorConfig, Labelled, Selection, Setting
from agad.data import Manifest, NodeCache, Task
from agad.detectors.compute import Compute
from agad.encoders import EncoderReference
from agad.records import Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A class and a seed that a trial trains."""

    task: Task
    """The protocol, its classes as labels."""

    seed: int
    """Decides the split, the labelled anomalies, the weights and the batches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSpec:
    """A configuration in one cell."""

    cell: Cell
    data: Manifest
    """The cell's data set."""

    task: Task
    """The cell's protocol for the first instance, its classes as labels."""

    phase: Phase
    number: int
    """Number in its cell's search, or of its seed among the fresh seeds; not part of the key."""

    params: dict[str, Setting]
    """The searched parameters; the detector holds them too."""

    seed: int
    """Seed of the first instance: decides the split, the labelled anomalies, the weights and the
    batches."""

    max_epochs: int
    detector: DetectorConfig
    """The detector, with the cell's settings and the searched parameters in place."""

    policy: Selection = field(default_factory=Labelled)
    """The policy that chooses the cell's configuration."""

    is_candidate: bool = False
    """Whether the trial confirms one of several candidates: then it does not see the test split."""

    further: tuple[Instance, ...] = ()
    """Further instances of a search trial, trained in lock-step with that of ``task`` and ``seed``;
    all instances differ."""

    encoder: EncoderReference | None = None
    """The encoder that ``detector.input()`` names, at the size that suits the data; None for
    pictures."""

    _key: str = field(default="", init=False, repr=False, compare=False)
    """The key after its first use: a driver asks for the key very often."""

    @property
    def num_instances(self) -> int:
        """Classes and seeds that the trial trains."""
        return 1 + len(self.further)

    @property
    def instances(self) -> tuple[TrialSpec, ...]:
        """The instances as trials of their own, the first instance first."""
        alone = replace(self, further=())
        return (alone, *(replace(alone, task=one.task, seed=one.seed) for one in self.further))

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the instances, each once."""
        return tuple(dict.fromkeys([self.seed, *(one.seed for one in self.further)]))

    @property
    def given_label(self) -> int:
        """The first instance's normal class; in the leave-one-out protocol, its anomalous class."""
        is_one_class = self.cell.protocol == "one-class"
        classes = self.task.normal_classes if is_one_class else self.task.anomalous_classes
        return classes[0]

    @property
    def given_labels(self) -> tuple[int, ...]:
        """The ``given_label`` of every instance, each once."""
        return tuple(dict.fromkeys(one.given_label for one in self.instances))

    @property
    def sees_test(self) -> bool:
        """Whether the test split is scored after the last epoch."""
        return self.phase != "search" and not self.is_candidate

    @property
    def training_key(self) -> str:
        """Key of the trial that trained the model: for a test trial, its confirm trial."""
        is_test = self.phase == "test"
        return replace(self, phase="confirm", is_candidate=True).key if is_test else self.key

    @property
    def selection(self) -> str:
        """The selection policy's name in every row."""
        pool = self.task.pool
        return self.policy.name(self.task.num_val_anomalies, pool.num_anomalies if pool else None)

    @property
    def key(self) -> str:
        """Hash of what decides the result: 32 hexadecimal digits, equal on every machine.

        A detector's parameter at its default is left out, so a later version can add a parameter. A
        version that changes a default, or what a parameter does, raises ``detector.version``.
        """
        if not self._key:
            object.__setattr__(self, "_key", self._hashed())
        return self._key

    def _hashed(self) -> str:
        detector = {
            # The whole number 1 and the real number 1.0 are the same parameter.
            field.name: value if isinstance(value, str | bool) or value is None else float(value)
            for field in fields(self.detector)
            if (value := getattr(self.detector, field.name)) != field.default
        }
        decisive = {
            "task": self.task.as_key(),
            "data_fingerprint": self.data.fingerprint,
            "phase": self.phase,
            "seeds": [self.seed],
            "max_epochs": self.max_epochs,
            "selection": self.selection,
            "detector": [self.detector.name, self.detector.version, detector],
        }
        if self.cell.detector:
            # Another candidate of the study may draw the same configuration for the same task.
            decisive["candidate"] = [self.cell.detector, self.cell.variant]
        if self.is_candidate:
            decisive["is_candidate"] = True
        if self.further:
            decisive["further"] = [
                {"task": one.task.as_key(), "seed": one.seed} for one in self.further
            ]
        if self.encoder is not None:
            decisive["encoder"] = self.encoder.decisive
        text = json.dumps(decisive, sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPlan:
    """The checkpoints of a confirm or test trial that stay for a later look at its epochs."""

    prefix: str
    """Start of their keys, without the ``/``."""

    every: int
    """Epochs from one to the next, at least 1."""

    def has(self, num_epochs: int, max_epochs: int) -> bool:
        """Whether the checkpoint after ``num_epochs`` stays: each ``every``-th and the last do."""
        return num_epochs % self.every == 0 or num_epochs == max_epochs


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointPlan:
    """The checkpoints of a trial that are kept in the store."""

    prefix: str
    """Start of their keys, without the ``/``."""

    milestones: tuple[int, ...] = ()
    """Numbers of epochs after which a checkpoint is kept, beside the checkpoints at intervals of
    time."""

    attempt: int = 0
    """Earlier launches of the trial, which may have left checkpoints."""

    pauses: bool = False
    """Whether the trial may be paused at a milestone. The checkpoint is then kept at once at the
    milestone, not only when the trial goes on."""

    kept: KeptPlan | None = None
    """The checkpoints that stay when the trial goes on; None lets none stay."""


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The place of a trial's run: no value decides the result beyond floating-point rounding."""

    store: str
    """URI of the store that holds the data sets."""

    cache: NodeCache = field(default_factory=NodeCache)
    """The node's cache of the data sets."""

    compute: Compute = field(default_factory=Compute)
    """The device, and its settings."""

    num_threads: int = 1
    """CPU threads of one trial."""

    gpus: float = 0.0
    """GPUs reserved for one trial, a share of one or several."""

    models: str | None = None
    """Prefix of the store's keys for the model of each cell's first confirmed seed; None keeps no
    model."""

    pictures: str | None = None
    """Prefix of the store's keys for the pictures beside each of these models; None keeps no
    pictures."""

    checkpoints: CheckpointPlan | None = None
    """Checkpoints in the store; None keeps none, and looks for none."""

    is_preempted: Callable[[], bool] = _never
    """Asked between epochs: whether the worker is about to be taken away."""
