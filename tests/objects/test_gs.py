"""What a Google bucket has of its own: its extra, its errors, and files that go up in pieces."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import from_http_status

from agad.errors import ConfigError, StoreError
from agad.objects import ObjectStore, open_objects
from agad.objects.gs import GoogleBucket
from agad.objects.gs_errors import store_error
from agad.objects.remote import RemoteObjects
from tests.objects.faults import FaultProxy, running_proxy
from tests.objects.gcs_server import GoogleServer

_FAULTS = ("500", "slow-down", "reset-before", "reset-after", "stall-after", "truncated")


@dataclass(frozen=True)
class _Line:
    proxy: FaultProxy
    spoiled: ObjectStore
    direct: ObjectStore


@pytest.fixture
def line(gs_uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Line]:
    direct = open_objects(gs_uri)
    with running_proxy(os.environ["STORAGE_EMULATOR_HOST"]) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
        bucket, _, prefix = gs_uri.removeprefix("gs://").partition("/")
        spoiled = RemoteObjects(GoogleBucket(bucket, prefix, read_timeout_s=1.0))
        spoiled.list("")  # The library asks for the bucket once, on a thread of its own.
        yield _Line(proxy, spoiled, direct)


@pytest.mark.parametrize("fault", [*_FAULTS, "damaged-answer"])
def test_a_put_and_a_read_survive_a_fault(line: _Line, fault: str) -> None:
    data = bytes(range(251)) * 1000
    line.proxy.next_faults(fault)
    assert line.spoiled.put_if_absent("a/key", data)
    line.proxy.next_faults(fault)
    assert line.spoiled.get("a/key") == data
    assert line.direct.get("a/key") == data


def test_a_body_that_was_damaged_on_its_way_is_sent_anew(line: _Line) -> None:
    data = bytes(10_000)
    line.proxy.next_faults("damaged-request")
    assert line.spoiled.put_if_absent("a/key", data)
    assert line.direct.get("a/key") == data


def test_a_large_file_goes_up_in_pieces(gs_uri: str, tmp_path: Path) -> None:
    objects = open_objects(gs_uri)
    data = bytes(range(251)) * 50_000
    (tmp_path / "up").write_bytes(data)
    assert objects.put_file_if_absent("key", tmp_path / "up")
    assert objects.put_file_if_absent("key", tmp_path / "up")
    (tmp_path / "other").write_bytes(data[:-1] + b"0")
    assert not objects.put_file_if_absent("key", tmp_path / "other")
    objects.get_file("key", tmp_path / "down")
    assert (tmp_path / "down").read_bytes() == data


def test_list_follows_every_page(
    gs_uri: str, google: GoogleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(google, "page_size", 2)
    objects = open_objects(gs_uri)
    keys = [f"a/{number}" for number in range(5)]
    for key in keys:
        objects.put_if_absent(key, b"")
    assert objects.list("a/") == keys
    assert objects.list_folders() == ["a"]


@pytest.mark.usefixtures("gs_uri")
def test_open_objects_names_a_missing_bucket() -> None:
    with pytest.raises(StoreError, match=r"gs://no-such-bucket/x does not exist: no such bucket;"):
        open_objects("gs://no-such-bucket/x")


def test_open_objects_says_which_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "agad.objects.gs", raising=False)
    monkeypatch.setitem(sys.modules, "google.cloud", None)
    with pytest.raises(ConfigError, match=r"'gs://bucket/x', which needs .*pip install 'agad\[gs"):
        open_objects("gs://bucket/x")


def test_open_objects_says_how_credentials_are_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    (tmp_path / "key.json").write_text('{"type": "service_account", "private_key": "hunter2"}')
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    with pytest.raises(
        StoreError, match=r"gs://bucket/x needs credentials .*GOOGLE_APPLICATION_CREDENTIALS"
    ) as caught:
        open_objects("gs://bucket/x")
    assert "hunter2" not in str(caught.value)


def test_open_objects_fails_clearly_when_nothing_listens(
    gs_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://user:hunter2@127.0.0.1:{port}")
    with pytest.raises(StoreError, match=rf"{gs_uri} cannot be reached \(\w+\)") as caught:
        open_objects(gs_uri)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "server", ["http://host :9000", "http://host:9000\n", "host:9000", "http://host:99999"]
)
def test_an_address_of_no_server_is_found_before_any_request(
    gs_uri: str, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server)
    with pytest.raises(StoreError, match=r"^STORAGE_EMULATOR_HOST [^\n]*must be a URL[^\n]*$"):
        open_objects(gs_uri)


def test_a_file_of_credentials_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", f"{tmp_path}/key.json\n")
    with pytest.raises(
        StoreError, match=r"^GOOGLE_APPLICATION_CREDENTIALS is '.*key\.json\\n', but must name a"
    ):
        open_objects("gs://bucket/x")


@pytest.mark.parametrize(
    ("status", "reason", "text"),
    [
        (418, "teapot", r"answers 418 teapot: Refused \*\*\* by the test\.$"),
        (403, "accountDisabled", r"answers 403 accountDisabled: Refused \*\*\* by the test\.$"),
        (403, "forbidden", r"refuses access; allow these credentials storage"),
        (403, "rateLimitExceeded", r"answers 403 rateLimitExceeded: .*; the server is busy"),
        (418, "", r"answers 418; check that the bucket is one of Google's\.$"),
    ],
)
def test_the_servers_reason_and_message_are_shown(status: int, reason: str, text: str) -> None:
    message = "Refused ya29.AAAAAAAAAAAAAAAAAAAAAAAA by the test."
    errors = [{"reason": reason, "message": message}] if reason else []
    build: Any = from_http_status  # Google gives it no types.
    error = build(status, "POST https://host/?token=hunter2", errors=errors)
    shown = str(store_error(error, "gs://bucket/x"))
    assert re.search(text.replace("\\*\\*\\*", r"\S*\*\*\*"), shown), shown
    assert "hunter2" not in shown
