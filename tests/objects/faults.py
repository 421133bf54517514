"""A proxy on loopback between a client and a server of objects, which spoils what it is told to."""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

FAULTS = (
    "500",
    "slow-down",
    "reset-before",
    "reset-after",
    "stall-before",
    "stall-after",
    "truncated",
    "damaged-request",
    "damaged-answer",
)
"""Each passes: the same request may succeed when it is repeated. ``skewed`` is the one that does
not. A reset or a stall ``after`` comes when the server has done what was asked."""

STALL_S = 1.5
"""How long a stall lasts; a client must have given up before."""

_BODIES = {
    "500": (500, "InternalError"),
    "slow-down": (503, "SlowDown"),
    "skewed": (403, "RequestTimeTooSkewed"),
}


class FaultProxy(ThreadingHTTPServer):
    """Forwards to a server; ``choose`` names the fault of each request, or none by ``""``."""

    request_queue_size = 64
    daemon_threads = True
    block_on_close = False

    def __init__(self, server_url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        address = urlsplit(server_url)
        self.upstream = (address.hostname or "", address.port or 80)
        self.choose: Callable[[str], str] = lambda _method: ""
        self.done: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def next_faults(self, *faults: str) -> None:
        """Spoil the next requests so, one after another, and none after them."""
        left = list(faults)
        self.choose = lambda _method: left.pop(0) if left else ""

    def random_faults(self, share: float, seed: int, faults: tuple[str, ...] = FAULTS) -> None:
        """Spoil this share of all requests, each in a way drawn from ``faults``."""
        rng = random.Random(seed)
        self.choose = lambda _method: rng.choice(faults) if rng.random() < share else ""

    def fault(self, method: str) -> str:
        with self._lock:
            fault = self.choose(method)
            self.done[fault] += 1
        return fault

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep the tests' output clean: a client that gave up is what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultProxy

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.server.fault(self.command)
        if fault in _BODIES:
            status, code = _BODIES[fault]
            text = f"<Error><Code>{code}</Code><Message>Refused.</Message></Error>".encode()
            self._send(status, [("Content-Type", "application/xml")], text)
        elif fault == "reset-before":
            self._reset()
        elif fault == "stall-before":
            self._stall()
        else:
            self._forward(_flipped(body) if fault == "damaged-request" else body, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815

    def _forward(self, body: bytes, fault: str) -> None:
        upstream = http.client.HTTPConnection(*self.server.upstream, timeout=30)
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("expect", "connection"):
                upstream.putheader(name, value)
        upstream.endheaders(body)
        answer = upstream.getresponse()
        data = answer.read()
        headers = answer.getheaders()
        upstream.close()
        if fault == "reset-after":
            self._reset()
        elif fault == "stall-after":
            self._stall()
        elif fault == "truncated" and data:
            self._send(answer.status, headers, data, len(data) // 2)
            self._reset()
        else:
            self._send(
                answer.status, headers, _flipped(data) if fault == "damaged-answer" else data
            )

    def _send(
        self, status: int, headers: list[tuple[str, str]], data: bytes, limit: int | None = None
    ) -> None:
        self.send_response_only(status)
        length = str(len(data))
        for name, value in headers:
            if name.lower() == "content-length":
                length = value  # That of a HEAD's answer, which has no body.
            elif name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[:limit])

    def _stall(self) -> None:
        time.sleep(STALL_S)
        self.close_connection = True

    def _reset(self) -> None:
        self.wfile.flush()
        # With no time to linger, closing sends a reset, not the end of the stream.
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests' output clean."""


@contextmanager
def running_proxy(server_url: str) -> Iterator[FaultProxy]:
    """Run a proxy to a server on a thread of its own."""
    with FaultProxy(server_url) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield proxy
        proxy.shutdown()
        thread.join()


def _flipped(data: bytes) -> bytes:
    """Return the bytes with one bit changed, in their middle."""
    if not data:
        return data
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
