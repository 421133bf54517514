"""A large file on its way into a bucket, in parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ReadTimeoutError

from agad.errors import StoreError
from agad.objects import open_objects

_DATA = bytes(range(251)) * 50_000
"""12.5 MB: three parts of at least 5 MiB, which S3 asks of all but the last."""

_Hook = Callable[[str, Callable[[], object]], object]

_EACH_SERVER = [
    pytest.param("s3_uri", id="moto"),
    pytest.param("real_s3_uri", id="real-s3", marks=pytest.mark.slow),
]


@pytest.fixture
def uri(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("agad.objects.s3._LARGE_BYTES", 6 * 2**20)
    monkeypatch.setattr("agad.objects.s3_parts._PART_BYTES", 5 * 2**20)
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "up").write_bytes(_DATA)
    return tmp_path / "up"


class _Calls:
    """What was asked for, and a hook around each request."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self.hook: _Hook = lambda _name, send: send()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> _Calls:
    calls = _Calls()
    real: Any = BaseClient._make_api_call  # type: ignore[attr-defined]

    def call(client: BaseClient, name: str, values: dict[str, Any]) -> object:
        calls.count[name] += 1
        return calls.hook(name, lambda: real(client, name, values))

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    return calls


def _num_unfinished(uri: str) -> int:
    client = boto3.session.Session().client("s3")
    return len(client.list_multipart_uploads(Bucket=uri.split("/")[2]).get("Uploads", []))


@pytest.mark.parametrize("uri", _EACH_SERVER, indirect=True)
def test_a_large_file_is_sent_in_parts_once(
    uri: str, path: Path, calls: _Calls, tmp_path: Path
) -> None:
    objects = open_objects(uri)
    assert objects.put_file_if_absent("data/images", path)
    assert objects.put_file_if_absent("data/images", path)
    assert calls.count["UploadPart"] == 3
    assert objects.get("data/images") == _DATA
    objects.get_file("data/images", tmp_path / "down")
    assert (tmp_path / "down").read_bytes() == _DATA


@pytest.mark.parametrize("uri", _EACH_SERVER, indirect=True)
def test_a_large_file_does_not_replace_another(uri: str, path: Path, calls: _Calls) -> None:
    objects = open_objects(uri)
    objects.put_if_absent("key", b"first")
    assert not objects.put_file_if_absent("key", path)
    assert objects.get("key") == b"first"
    assert calls.count["CreateMultipartUpload"] == 0


@pytest.mark.parametrize("uri", _EACH_SERVER[:1], indirect=True)
def test_a_large_file_loses_to_one_that_came_meanwhile(uri: str, path: Path, calls: _Calls) -> None:
    objects = open_objects(uri)

    def overtake(name: str, send: Callable[[], object]) -> object:
        if name == "CompleteMultipartUpload":
            objects.put_if_absent("key", b"first")
        return send()

    calls.hook = overtake
    assert not objects.put_file_if_absent("key", path)
    assert objects.get("key") == b"first"
    assert _num_unfinished(uri) == 0


@pytest.mark.parametrize("uri", _EACH_SERVER, indirect=True)
@pytest.mark.parametrize("operation", ["UploadPart", "CompleteMultipartUpload"])
def test_a_large_file_survives_a_lost_answer(
    uri: str, path: Path, calls: _Calls, operation: str
) -> None:
    objects = open_objects(uri)

    def lose(name: str, send: Callable[[], object]) -> object:
        answer = send()
        if name == operation and calls.count[name] == 1:
            raise ReadTimeoutError(endpoint_url="http://127.0.0.1")
        return answer

    calls.hook = lose
    assert objects.put_file_if_absent("key", path)
    assert calls.count[operation] > 1
    assert objects.get("key") == _DATA
    assert _num_unfinished(uri) == 0


@pytest.mark.parametrize("uri", _EACH_SERVER, indirect=True)
def test_a_large_file_that_fails_midway_leaves_no_parts(
    uri: str, path: Path, calls: _Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.SystemRandom.uniform", lambda *_: 0.0)
    objects = open_objects(uri)

    def fail(name: str, send: Callable[[], object]) -> object:
        if name == "UploadPart" and calls.count[name] > 1:
            raise ReadTimeoutError(endpoint_url="http://127.0.0.1")
        return send()

    calls.hook = fail
    with pytest.raises(StoreError, match=rf"{uri}/key cannot be reached at .*ReadTimeoutError"):
        objects.put_file_if_absent("key", path)
    assert calls.count["UploadPart"] == 1 + 8
    assert _num_unfinished(uri) == 0
    assert objects.list("") == []
