"""What a study leaves behind: claims, rows and winners."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

Phase: TypeAlias = Literal["search", "confirm", "test"]
"""``test`` is there where the confirm phase has several candidates: it scores the winner's models.
"""

State: TypeAlias = Literal["finished", "pruned", "diverged", "failed"]

PHASES: tuple[Phase, ...] = ("search", "confirm", "test")
"""In the order in which a cell goes through them."""

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
    """Place in its cell's search, or of its seed among the fresh ones: 0, 1, 2, ..."""

    params: dict[str, Any]
    """The searched parameters, by name."""

    seeds: tuple[int, ...]
    """Seeds of the trial's instances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Winner:
    """The configuration that a cell chose, kept before its test split is opened.

    The confirm phase chooses it among several candidates, the search where there is one alone.
    """

    cell: str
    """Label of the cell."""

    num_search_trials: int
    """Search trials among which its candidates were the best."""

    num_seeds: int
    """Fresh seeds that each candidate was confirmed on."""

    params: dict[str, Any]
    """The searched parameters, by name."""

    val_auroc: float | None
    """Mean of its finished confirm trials, or that of its search trial where these see the test
    split; in [0, 1]. None where no validation AUROC chose it."""

    objective: float | None = None
    """What chose it, of the same trials: higher is better. None where nothing did, and in a winner
    of an earlier version, which ``val_auroc`` chose."""

    ended_by: str = ""
    """What ended the search before its planned trials, such as ``the budget of 2 GPU-hours``; empty
    where nothing did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """One attempt of one trial. Written once, never changed."""

    study: str
    """Name of the study."""

    cell: str
    """Label of the cell, such as ``digits class=0 ratio=0.05``."""

    phase: str
    """One of ``PHASES``."""

    trial_key: str
    """Hash of all that decides the result; the name of the row's object."""

    attempt: int
    """Launches of this trial before this one."""

    number: int
    """Place in its cell's search, or of its seed among the fresh ones: 0, 1, 2, ..."""

    detector: str
    """Name of the method, such as ``agad``."""

    detector_version: int
    """Grows when the same configuration would train another model."""

    dataset: str
    """Name of the data set."""

    protocol: str
    """``one-class`` or ``leave-one-out``."""

    normal_class: int | None
    """Label of the normal class; None in the leave-one-out protocol, and where the trial has
    ``development_classes``."""

    anomalous_class: int | None
    """Label of the anomalous class; None in the one-class protocol, and where the trial has
    ``development_classes``."""

    anomaly_ratio: float
    """Labelled anomalies / (unlabelled + labelled anomalies) of the fit split, in [0, 1)."""

    pollution_ratio: float
    """Hidden anomalies / unlabelled images of the fit split, in [0, 1)."""

    labelled_classes: str
    """Anomalous classes of which images are labelled: ``all``, a number, or which."""

    settings: str
    """JSON object: the detector's parameters that the cell fixes."""

    seeds: tuple[int, ...]
    """Seeds of the trial's instances: each with each development class, where it has these."""

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
    """Epochs trained; those of a test trial's model stand in the confirm trial's row."""

    seconds: float
    """Time that a worker spent on the attempt, from its data to its scores, and earlier attempts on
    the epochs that it took over."""

    gpu_s: float
    """GPU seconds: ``seconds`` x the share of a GPU reserved."""

    val_auroc: float | None
    """Validation AUROC at the last epoch, in [0, 1]; None where no epoch ended, and without
    validation anomalies."""

    test_auroc: float | None
    """Test AUROC at the last epoch, in [0, 1]; None in the search, and of a candidate."""

    test_average_precision: float | None
    """Test average precision at the last epoch, in [0, 1]; None as ``test_auroc``."""

    data_fingerprint: str
    """SHA-256 of the data set: classes, images and labels of both parts."""

    commit: str
    """Git commit of the code, empty where it is in no checkout and none is told."""

    is_dirty: bool
    """Whether the code was not that of the commit alone."""

    versions: str
    """JSON object: versions of Python and the libraries, and a job's ``project`` by its commit."""

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

    gpu_memory_bytes: int | None = None
    """All memory of the GPU that trained; None without a GPU, and where it was not noted."""

    work_flop: int | None = None
    """Floating-point operations of scoring one image; None where they are no objective."""

    objective: float | None = None
    """What the study maximises, at the last epoch; None where no epoch ended, and in a row of an
    earlier version, where it is ``val_auroc``."""

    pretrain_s: float = 0.0
    """Seconds of ``seconds`` before the first epoch, such as those of an autoencoder whose encoder
    is trained on."""

    encode_s: float = 0.0
    """Seconds of ``seconds`` on features of a frozen encoder: computing them, or waiting for
    another trial that computes them. 0 if all were computed before, and for a detector of
    pictures."""

    development_classes: tuple[int, ...] = ()
    """Labels of the classes that the trial trained in turn as the normal one, or as the anomalous
    one; empty where it has one class, that of its cell."""

    num_normals: int | None = None
    """Normal images that the cell fits on; None for all that do not validate."""

    label_budget: int | None = None
    """Labelled anomalies that all trials of the cell may use together; None where
    ``anomaly_ratio`` says how many are labelled. ``anomaly_ratio`` is 0 with a budget."""

    num_labelled: int | None = None
    """Distinct labelled anomalies that all trials planned for the cell use together, to fit and to
    validate; None in a row of an earlier version."""

    num_test_anomalies: int | None = None
    """Anomalies of the test split, whose labels judge the confirmed trials and build nothing; None
    in a row of an earlier version."""

    @property
    def num_instances(self) -> int:
        """Trained in lock-step: numbers of images are of all, AUROCs and losses are means."""
        return len(self.seeds) * max(1, len(self.development_classes))


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

    objective: float | None = None
    """What the study maximises, after this epoch; None in a row of an earlier version, where it is
    ``val_auroc``."""


def objective_of(row: TrialRow | EpochRow) -> float | None:
    """Return a row's objective, which in one of an earlier version is the validation AUROC."""
    return row.val_auroc if row.objective is None else row.objective


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Put when an attempt pauses at a rung: what its trial's row tells if it never goes on."""

    trial_key: str
    attempt: int
    started_at: datetime
    """UTC."""

    seconds: float
    """Time worked on the trial, as in its row."""

    gpu_s: float
    hardware: str
    peak_memory_bytes: int | None
    peak_gpu_memory_bytes: int | None
    epochs: tuple[EpochRow, ...]
    """From the first one on."""

    pretrain_s: float = 0.0
    """Seconds of ``seconds`` before the first epoch, as in its row."""

    encode_s: float = 0.0
    """Seconds of ``seconds`` on features of a frozen encoder, as in its row."""
