"""Every exception that agad raises on purpose."""

import sys


class AgadError(Exception):
    """Base of all deliberate errors: its text is one complete line for the user."""


class ConfigError(AgadError, ValueError):
    """A value that the user gave is not allowed."""


class DataError(AgadError, ValueError):
    """A data file is missing, truncated, or not what its name says."""


class StoreError(AgadError, OSError):
    """The store cannot be reached, or does not keep what it promises."""


class OtherDriverError(AgadError, RuntimeError):
    """Another driver works on this study, or has taken it over."""


class StudyChangedError(ConfigError):
    """A study of this name is stored already and was another one."""


class TrialsFailingError(AgadError, RuntimeError):
    """One trial after another crashes: something is wrong with the workers, not with a trial."""


class TrialDivergedError(AgadError, ArithmeticError):
    """A loss or a score is not finite: the trial's result, not a crash."""


class CheckpointError(AgadError, ValueError):
    """A checkpoint is missing, damaged, or of another trial."""


class GpuMemoryError(AgadError, MemoryError):
    """A trial needs more GPU memory than there is left."""


class PreemptedError(AgadError, RuntimeError):
    """A trial's worker is about to lose its node: the trial goes on elsewhere."""


class ScoreError(AgadError, RuntimeError):
    """A detector's score of an image depends on the images around it."""


class NotInstalledError(AgadError, ImportError):
    """A package that agad needs is not installed in this Python."""

    def __init__(self, package: str) -> None:
        super().__init__(
            f"the Python {sys.executable} has agad, but lacks its package {package}; install agad "
            f"with all its packages there: {sys.executable} -m pip install agad. On a cluster, "
            "this is the Python that runs 'ray start'."
        )
