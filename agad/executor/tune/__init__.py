"""A study on Ray Tune: workers, slots, GPU shares, preemption, trackers."""

from agad.executor.tune.cluster_options import ClusterOptions
from agad.executor.tune.run import run_study
