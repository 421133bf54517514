"""Downloads from a server on loopback, and what they leave behind when they fail."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from urllib.request import Request

import pytest

from agad.data.fetch import OfficialFile, _Redirects, fetch_files
from agad.errors import DataError
from agad.objects import Backoff
from agad.version import __version__

_DATA = bytes(range(251)) * 10_000
_MD5 = hashlib.md5(_DATA).hexdigest()
_ATTEMPTS = 3


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.requests.append(self)
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        answer(self)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


_Answer = Callable[[_Handler], None]


class _Server(ThreadingHTTPServer):
    """Gives its answers in turn, and the last one from then on."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[_Answer] = [_good]
        self.requests: list[_Handler] = []
        self.is_over = threading.Event()

    def handle_error(self, *_: object) -> None:
        """Keep quiet about a client that goes away."""

    def file(self, name: str = "images.gz", md5: str = _MD5) -> OfficialFile:
        return OfficialFile(
            name=name, url=f"http://127.0.0.1:{self.server_address[1]}/{name}", md5=md5
        )


def _good(handler: _Handler) -> None:
    handler.send(200, _DATA)


def _wrong(handler: _Handler) -> None:
    handler.send(200, b"a page that says sorry")


def _failing(status: int) -> _Answer:
    return lambda handler: handler.send(status)


def _redirecting(url: str) -> _Answer:
    return lambda handler: handler.send(302, Location=url)


def _truncated(handler: _Handler) -> None:
    handler.send(200, _DATA[:-1], Content_Length=str(len(_DATA)))


def _truncated_in_a_chunk(handler: _Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")


def _disconnecting(handler: _Handler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def _stalling(handler: _Handler) -> None:
    handler.send(200, _DATA[:5], Content_Length=str(len(_DATA)))
    handler.server.is_over.wait(30)


def _dripping(handler: _Handler) -> None:
    handler.send(200, Content_Length=str(len(_DATA)))
    while not handler.server.is_over.wait(0.02):
        handler.wfile.write(b"x")


def _endless(handler: _Handler) -> None:
    handler.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
    while not handler.server.is_over.is_set():
        handler.wfile.write(_DATA)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Server]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("agad.data.fetch._BACKOFF", Backoff(attempts=_ATTEMPTS, first_s=0.0))
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.is_over.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agad.data.fetch._STALL_LIMIT_S", 0.6)
    monkeypatch.setattr("agad.data.fetch._DOWNLOAD_LIMIT_S", 2.0)
    monkeypatch.setattr("agad.data.fetch._SIZE_LIMIT_BYTES", 9_999_999)


def _ignore(_line: str) -> None:
    """Take a line of progress."""


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_fetch_files_downloads_each_file_under_its_name(server: _Server, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    lines: list[str] = []
    files = [server.file("a.gz"), server.file("b.gz", _MD5.upper())]
    fetch_files(files, folder, notify=lines.append)
    assert _names(folder) == ["a.gz", "b.gz"]
    assert (folder / "a.gz").read_bytes() == _DATA
    assert lines == [
        f"a.gz: downloading {files[0].url}",
        "a.gz: 2.4 MiB, checksum ok",
        f"b.gz: downloading {files[1].url}",
        "b.gz: 2.4 MiB, checksum ok",
    ]
    assert [request.path for request in server.requests] == ["/a.gz", "/b.gz"]
    assert {request.headers["User-Agent"] for request in server.requests} == {f"agad/{__version__}"}


def test_fetch_files_keeps_a_file_with_the_right_checksum(server: _Server, tmp_path: Path) -> None:
    (tmp_path / "images.gz").write_bytes(_DATA)
    lines: list[str] = []
    fetch_files([server.file()], tmp_path, notify=lines.append)
    assert lines == ["images.gz: there already, checksum ok"]
    assert server.requests == []


def test_fetch_files_refuses_a_file_with_a_wrong_checksum_before_any_request(
    server: _Server, tmp_path: Path
) -> None:
    (tmp_path / "images.gz").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"images\.gz has the MD5 \w+, but must .*; remove it, or"):
        fetch_files([server.file("other.gz"), server.file()], tmp_path, notify=_ignore)
    assert (tmp_path / "images.gz").read_bytes() == b"mine"
    assert _names(tmp_path) == ["images.gz"]
    assert server.requests == []


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(_failing(500), id="500"),
        pytest.param(_failing(503), id="503"),
        pytest.param(_failing(429), id="429"),
        pytest.param(_truncated, id="truncated"),
        pytest.param(_truncated_in_a_chunk, id="truncated-in-a-chunk"),
        pytest.param(_disconnecting, id="disconnected"),
        pytest.param(_stalling, id="stalled"),
    ],
)
def test_fetch_files_survives_a_passing_failure(
    server: _Server, tmp_path: Path, failure: _Answer
) -> None:
    server.answers = [failure, failure, _good]
    fetch_files([server.file()], tmp_path, notify=_ignore)
    assert (tmp_path / "images.gz").read_bytes() == _DATA
    assert _names(tmp_path) == ["images.gz"]
    assert len(server.requests) == 3


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize(
    ("answer", "reason", "num_requests"),
    [
        pytest.param(_wrong, f"it has the MD5 .*, but must have {_MD5}", 1, id="wrong-bytes"),
        pytest.param(_failing(403), "the server answers 403 Forbidden", 1, id="403"),
        pytest.param(_failing(404), "the server answers 404 Not Found", 1, id="404"),
        pytest.param(_failing(500), "the server answers 500 Internal", _ATTEMPTS, id="500"),
        pytest.param(
            _truncated,
            "the connection broke off after 2509999 of 2510000 bytes",
            _ATTEMPTS,
            id="truncated",
        ),
        pytest.param(_truncated_in_a_chunk, "IncompleteRead", _ATTEMPTS, id="truncated-chunk"),
        pytest.param(_disconnecting, "Remote end closed", _ATTEMPTS, id="disconnected"),
        pytest.param(_stalling, "timed out", _ATTEMPTS, id="stalled"),
        pytest.param(_dripping, "it takes longer than 2 s", 1, id="dripping"),
        pytest.param(_endless, "the server sends more than 9999999 bytes", 1, id="endless"),
    ],
)
def test_fetch_files_names_url_and_reason_and_leaves_only_whole_files(
    server: _Server, tmp_path: Path, answer: _Answer, reason: str, num_requests: int
) -> None:
    server.answers = [_good, answer]
    files = [server.file("first.gz"), server.file("second.gz"), server.file("third.gz")]
    with pytest.raises(
        DataError, match=rf"^{files[1].url} cannot be downloaded: {reason}[^\n]*by hand\.$"
    ):
        fetch_files(files, tmp_path, notify=_ignore)
    assert _names(tmp_path) == ["first.gz"]
    assert len(server.requests) == 1 + num_requests


