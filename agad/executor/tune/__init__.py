"""A study on Ray Tune: workers, slots, GPU shares, preemption, trackers."""

from agad.executor.tune.cluster_options import Where
from agad.executor.tune.run import run_study

__all__ = [
    "Where",
    "run_study",
]
