"""What computes: the device, its settings, and operations counted. Needs torch."""

from agad.detectors.compute.device import Compilation, Compute, Precision
from agad.detectors.compute.flops import count_flop, scoring_flop
from agad.detectors.compute.weights import sizes_of, take_weights
