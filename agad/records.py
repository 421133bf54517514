"""What a study leaves behind: claims and rows, and the memory that keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias

Phase: TypeAlias = Literal["search", "confirm"]
State: TypeAlias = Literal["finished", "pruned", "diverged", "failed"]

STATES: tuple[State, ...] = ("finished", "pruned", "diverged", "failed")
"""How a trial can end, in the order in which a reader prefers the rows of one key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Put before a trial is launched: what was planned outlives the driver that planned it."""

    trial_key: str
    """Hash of all that decides the trial's result; 32 hexadecimal digits."""

    attempt: int
    """Launches of this trial before this one."""

    cell: str
    """Label of the trial's cell."""

    phase: Phase
    number: int
    """Place in its cell and phase: 0, 1, 2, ..."""

    params: dict[str, Any]
    """The searched parameters, by name."""

    seeds: tuple[int, ...]
    """Seeds of the trial's instances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """One attempt of one trial. Written once, never changed."""

    study: str
    """Name of the study."""

    cell: str
    """Label of the cell, such as ``digits class=0 ratio=0.05``."""

    phase: str
    """``search`` or ``confirm``."""

    trial_key: str
    """Hash of all that decides the result; the name of the row's object."""

    attempt: int
    """Launches of this trial before this one."""

    number: int
    """Place in its cell and phase: 0, 1, 2, ..."""

    detector: str
    """Name of the method, such as ``agad``."""

    detector_version: int
    """Grows when the same configuration would train another model."""

    dataset: str
    """Name of the data set."""

    protocol: str
    """``one-class`` or ``leave-one-out``."""

    normal_class: int | None
    """Label of the normal class; None in the leave-one-out protocol."""

    anomalous_class: int | None
    """Label of the anomalous class; None in the one-class protocol."""

    anomaly_ratio: float
    """Labelled anomalies / (unlabelled + labelled anomalies) of the fit split, in [0, 1)."""

    pollution_ratio: float
    """Hidden anomalies / unlabelled images of the fit split, in [0, 1)."""

    labelled_classes: str
    """Anomalous classes of which images are labelled: ``all``, a number, or which."""

    settings: str
    """JSON object: the detector's parameters that the cell fixes."""

    seeds: tuple[int, ...]
    """Seeds of the trial's instances."""

    params: str
    """JSON object: the searched parameters."""

    selection: str
    """What chose the configuration, such as ``labelled(30)``."""

    num_fit_normals: int
    """Normal images trained on."""

    num_fit_hidden: int
    """Anomalies trained on as if they were normal."""

    num_fit_anomalies: int
    """Labelled anomalies trained on."""

    num_val_normals: int
    """Normal images validated on."""

    num_val_hidden: int
    """Anomalies that the validation AUROC counts as normal."""

    num_val_anomalies: int
    """Labelled anomalies that the validation AUROC needs, beside those trained on."""

    max_epochs: int
    """Epochs of a trial that is never stopped."""

    state: str
    """``finished``, ``pruned``, ``diverged`` or ``failed``."""

    stop_reason: str
    """Why a trial did not finish; empty where it did."""

    error: str
    """Traceback of a failed trial; empty otherwise."""

    epochs: int
    """Epochs trained."""

    seconds: float
    """Time that a worker spent on the attempt, from its data to its scores."""

    gpu_s: float
    """GPU seconds: ``seconds`` x the share of a GPU reserved."""

    val_auroc: float | None
    """Validation AUROC at the last epoch, in [0, 1]; None where no epoch ended."""

    test_auroc: float | None
    """Test AUROC at the last epoch, in [0, 1]; None outside the confirm phase."""

    test_average_precision: float | None
    """Test average precision at the last epoch, in [0, 1]; None outside the confirm phase."""

    data_fingerprint: str
    """SHA-256 of the data set: classes, images and labels of both parts."""

    commit: str
    """Git commit of the code, empty where it is not in a checkout."""

    is_dirty: bool
    """Whether the checkout held uncommitted changes."""

    versions: str
    """JSON object: versions of Python and the libraries."""

    hardware: str
    """Processor or GPU that trained."""

    precision: str
    """``float32``, or ``bfloat16`` where it trained under autocast."""

    started_at: datetime
    """UTC."""

    ended_at: datetime
    """UTC."""

    peak_memory_bytes: int | None = None
    """The most memory that the worker held while it trained; None where it is not known."""

    peak_gpu_memory_bytes: int | None = None
    """The most GPU memory that the trial's tensors took; None without a GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRow:
    """One epoch of one attempt of one trial."""

    study: str
    cell: str
    phase: str
    trial_key: str
    attempt: int
    epoch: int
    """Counts from 0."""

    val_auroc: float | None
    """Validation AUROC after this epoch, in [0, 1]; None where there is none."""

    train_s: float
    """Seconds of this epoch, training and validation."""

    losses: dict[str, float] = field(default_factory=dict)
    """The detector's mean losses over the epoch, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRow:
    """One test image as one confirmed model scores it."""

    study: str
    cell: str
    trial_key: str
    attempt: int
    image: int
    """Place in the data set's test part, counted from 0."""

    label: int
    """The image's class."""

    is_anomaly: bool
    """Whether that class is anomalous in the cell."""

    score: float
    """Higher is more anomalous."""


class StudyMemory(Protocol):
    """What a study needs of the place that remembers it. One memory holds one study."""

    def open(self, config: dict[str, Any]) -> None:
        """Keep the study's configuration, or check it against the one kept.

        Raises:
            StudyChangedError: Another study of this name is kept, and this one does not extend it.
        """

    def claims(self) -> list[Claim]:
        """Return every claim ever put."""

    def put_claim(self, claim: Claim) -> bool:
        """Keep a claim; False where this attempt of the trial was claimed before."""

    def trials(self) -> list[TrialRow]:
        """Return one row a trial key: the best state by ``STATES``, then the lowest attempt."""

    def epochs(self) -> list[EpochRow]:
        """Return the epochs of the rows that ``trials`` returns, in order of epoch."""

    def put(
        self, trial: TrialRow, epochs: Sequence[EpochRow], scores: Sequence[ScoreRow] = ()
    ) -> None:
        """Keep a trial's rows. The same attempt put again changes nothing."""