def test_fetch_files_refuses_a_size_above_the_limit_before_the_first_byte(
    server: _Server, tmp_path: Path
) -> None:
    server.answers = [lambda handler: handler.send(200, Content_Length=str(2**40))]
    with pytest.raises(DataError, match="the server sends more than 4294967296 bytes"):
        fetch_files([server.file()], tmp_path, notify=_ignore)
    assert _names(tmp_path) == []


def test_fetch_files_says_why_when_nothing_listens(server: _Server, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/x"
    server.answers = []
    with pytest.raises(DataError, match=rf"^{url} cannot be downloaded: .*Connection refused"):
        fetch_files([OfficialFile(name="x", url=url, md5=_MD5)], tmp_path, notify=_ignore)
    assert _names(tmp_path) == []


def test_fetch_files_follows_a_redirect(server: _Server, tmp_path: Path) -> None:
    server.answers = [_redirecting(server.file("elsewhere.gz").url), _good]
    fetch_files([server.file()], tmp_path, notify=_ignore)
    assert (tmp_path / "images.gz").read_bytes() == _DATA
    assert [request.path for request in server.requests] == ["/images.gz", "/elsewhere.gz"]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("http://example.org/x", r"redirects to http://example.org/x, but must stay at https"),
        ("ftp://127.0.0.1/x", r"redirects to ftp://127.0.0.1/x, but must stay at https"),
        ("file:///etc/passwd", r"answers 302 .*file:///etc/passwd' is not allowed"),
        ("/images.gz", r"answers 302 .*infinite loop"),
    ],
)
def test_fetch_files_refuses_a_redirect(
    server: _Server, tmp_path: Path, target: str, message: str
) -> None:
    server.answers = [_redirecting(target)]
    with pytest.raises(DataError, match=rf"^http://127.0.0.1:\d+/images.gz .*{message}"):
        fetch_files([server.file()], tmp_path, notify=_ignore)
    assert _names(tmp_path) == []


def test_a_redirect_from_https_to_http_is_refused_even_to_this_host() -> None:
    request = Request("https://example.org/x")
    with BytesIO() as body, pytest.raises(DataError, match=r"x redirects to http://127\.0\.0\.1"):
        _Redirects().redirect_request(
            request, body, 302, "Found", HTTPMessage(), "http://127.0.0.1/x"
        )


def test_fetch_files_leaves_no_partial_file_when_interrupted(
    server: _Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_descriptor: int) -> None:
        assert len(_names(tmp_path)) == 1
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch_files([server.file()], tmp_path, notify=_ignore)
    assert _names(tmp_path) == []


def test_fetch_files_names_the_file_when_the_disk_is_full(
    server: _Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(descriptor))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=rf"^{tmp_path}/images.gz cannot be written: No space left"):
        fetch_files([server.file()], tmp_path, notify=_ignore)
    assert _names(tmp_path) == []
    assert len(server.requests) == 1


def test_fetch_files_names_a_folder_that_cannot_be_made(server: _Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file cannot be written: File exists; check the folder"):
        fetch_files([server.file()], tmp_path / "file", notify=_ignore)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/x",
        "http://127.0.0.1.example.org/x",
        "http://127.0.0.1@example.org/x",
        "file:///etc/passwd",
        "ftp://example.org/x",
        "data:,x",
        "https:///x",
        "https://[::1",
        "https://example.org:port/x",
        "https://example.org/a b",
        "https://example.org/x\n",
        "example.org/x",
        "",
    ],
)
def test_official_file_refuses_a_url_that_is_not_https(url: str) -> None:
    with pytest.raises(DataError, match=r"x has the URL '.*', but must have an https URL; http is"):
        OfficialFile(name="x", url=url, md5=_MD5)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_official_file_takes_http_on_this_host(host: str) -> None:
    assert OfficialFile(name="x", url=f"http://{host}:8000/x", md5=_MD5).name == "x"


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/x", ".hidden", "a b", "a\n"])
def test_official_file_refuses_a_name_that_could_leave_its_folder(name: str) -> None:
    with pytest.raises(DataError, match=r"official file is named '.*', but must be named by lett"):
        OfficialFile(name=name, url="https://example.org/x", md5=_MD5)


@pytest.mark.parametrize("md5", ["", _MD5[:-1], _MD5 + "0", "g" * 32])
def test_official_file_refuses_what_is_no_checksum(md5: str) -> None:
    with pytest.raises(DataError, match=r"x has the MD5 '.*', but must have 32 hex digits"):
        OfficialFile(name="x", url="https://example.org/x", md5=md5)
