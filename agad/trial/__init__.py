"""A trial: its specification, its training as a generator of epochs, its metrics."""

from agad.trial.contract.suite import CheckResult, check_contract, check_names
from agad.trial.diagnostics import LeakDiagnostics, diagnose_kept, diagnose_leaks
from agad.trial.hardware import PeakMemory, describe_hardware, num_gpus
from agad.trial.inputs import FeatureProgress
from agad.trial.measure import EpochCost, measure_epoch, seconds_per_image
from agad.trial.metrics import auroc, average_precision
from agad.trial.model import PictureScorer, SavedModel, with_stored_encoder
from agad.trial.model_card import Exported, ModelCard
from agad.trial.program import to_program
from agad.trial.results import EpochResult, TestResult
from agad.trial.train import train_trial, trial_steps
from agad.trial.trial_spec import CheckpointPlan, Instance, KeptPlan, Runtime, TrialSpec
