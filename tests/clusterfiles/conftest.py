"""The shipped cluster files, as they are and with one mistake in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest

from agad.clusterfiles import Crds, Fault, check_file, shipped_crds
from tests.clusterfiles.mistakes import Mistake

SHIPPED = Path(__file__).parents[2] / "cluster"

LAUNCHED = ("aws.yaml", "gcp.yaml", "on-premise.yaml")
MANIFESTS = ("kubernetes/job/rayjob.yaml", "kubernetes/cluster/raycluster.yaml")

Spoil: TypeAlias = Callable[[Mistake], "Spoilt"]


@dataclass(frozen=True, slots=True)
class Spoilt:
    """What the check says of a shipped file with a mistake in it."""

    line: int
    """Where the mistake is."""

    faults: tuple[Fault, ...]


@pytest.fixture(scope="session")
def crds() -> Crds:
    return shipped_crds()


@pytest.fixture
def spoil(tmp_path: Path, crds: Crds) -> Spoil:
    """Check a shipped file after a mistake was made in it."""

    def check(mistake: Mistake) -> Spoilt:
        text = (SHIPPED / mistake.file).read_text()
        start = text.index(mistake.old)
        rest = text[start + len(mistake.old) :]
        spoilt = text[:start] + mistake.new + rest
        path = tmp_path / Path(mistake.file).name
        path.write_text(spoilt)
        place = _place(spoilt, start, len(mistake.new), mistake.at)
        faults = check_file(path, crds).faults
        return Spoilt(spoilt.count("\n", 0, place) + 1, faults)

    return check


def _place(text: str, start: int, length: int, at: str) -> int:
    """Return where a text stands: in what was replaced, else before it, else after it."""
    inside = text.find(at, start, start + length)
    before = text.rfind(at, 0, start)
    return next(place for place in (inside, before, text.find(at, start)) if place >= 0)
