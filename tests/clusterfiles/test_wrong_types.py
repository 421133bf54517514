"""A value of a wrong type anywhere in a cluster file: faults, and never a crash."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from agad.clusterfiles import Crds, check_file
from tests.clusterfiles.conftest import LAUNCHED, MANIFESTS, SHIPPED

WRONG: tuple[Any, ...] = (None, [], {}, 1, "x", [1], {"a": None}, -5, True, {1: 2})
EVERY = 5
"""A file has about a hundred values: so many are skipped between two that are replaced."""


def places(value: object, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else ()
    for key, part in enumerate(value) if isinstance(value, list) else inner:
        yield (*place, key)
        yield from places(part, (*place, key))


@pytest.mark.parametrize("name", [*LAUNCHED, MANIFESTS[0]])
def test_a_wrong_type_is_no_crash(name: str, tmp_path: Path, crds: Crds) -> None:
    shipped = yaml.safe_load((SHIPPED / name).read_text())
    path = tmp_path / "a.yaml"
    num_faulty = 0
    chosen = list(itertools.islice(places(shipped), 0, None, EVERY))
    for wrong, place in zip(itertools.cycle(WRONG), chosen, strict=False):
        data = copy.deepcopy(shipped)
        parent = data
        for key in place[:-1]:
            parent = parent[key]
        parent[place[-1]] = wrong
        path.write_text(yaml.safe_dump(data))
        num_faulty += bool(check_file(path, crds).faults)
    assert num_faulty > len(chosen) / 2
