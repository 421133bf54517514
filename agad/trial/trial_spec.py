"""A trial to run: everything that decides its result, and the key made of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace

from agad.config import Cell, DetectorConfig, Labelled, Selection, Setting
from agad.data import Manifest, NodeCache, Task
from agad.detectors import Compute
from agad.records import Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One class and seed that a trial trains."""

    task: Task
    """The protocol, its classes as labels."""

    seed: int
    """Decides the split, the labelled anomalies, the weights and the batches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSpec:
    """One configuration in one cell."""

    cell: Cell
    data: Manifest
    """The cell's data set."""

    task: Task
    """The cell's protocol, its classes as labels; that of the first instance."""

    phase: Phase
    number: int
    """Place in its cell's search, or of its seed among the fresh ones; not part of the key."""

    params: dict[str, Setting]
    """The searched parameters; the detector holds them too."""

    seed: int
    """Of the first instance: decides the split, the labelled anomalies, the weights and the
    batches."""

    max_epochs: int
    detector: DetectorConfig
    """With the cell's settings and the searched parameters in place."""

    policy: Selection = field(default_factory=Labelled)
    """What chooses the cell's configuration."""

    is_candidate: bool = False
    """Whether it is a confirm trial of one candidate of several: it does not see the test split."""

    further: tuple[Instance, ...] = ()
    """Instances of a search trial beside that of ``task`` and ``seed``, trained in lock-step with
    it; no two are alike."""

    _key: str = field(default="", init=False, repr=False, compare=False)
    """Kept once it is known: a driver asks for it again and again."""

    @property
    def num_instances(self) -> int:
        """Classes and seeds that the trial trains."""
        return 1 + len(self.further)

    @property
    def instances(self) -> tuple[TrialSpec, ...]:
        """Each instance as a trial of its own, the first one first."""
        alone = replace(self, further=())
        return (alone, *(replace(alone, task=one.task, seed=one.seed) for one in self.further))

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the instances, each once."""
        return tuple(dict.fromkeys([self.seed, *(one.seed for one in self.further)]))

    @property
    def given_label(self) -> int:
        """The first instance's normal class, or in the leave-one-out protocol the anomalous one."""
        is_one_class = self.cell.protocol == "one-class"
        classes = self.task.normal_classes if is_one_class else self.task.anomalous_classes
        return classes[0]

    @property
    def given_labels(self) -> tuple[int, ...]:
        """That class of every instance, each once."""
        return tuple(dict.fromkeys(one.given_label for one in self.instances))

    @property
    def sees_test(self) -> bool:
        """Whether the test split is scored after the last epoch."""
        return self.phase != "search" and not self.is_candidate

    @property
    def training_key(self) -> str:
        """Key of the trial whose training it is: a test trial scores its confirm trial's model."""
        is_test = self.phase == "test"
        return replace(self, phase="confirm", is_candidate=True).key if is_test else self.key

    @property
    def selection(self) -> str:
        """The selection policy's name in every row."""
        return self.policy.name(self.task.num_val_anomalies)

    @property
    def key(self) -> str:
        """Hash of what decides the result: 32 hexadecimal digits, equal on every machine.

        A detector's parameter at its default is left out, so that a later version can add one;
        a version that changes a default, or what a parameter does, raises ``detector.version``.
        """
        if not self._key:
            object.__setattr__(self, "_key", self._hashed())
        return self._key

    def _hashed(self) -> str:
        detector = {
            # A whole number is the same parameter as the equal real one.
            field.name: value if isinstance(value, str | bool) or value is None else float(value)
            for field in fields(self.detector)
            if (value := getattr(self.detector, field.name)) != field.default
        }
        decisive = {
            "task": asdict(self.task),
            "data_fingerprint": self.data.fingerprint,
            "phase": self.phase,
            "seeds": [self.seed],
            "max_epochs": self.max_epochs,
            "selection": self.selection,
            "detector": [self.detector.name, self.detector.version, detector],
        }
        if self.is_candidate:
            decisive["is_candidate"] = True
        if self.further:
            decisive["further"] = [asdict(one) for one in self.further]
        text = json.dumps(decisive, sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPlan:
    """Which checkpoints of a confirm or test trial stay for a later look at its epochs."""

    prefix: str
    """What their keys start with, without the ``/``."""

    every: int
    """Epochs from one to the next, at least 1."""

    def has(self, num_epochs: int, max_epochs: int) -> bool:
        """Whether that after so many epochs stays: each k-th does, and the last."""
        return num_epochs % self.every == 0 or num_epochs == max_epochs


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointPlan:
    """Which checkpoints of a trial are kept in the store."""

    prefix: str
    """What their keys start with, without the ``/``."""

    milestones: tuple[int, ...] = ()
    """Numbers of epochs after which one is kept, beside those kept now and then."""

    attempt: int = 0
    """Launches of the trial before this one, which may have left checkpoints."""

    pauses: bool = False
    """Whether a trial may be paused at a milestone, so that its checkpoint is kept at once there,
    and not only when it goes on."""

    kept: KeptPlan | None = None
    """Which stay when the trial goes on; None lets none stay."""


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Where a trial runs: none of it decides the result beyond floating-point rounding."""

    store: str
    """URI of the store that holds the data sets."""

    cache: NodeCache = field(default_factory=NodeCache)
    """The node's cache of them."""

    compute: Compute = field(default_factory=Compute)
    """The device, and its settings."""

    num_threads: int = 1
    """CPU threads of one trial."""

    gpus: float = 0.0
    """GPUs reserved for one trial, a share of one or several."""

    models: str | None = None
    """Prefix of the store's keys under which the model of each cell's first confirmed seed is
    kept; None keeps none."""

    pictures: str | None = None
    """Prefix of the store's keys under which pictures are kept beside each such model; None keeps
    none."""

    checkpoints: CheckpointPlan | None = None
    """Checkpoints in the store; None keeps none, and looks for none."""

    is_preempted: Callable[[], bool] = _never
    """Asked between epochs: whether the worker is about to be taken away."""
