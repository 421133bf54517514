"""A webhook on loopback is told how a study ended, and nobody else its address."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

import agad.cli.studies
import agad.executor.tune
from agad.errors import OtherDriverError, TrialsFailingError

if TYPE_CHECKING:
    from tests.cli.conftest import Ended, FillStore, RunAgad, WriteStudy


class _Hook(ThreadingHTTPServer):
    """Keeps what is posted, and answers with ``code``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.code = 200
        self.told: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/services/T0/the-secret"


class _Handler(BaseHTTPRequestHandler):
    server: _Hook

    def do_POST(self) -> None:
        assert self.headers["Content-Type"] == "application/json"
        self.server.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.code)
        if self.server.code == 302:
            self.send_header("Location", self.server.url)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def hook() -> Iterator[_Hook]:
    with _Hook() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def run_ending(
    run_agad: RunAgad,
    write_study: WriteStudy,
    fill_store: FillStore,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Ended]:
    """Run a study that ends with an error, or well with a store that holds its rows."""

    def run(*flags: str, error: BaseException | None = None) -> Ended:
        def end(*_: object, **__: object) -> None:
            if error is not None:
                raise error

        monkeypatch.setattr(agad.executor.tune, "run_study", end)
        store = fill_store(tmp_path_factory.mktemp("filled"))
        return run_agad("run", write_study(), "--store", store, *flags)

    return run


def test_the_webhook_is_told_that_a_study_is_done(
    hook: _Hook, run_ending: Callable[..., Ended]
) -> None:
    ended = run_ending("--notify", hook.url)
    (told,) = hook.told
    assert (told["study"], told["state"]) == ("tiny", "done")
    assert told["text"].startswith("agad: study tiny is done, after ")
    assert told["text"].endswith(" of this run, with no confirmed result in 1 of 2 cells.")
    assert ended.code == 4


def test_the_webhook_is_told_where_the_leaderboard_cannot_be_printed(
    hook: _Hook, run_ending: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(agad.cli.studies, "terminal", no_space)
    ended = run_ending("--notify", hook.url)
    assert ended.code == 2
    assert ended.err.endswith("agad: the output cannot be written (No space left on device).\n")
    (told,) = hook.told
    assert told["state"] == "done"


def test_the_webhook_is_told_why_a_study_failed(
    hook: _Hook, run_ending: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGAD_WEBHOOK", hook.url)
    ended = run_ending(error=TrialsFailingError("12 trials in a row crashed"))
    assert ended.code == 2
    (told,) = hook.told
    assert told["text"] == "agad: study tiny failed: 12 trials in a row crashed"
    assert told["state"] == "failed"


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), OtherDriverError("another driver")], ids=["Ctrl-C", "other"]
)
def test_the_webhook_is_not_told_of_what_is_no_failure(
    hook: _Hook, run_ending: Callable[..., Ended], error: BaseException
) -> None:
    run_ending("--notify", hook.url, error=error)
    assert hook.told == []


@pytest.mark.parametrize("code", [500, 302, 404])
def test_a_webhook_that_refuses_is_a_warning_without_its_address(
    hook: _Hook, run_ending: Callable[..., Ended], code: int
) -> None:
    hook.code = code
    ended = run_ending("--notify", hook.url)
    assert ended.code == 4  # A planned cell has no result, as without a webhook.
    assert f"the webhook was not told: it answered {code}." in ended.err
    assert "the-secret" not in ended.out + ended.err
    assert len(hook.told) == 1


def test_a_webhook_that_is_not_there_is_a_warning_without_its_address(
    run_ending: Callable[..., Ended],
) -> None:
    ended = run_ending("--notify", "http://127.0.0.1:9/the-secret")
    assert ended.code == 4
    assert "the webhook was not told: URLError." in ended.err
    assert "the-secret" not in ended.out + ended.err


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/the-secret",
        "ftp://127.0.0.1/the-secret",
        "file:///the-secret",
        "https://",
        "the-secret",
        "https://example.com:port/the-secret",
        "http://127.0.0.1.example.com/the-secret",
        "https://example.com/the-secret\nX: y",
    ],
)
def test_an_address_that_may_not_be_told_is_refused_before_any_work(
    run_ending: Callable[..., Ended], url: str
) -> None:
    ended = run_ending("--notify", url, error=AssertionError("it ran"))
    assert ended.code == 2
    assert "must be an https:// URL" in ended.err
    assert "the-secret" not in ended.err
