"""Detectors: networks, losses, and one module a detector."""

from agad.detectors.agad import AgadDetector
from agad.detectors.protocol import Detector, build_detector

__all__ = ["AgadDetector", "Detector", "build_detector"]
