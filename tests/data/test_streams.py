"""Independent random streams."""

from __future__ import annotations

import itertools

from agad.data import Purpose, stream


def test_stream_repeats_for_a_seed_and_a_purpose() -> None:
    one, other = stream(3, Purpose.BATCHES), stream(3, Purpose.BATCHES)
    assert one.integers(2**63, size=8).tolist() == other.integers(2**63, size=8).tolist()


def test_stream_differs_for_every_seed_and_purpose() -> None:
    draws = {
        int(stream(seed, purpose).integers(2**63))
        for seed, purpose in itertools.product(range(20), Purpose)
    }
    assert len(draws) == 20 * len(Purpose)
