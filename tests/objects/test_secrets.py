"""No credential is in an error, a log or a representation, whatever fails."""

from __future__ import annotations

import json
import logging
import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from agad.errors import StoreError
from agad.objects import ObjectStore
from agad.objects.gs import GoogleBucket
from agad.objects.remote import RemoteObjects
from agad.objects.s3 import S3Bucket
from tests.objects.faults import FAULTS, running_proxy

_ACCESS = "AKIAPLANTEDACCESSKEY"
_SECRETS = (_ACCESS, "planted-secret", "planted-token", "planted-userinfo")


def _open_s3(uri: str) -> RemoteObjects:
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    return RemoteObjects(S3Bucket(bucket, prefix, read_timeout_s=0.5))


def _open_gs(uri: str) -> RemoteObjects:
    bucket, _, prefix = uri.removeprefix("gs://").partition("/")
    return RemoteObjects(GoogleBucket(bucket, prefix, read_timeout_s=0.5))


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Plant secrets where credentials come from, and record what agad logs of all levels."""
    caplog.set_level(logging.DEBUG, logger="agad")
    monkeypatch.setattr("random.SystemRandom.uniform", lambda *_: 0.0)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", _ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "planted-token")


def _texts(action: Callable[[], object], caplog: pytest.LogCaptureFixture) -> str:
    """Return all that a user may see of an action that fails."""
    with pytest.raises(StoreError, match=r"^[^\n]+$") as caught:
        action()
    chain = "".join(traceback.format_exception(caught.value))
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("agad")]
    return "\n".join([chain, repr(caught.value), *logged])


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, marks=[pytest.mark.nightly] if fault.startswith("stall") else [])
        for fault in (*FAULTS[:6], "skewed")
    ],
)
@pytest.mark.parametrize(
    "server",
    [
        pytest.param(("s3_uri", "AWS_ENDPOINT_URL", _open_s3), id="s3"),
        pytest.param(("gs_uri", "STORAGE_EMULATOR_HOST", _open_gs), id="gs"),
    ],
)
def test_a_request_that_fails_for_good_tells_no_secret(
    server: tuple[str, str, Callable[[str], ObjectStore]],
    fault: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fixture, variable, open_store = server
    uri = request.getfixturevalue(fixture)
    request.getfixturevalue("planted")
    with running_proxy(os.environ[variable]) as proxy:
        monkeypatch.setenv(variable, proxy.url.replace("//", "//planted-userinfo:x@"))
        objects = open_store(uri)
        proxy.choose = lambda _method: fault
        shown = _texts(lambda: objects.get("a/key"), caplog)
    shown += repr(objects) + str(objects) + objects.uri
    assert "a/key" in shown
    assert not [secret for secret in _SECRETS if secret in shown]


def test_a_service_account_that_is_refused_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    account = {"type": "service_account", "client_email": "a@b", "private_key": "planted-secret"}
    (tmp_path / "key.json").write_text(json.dumps(account))
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    shown = _texts(lambda: GoogleBucket("bucket", "prefix"), caplog)
    assert "planted-secret" not in shown
