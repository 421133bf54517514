"""What features are features of: equal keys stand for equal features of the same image."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from agad.data import Part
from agad.encoders.reference import EncoderReference


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureKey:
    """Features of one part's images, by one encoder at one size."""

    data_fingerprint: str
    """The data set's, as its manifest has it."""

    part: Part
    encoder: EncoderReference
    output: str
    """``global``, or the encoder's layers as ``output_of`` joins them."""

    def to_json(self) -> str:
        """Return what decides the features, as JSON; names of encoders and files do not."""
        decisive = {
            "data_fingerprint": self.data_fingerprint,
            "part": self.part,
            **self.encoder.decisive,
            "output": self.output,
        }
        return json.dumps(decisive, sort_keys=True)

    @property
    def digest(self) -> str:
        """SHA-256 of ``to_json``, in hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()
