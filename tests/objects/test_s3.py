"""How a bucket's failures are met: what is repeated, and what the user is told."""

from __future__ import annotations

import errno
import io
import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import (
    ConnectionClosedError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.httpsession import URLLib3Session
from urllib3 import HTTPResponse

from agad.errors import StoreError
from agad.objects import MissingObjectError, open_objects

_Send = Callable[[URLLib3Session, AWSPreparedRequest], AWSResponse]


class _Body(io.BytesIO):
    def stream(self) -> Iterator[bytes]:
        yield self.read()


def _answer(status: int, code: str, message: str = "Refused by the test.") -> _Send:
    """Return a server's refusal, of which the real server learns nothing."""
    text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"

    def send(_session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        return AWSResponse(request.url, status, {}, _Body(text.encode()))  # type: ignore[arg-type]

    return send


def _lose_connection(_session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
    raise ConnectionClosedError(endpoint_url=request.url)


def _lose_answer(session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
    """Let the server do what was asked, and time out all the same."""
    _REAL_SEND(session, request)
    raise ReadTimeoutError(endpoint_url=request.url)


def _break_off(_session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
    """Promise more of an object than is sent."""
    headers = {"Content-Length": "4"}
    raw = HTTPResponse(io.BytesIO(b"da"), headers, 200, preload_content=False)
    return AWSResponse(request.url, 200, headers, raw)  # type: ignore[arg-type]


def _stall(_session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
    """Send an object's start, and then nothing for too long."""

    class _Stalling(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            if not data:
                raise TimeoutError
            return data

    headers = {"Content-Length": "4"}
    raw = HTTPResponse(_Stalling(b"da"), headers, 200, preload_content=False)
    return AWSResponse(request.url, 200, headers, raw)  # type: ignore[arg-type]


_REAL_SEND: Any = URLLib3Session.send
_LONG = bytes(range(251)) * 10_000


@pytest.fixture
def next_sends(monkeypatch: pytest.MonkeyPatch) -> list[_Send]:
    """Return a list: what it holds answers the next requests, the real server all others."""
    sends: list[_Send] = []

    def send(session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        return (sends.pop(0) if sends else _REAL_SEND)(session, request)

    monkeypatch.setattr(URLLib3Session, "send", send)
    return sends


_PASSING_PUT_FAILURES = [
    pytest.param(_answer(500, "InternalError"), id="500"),
    pytest.param(_answer(503, "SlowDown"), id="slow-down"),
    pytest.param(_answer(409, "ConditionalRequestConflict"), id="conflict"),
    pytest.param(_lose_connection, id="connection-lost"),
    pytest.param(_lose_answer, id="answer-lost"),
]


@pytest.mark.parametrize("failure", _PASSING_PUT_FAILURES)
def test_put_if_absent_survives_a_passing_failure(
    s3_uri: str, next_sends: list[_Send], failure: _Send
) -> None:
    objects = open_objects(s3_uri)
    next_sends += [failure, failure]
    assert objects.put_if_absent("key", b"data")
    assert next_sends == []
    assert objects.get("key") == b"data"


@pytest.mark.parametrize("failure", _PASSING_PUT_FAILURES)
def test_put_file_if_absent_survives_a_passing_failure(
    s3_uri: str, next_sends: list[_Send], failure: _Send, tmp_path: Path
) -> None:
    objects = open_objects(s3_uri)
    (tmp_path / "file").write_bytes(_LONG)
    next_sends += [failure, failure]
    assert objects.put_file_if_absent("key", tmp_path / "file")
    assert next_sends == []
    assert objects.get("key") == _LONG


def test_put_file_if_absent_compares_anew_when_the_comparison_breaks_off(
    s3_uri: str, next_sends: list[_Send], tmp_path: Path
) -> None:
    objects = open_objects(s3_uri)
    (tmp_path / "file").write_bytes(b"data")
    _put_without_digest(s3_uri, b"data")
    next_sends += [
        _REAL_SEND,
        _REAL_SEND,
        _break_off,
        _REAL_SEND,
        _stall,
        _answer(404, "NoSuchKey"),
    ]
    assert objects.put_file_if_absent("key", tmp_path / "file")
    assert next_sends == []


def test_an_object_without_a_digest_is_read_and_compared_by_its_bytes(
    s3_uri: str, tmp_path: Path
) -> None:
    objects = open_objects(s3_uri)
    _put_without_digest(s3_uri, b"data")
    assert objects.get("key") == b"data"
    objects.get_file("key", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"data"
    assert objects.put_if_absent("key", b"data")
    assert not objects.put_if_absent("key", b"other")


def _put_without_digest(uri: str, data: bytes) -> None:
    """Put an object under ``key`` as another program would."""
    client = boto3.session.Session().client("s3")
    client.put_object(Bucket=uri.split("/")[2], Key="some/prefix/key", Body=data)


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(_answer(503, "SlowDown"), id="slow-down"),
        pytest.param(_lose_connection, id="connection-lost"),
        pytest.param(_break_off, id="broken-off"),
        pytest.param(_stall, id="stalled"),
    ],
)
def test_get_file_starts_anew_after_a_passing_failure(
    s3_uri: str, next_sends: list[_Send], failure: _Send, tmp_path: Path
) -> None:
    objects = open_objects(s3_uri)
    objects.put_if_absent("key", b"DATA")
    next_sends += [failure, failure]
    objects.get_file("key", tmp_path / "file")
    assert next_sends == []
    assert (tmp_path / "file").read_bytes() == b"DATA"


def test_get_file_leaves_no_file_when_every_attempt_breaks_off(
    s3_uri: str, next_sends: list[_Send], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(random.SystemRandom, "uniform", lambda *_: 0.0)
    objects = open_objects(s3_uri)
    next_sends += [_break_off] * 8
    with pytest.raises(StoreError, match="key cannot be reached at"):
        objects.get_file("key", tmp_path / "file")
    assert next_sends == []
    assert not (tmp_path / "file").exists()


def test_get_file_names_the_file_and_leaves_none_when_the_disk_is_full(
    s3_uri: str, next_sends: list[_Send], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(descriptor))

    objects = open_objects(s3_uri)
    objects.put_if_absent("key", b"data")
    monkeypatch.setattr(os, "fsync", full)
    next_sends += [_REAL_SEND, _lose_connection]
    with pytest.raises(StoreError, match=rf"{tmp_path}/file cannot be written: No space left"):
        objects.get_file("key", tmp_path / "file")
    assert len(next_sends) == 1
    assert not (tmp_path / "file").exists()


def test_put_if_absent_says_false_when_another_won_and_the_answer_was_lost(
    s3_uri: str, next_sends: list[_Send]
) -> None:
    objects = open_objects(s3_uri)
    objects.put_if_absent("key", b"theirs")
    next_sends += [_lose_answer]
    assert not objects.put_if_absent("key", b"ours")


def test_put_if_absent_waits_for_its_object_when_it_cannot_be_read_at_once(
    s3_uri: str, next_sends: list[_Send]
) -> None:
    objects = open_objects(s3_uri)
    next_sends += [_lose_answer, _REAL_SEND, _answer(404, "NoSuchKey")]
    assert objects.put_if_absent("key", b"data")
    assert next_sends == []


def test_reads_survive_a_passing_failure(s3_uri: str, next_sends: list[_Send]) -> None:
    objects = open_objects(s3_uri)
    objects.put_if_absent("a/key", b"data")
    next_sends += [_lose_connection, _break_off]
    assert objects.get("a/key") == b"data"
    next_sends += [_answer(503, "ServiceUnavailable")]
    assert objects.list("a/") == ["a/key"]


def test_a_missing_key_is_not_asked_for_again(s3_uri: str, next_sends: list[_Send]) -> None:
    objects = open_objects(s3_uri)
    next_sends += [_answer(404, "NoSuchKey"), _lose_connection]
    with pytest.raises(MissingObjectError, match=r"s3://bucket-\w+/some/prefix/key does not exist"):
        objects.get("key")
    assert len(next_sends) == 1


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (403, "AccessDenied", r"refuses access; allow these credentials s3:ListBucket"),
        (403, "", r"refuses access; allow these credentials s3:ListBucket"),
        (403, "InvalidAccessKeyId", r"refuses these credentials; set AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", r"refuses these credentials; set AWS_ACCESS_KEY_ID"),
        (400, "ExpiredToken", r"refuses these credentials; set AWS_ACCESS_KEY_ID"),
        (501, "NotImplemented", r"does not know a request .* conditional puts"),
        (418, "Teapot", r"answers 418 Teapot: Refused by the test"),
        (403, "AccountProblem", r"answers 403 AccountProblem: Refused by the test"),
        (400, "AuthorizationHeaderMalformed", r"answers 400 \w+: Refused by the test"),
        (405, "", r"answers 405; check that the endpoint is an S3 server"),
    ],
)
def test_a_lasting_failure_is_one_line_that_says_what_to_do(
    s3_uri: str, next_sends: list[_Send], status: int, code: str, text: str
) -> None:
    objects = open_objects(s3_uri)
    next_sends += [_answer(status, code)]
    with pytest.raises(StoreError, match=rf"^{objects.uri}/key {text}[^\n]*\.$") as caught:
        objects.put_if_absent("key", b"")
    assert "test-secret" not in str(caught.value)


def test_a_region_that_the_server_names_is_another_region(
    s3_uri: str, next_sends: list[_Send]
) -> None:
    objects = open_objects(s3_uri)
    message = "The authorization header is malformed; the region 'us-east-1' is wrong."
    next_sends += [_answer(400, "AuthorizationHeaderMalformed", message)]
    with pytest.raises(StoreError, match=r"is in another region; set AWS_DEFAULT_REGION to it"):
        objects.get("key")


def test_a_servers_message_is_one_short_line_without_a_key(
    s3_uri: str, next_sends: list[_Send]
) -> None:
    objects = open_objects(s3_uri)
    key = "AKIAIOSFODNN7EXAMPLE"
    message = f"No such\nuser {key} at https://user:hunter2@host. {'far ' * 100}"
    next_sends += [_answer(400, "Odd", message)]
    with pytest.raises(StoreError, match=r"answers 400 Odd: No such user \*\*\* at") as caught:
        objects.get("key")
    shown = str(caught.value)
    assert (key in shown, "hunter2" in shown, "\n" in shown) == (False, False, False)
    assert len(shown) < 400


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9000 ", "AWS_ENDPOINT_URL_S3 holds a blank at i"),
        ("AWS_ACCESS_KEY_ID", "KEY\n", "AWS_ACCESS_KEY_ID holds a line break at its end, but"),
        ("AWS_ACCESS_KEY_ID", " KEY", "AWS_ACCESS_KEY_ID holds a blank at its start, but"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2\r", "AWS_SECRET_ACCESS_KEY holds a carriage return"),
        ("AWS_SECRET_ACCESS_KEY", "hun ter2", "AWS_SECRET_ACCESS_KEY holds a blank, but must"),
        ("AWS_SESSION_TOKEN", "hunter2\n", "AWS_SESSION_TOKEN holds a line break at its end"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2é", "AWS_SECRET_ACCESS_KEY holds 'é' at its end, but"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9000\n", "AWS_ENDPOINT_URL"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1 :9000", "AWS_ENDPOINT_URL"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:99999", "AWS_ENDPOINT_URL"),
        ("AWS_ENDPOINT_URL", "127.0.0.1:9000", "AWS_ENDPOINT_URL"),
        ("AWS_ENDPOINT_URL", "ftp://127.0.0.1:9000", "AWS_ENDPOINT_URL"),
        ("AWS_DEFAULT_REGION", "eu west", "'eu west' doesn't match a supported format"),
    ],
)
def test_what_is_wrong_here_is_found_before_any_request(  # noqa: PLR0913  Fixtures and values.
    s3_uri: str,
    next_sends: list[_Send],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    message: str,
) -> None:
    monkeypatch.setenv(variable, value)
    next_sends += [_lose_connection]
    with pytest.raises(StoreError, match=rf"^[^\n]*{message}[^\n]*$") as caught:
        open_objects(s3_uri)
    assert len(next_sends) == 1
    assert "hun" not in str(caught.value)


def test_a_key_of_the_credentials_file_is_named_with_its_file(
    s3_uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = KEY\naws_secret_access_key = a b\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    with pytest.raises(
        StoreError, match=r"^aws_secret_access_key of ~/\.aws/credentials holds a blank, but"
    ):
        open_objects(s3_uri)


def _not_trusted(_session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
    raise SSLError(endpoint_url=request.url, error=OSError("self-signed certificate"))


def _no_proxy(_session: URLLib3Session, _request: AWSPreparedRequest) -> AWSResponse:
    raise ProxyConnectionError(proxy_url="http://user:hunter2@proxy")


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (_not_trusted, r"\(SSLError\); its certificate is not trusted here.*AWS_CA_BUNDLE"),
        (_no_proxy, r"\(ProxyConnectionError\); the proxy does not answer; check HTTPS_PROXY"),
    ],
)
def test_a_connection_that_fails_names_its_cause(
    s3_uri: str,
    next_sends: list[_Send],
    monkeypatch: pytest.MonkeyPatch,
    failure: _Send,
    text: str,
) -> None:
    monkeypatch.setattr(random.SystemRandom, "uniform", lambda *_: 0.0)
    objects = open_objects(s3_uri)
    next_sends += [failure] * 8
    with pytest.raises(StoreError, match=text) as caught:
        objects.get("key")
    assert "hunter2" not in str(caught.value)


@pytest.mark.usefixtures("aws_environment")
def test_open_objects_names_a_missing_bucket() -> None:
    with pytest.raises(StoreError, match=r"s3://no-such-bucket/x does not exist: .*; create the"):
        open_objects("s3://no-such-bucket/x")


def test_open_objects_says_which_variables_give_credentials(
    s3_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreError, match=r"needs credentials, but has none; set AWS_ACCESS_KEY_ID"):
        open_objects(s3_uri)


def test_open_objects_names_an_unknown_profile(
    s3_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "absent")
    with pytest.raises(StoreError, match=r"profile \(absent\) could not be found; check AWS_PROF"):
        open_objects(s3_uri)


@pytest.mark.parametrize("endpoint", ["not-a-url", "http://", "http://user:hunter2@"])
def test_open_objects_refuses_a_malformed_endpoint_without_its_secret(
    s3_uri: str, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(StoreError, match=r"check .*AWS_ENDPOINT_URL") as caught:
        open_objects(s3_uri)
    assert "hunter2" not in str(caught.value)


def test_open_objects_fails_fast_and_clearly_when_nothing_listens(
    s3_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://user:hunter2@127.0.0.1:{port}")
    start_s = time.monotonic()
    with pytest.raises(
        StoreError, match=rf"^{s3_uri} cannot be reached at http://127\.0\.0\.1:{port} \(\w+\); c"
    ) as caught:
        open_objects(s3_uri)
    assert time.monotonic() - start_s < 5
    assert "hunter2" not in str(caught.value)


def test_list_follows_every_page(s3_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "2")
    objects = open_objects(s3_uri)
    keys = [f"a/{number}" for number in range(5)]
    for key in keys:
        objects.put_if_absent(key, b"")
    assert objects.list("a/") == keys


def test_list_leaves_out_what_is_no_key(s3_uri: str) -> None:
    bucket = s3_uri.split("/")[2]
    client = boto3.session.Session().client("s3")
    for key in ("some/prefix/", "some/prefix/folder/", "some/prefix/a b", "some/prefixed"):
        client.put_object(Bucket=bucket, Key=key, Body=b"")
    objects = open_objects(s3_uri)
    objects.put_if_absent("key", b"")
    assert objects.list("") == ["key"]
