"""The parameters of AGAD in a trial, for tests that read them."""

from __future__ import annotations

from agad.detectors import Agad
from agad.trial import TrialSpec


def agad_of(spec: TrialSpec) -> Agad:
    """Return a trial's detector, which must be AGAD."""
    assert isinstance(spec.detector, Agad)
    return spec.detector
