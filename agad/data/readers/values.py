"""The range of values in pictures of 16 bits, which often hold 10 or 12 bits alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agad.errors import ConfigError, DataError

_MAX = 65535
_TEXT = re.compile(r"(\d{1,9})-(\d{1,9})")


@dataclass(frozen=True, slots=True)
class ValueRange:
    """The values that become 0 and 255.

    Example:
        ``ValueRange(0, 4095)`` is the range of a camera with 12 bits.
    """

    low: int = 0
    high: int = _MAX

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= _MAX:
            raise ConfigError(
                f"--value-range is {self}, but must be LOW-HIGH with LOW below HIGH, both from 0 "
                f"to {_MAX}, such as 0-4095 for 12 bits."
            )

    @classmethod
    def parse(cls, text: str) -> ValueRange:
        """Read a range such as ``0-4095``.

        Raises:
            ConfigError: The text is no range, or the range is not allowed.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ConfigError(
                f"--value-range is {text!r}, but must be LOW-HIGH, such as 0-4095 for 12 bits."
            )
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.low}-{self.high}"

    def check(self, file: Path, low: int, high: int) -> None:
        """Refuse a file with values outside the range.

        Raises:
            DataError: The file's lowest or highest value is outside.
        """
        if not self.low <= low <= high <= self.high:
            other = "" if self == FULL_RANGE else ", or import with another --value-range"
            raise DataError(
                f"{file} has values of {low} to {high}, but must have {self.low} to {self.high}; "
                f"convert it first{other}."
            )

    def to_bytes(self, values: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Scale values of the range to 0 to 255, each to the nearest; a tie goes up."""
        span = self.high - self.low
        return (((values - self.low) * 255 + span // 2) // span).astype(np.uint8)


FULL_RANGE = ValueRange()
"""All 16 bits."""


def likely_range(high: int) -> ValueRange:
    """Return the range of the fewest bits, 8 at least, that hold a value."""
    return ValueRange(0, 2 ** max(8, high.bit_length()) - 1)
