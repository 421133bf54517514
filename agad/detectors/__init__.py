"""Detectors: networks, losses, and one module a detector."""

from agad.detectors.agad import AgadDetector
from agad.detectors.compute import Compilation, Compute, Precision
from agad.detectors.flops import count_flop, scoring_flop
from agad.detectors.protocol import Detector, Rebuilder, build_detector
from agad.detectors.scorer import Scorer, build_scorer
