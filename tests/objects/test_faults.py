"""What a network and a server may do to a request, each fault alone, and all of them together."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agad.errors import StoreError
from agad.objects import ObjectStore, TransientError, open_objects
from agad.objects.remote import RemoteObjects
from agad.objects.s3 import S3Bucket
from agad.records import TrialRow
from agad.store import StudyStore
from tests.objects.faults import FAULTS, FaultProxy, running_proxy

_DATA = bytes(range(251)) * 1000
_READ_TIMEOUT_S = 1.0
_REAL = pytest.mark.slow
_REAL_NIGHTLY = [pytest.mark.slow, pytest.mark.nightly]
_MOTO_FAULTS = tuple(fault for fault in FAULTS if fault != "damaged-request")
"""moto does not compare a body with its Content-MD5."""


def _each_fault(*left_out: str, real: Any = _REAL_NIGHTLY) -> list[Any]:  # noqa: ANN401  As pytest's.
    """Return the cases of a test of each fault alone, some left out.

    Only the test whose cases on the real server run by day has the faults that make a client wait.
    """
    nightly = [pytest.mark.nightly]
    slow = () if real == _REAL else tuple(fault for fault in FAULTS if fault.startswith("stall"))
    servers = [("moto", "s3_uri", _MOTO_FAULTS, ()), ("real-s3", "real_s3_uri", FAULTS, real)]
    return [
        pytest.param(uri, fault, id=f"{name}-{fault}", marks=nightly if fault in slow else marks)
        for name, uri, faults, marks in servers
        for fault in faults
        if fault not in left_out
    ]


_EACH_SERVER = [
    pytest.param("s3_uri", id="moto"),
    pytest.param("real_s3_uri", id="real-s3", marks=_REAL),
]


@dataclass(frozen=True)
class _Line:
    """A bucket, and two ways to it."""

    proxy: FaultProxy
    spoiled: ObjectStore
    direct: ObjectStore


@pytest.fixture
def line(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Line]:
    uri = request.getfixturevalue(request.param)
    direct = open_objects(uri)
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    with running_proxy(os.environ["AWS_ENDPOINT_URL"]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        spoiled = RemoteObjects(S3Bucket(bucket, prefix, read_timeout_s=_READ_TIMEOUT_S))
        yield _Line(proxy, spoiled, direct)


@pytest.mark.parametrize(("line", "fault"), _each_fault(real=_REAL), indirect=["line"])
def test_a_put_survives_a_fault(line: _Line, fault: str) -> None:
    line.proxy.next_faults(fault, fault)
    assert line.spoiled.put_if_absent("a/key", _DATA)
    assert line.proxy.done[fault] > 0
    assert line.direct.get("a/key") == _DATA
    assert line.direct.list("") == ["a/key"]


@pytest.mark.parametrize(("line", "fault"), _each_fault(), indirect=["line"])
def test_a_put_that_lost_is_told_so_despite_a_fault(line: _Line, fault: str) -> None:
    line.direct.put_if_absent("a/key", b"theirs")
    line.proxy.next_faults(fault)
    assert not line.spoiled.put_if_absent("a/key", _DATA)
    assert line.direct.get("a/key") == b"theirs"


@pytest.mark.parametrize(("line", "fault"), _each_fault(), indirect=["line"])
def test_a_file_comes_and_goes_despite_a_fault(line: _Line, fault: str, tmp_path: Path) -> None:
    (tmp_path / "up").write_bytes(_DATA)
    line.proxy.next_faults(fault)
    assert line.spoiled.put_file_if_absent("a/key", tmp_path / "up")
    line.proxy.next_faults(fault, fault)
    line.spoiled.get_file("a/key", tmp_path / "down")
    assert (tmp_path / "down").read_bytes() == _DATA


@pytest.mark.parametrize(("line", "fault"), _each_fault(), indirect=["line"])
def test_a_read_and_a_delete_survive_a_fault(line: _Line, fault: str) -> None:
    line.direct.put_if_absent("a/key", _DATA)
    line.proxy.next_faults(fault, fault)
    assert line.spoiled.get("a/key") == _DATA
    line.proxy.next_faults(fault)
    line.spoiled.delete("a/key")
    assert line.direct.list("") == []


# The damage of a listing or of a part of an object is not seen: neither carries a digest.
@pytest.mark.parametrize(("line", "fault"), _each_fault("damaged-answer"), indirect=["line"])
def test_a_listing_and_a_part_survive_a_fault(line: _Line, fault: str) -> None:
    line.direct.put_if_absent("a/key", _DATA)
    line.proxy.next_faults(fault, fault)
    assert line.spoiled.sizes("a/") == {"a/key": len(_DATA)}
    line.proxy.next_faults(fault, "", fault)
    with line.spoiled.open("a/key") as file:
        assert file.read(100) == _DATA[:100]


@pytest.mark.parametrize("line", _EACH_SERVER, indirect=True)
def test_a_wrong_clock_is_one_line(line: _Line) -> None:
    line.proxy.next_faults("skewed")
    with pytest.raises(StoreError, match=r"^\S+/a/key refuses this host's clock; set the clock\.$"):
        line.spoiled.put_if_absent("a/key", _DATA)


@pytest.mark.parametrize("line", _EACH_SERVER, indirect=True)
def test_an_object_that_stays_damaged_is_one_line_that_names_it(
    line: _Line, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(random.SystemRandom, "uniform", lambda *_: 0.0)
    line.direct.put_if_absent("a/key", _DATA)
    line.proxy.choose = lambda _method: "damaged-answer"
    expected = rf"^{line.direct.uri}/a/key holds other bytes than [^\n]*; check the network [^\n]*$"
    with pytest.raises(StoreError, match=expected) as raised:
        line.spoiled.get("a/key")
    assert not isinstance(raised.value, TransientError)
    with pytest.raises(StoreError, match=expected):
        line.spoiled.get_file("a/key", tmp_path / "file")
    assert not (tmp_path / "file").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "faults", "num_rows"),
    [
        pytest.param("s3_uri", _MOTO_FAULTS, 60, id="moto"),
        pytest.param("s3_uri", _MOTO_FAULTS, 300, id="moto-300", marks=pytest.mark.nightly),
        pytest.param("real_s3_uri", FAULTS, 1000, id="real-s3-1000", marks=_REAL_NIGHTLY),
    ],
    indirect=["line"],
)
def test_rows_by_four_writers_through_faults_are_kept_once_each(
    line: _Line, faults: tuple[str, ...], num_rows: int, make_row: Callable[..., TrialRow]
) -> None:
    rows = [make_row() for _ in range(num_rows)]
    line.proxy.random_faults(0.1, seed=0, faults=faults)

    def write(writer: int) -> None:
        # Each row has two writers, which start at its two ends.
        mine = [row for row in rows if row.number % 2 == writer % 2]
        store = StudyStore(line.spoiled, "a-study")
        for row in mine if writer < 2 else reversed(mine):
            store.put(row, [])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    keys = line.direct.list("a-study/trials/")
    assert Counter(key.split("/")[2] for key in keys) == {row.trial_key: 1 for row in rows}
    kept = StudyStore(line.direct, "a-study").trials()
    assert sorted(kept, key=lambda row: row.number) == rows
    num_spoiled = sum(count for fault, count in line.proxy.done.items() if fault)
    assert num_spoiled > 0.08 * line.proxy.done.total()
    assert all(line.proxy.done[fault] > num_rows // 100 for fault in faults)
