"""Detectors: networks, losses, and one module a detector."""

from agad.detectors.agad import AgadDetector
from agad.detectors.compute import Compilation, Compute, Precision
from agad.detectors.protocol import Detector, build_detector
from agad.detectors.scorer import Scorer, build_scorer

__all__ = [
    "AgadDetector",
    "Compilation",
    "Compute",
    "Detector",
    "Precision",
    "Scorer",
    "build_detector",
    "build_scorer",
]
