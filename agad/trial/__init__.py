"""One trial: its specification, its training as a generator of epochs, its metrics."""

from agad.trial.hardware import describe_hardware
from agad.trial.measure import EpochCost, measure_epoch
from agad.trial.metrics import auroc, average_precision
from agad.trial.spec import Runtime, TrialSpec
from agad.trial.train import EpochResult, TestResult, train_trial

__all__ = [
    "EpochCost",
    "EpochResult",
    "Runtime",
    "TestResult",
    "TrialSpec",
    "auroc",
    "average_precision",
    "describe_hardware",
    "measure_epoch",
    "train_trial",
]
