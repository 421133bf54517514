"""Metadata services on loopback that speak the protocols of EC2 and of Google."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Metadata:
    """What the service says now."""

    address: str = ""
    action: str | None = None
    """EC2's document on the interruption; None is 404, as long as there is none."""

    preempted: str = "FALSE"
    maintenance: str = "NONE"
    is_ill: bool = False
    """Whether every answer is 503."""

    tokens: set[str] = field(default_factory=set)
    """Those that hold."""

    num_tokens: int = 0
    """That were ever given."""

    def interrupt(self, at: datetime) -> None:
        """Announce the end of a spot instance."""
        self.action = json.dumps({"action": "terminate", "time": f"{at:%Y-%m-%dT%H:%M:%SZ}"})


class _Server(ThreadingHTTPServer):
    def __init__(self, state: Metadata) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = state


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_PUT(self) -> None:
        lasts = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "0")
        if self.path != "/latest/api/token" or not 0 < int(lasts) <= 21_600:
            self._answer(400)
            return
        token = secrets.token_hex(8)
        self.server.state.tokens.add(token)
        self.server.state.num_tokens += 1
        self._answer(200, token)

    def do_GET(self) -> None:
        values = {
            "preempted": self.server.state.preempted,
            "maintenance-event": self.server.state.maintenance,
        }
        folder, _, name = self.path.rpartition("/")
        if self.server.state.is_ill:
            self._answer(503)
        elif self.path == "/latest/meta-data/spot/instance-action":
            self._answer_ec2()
        elif folder != "/computeMetadata/v1/instance" or name not in values:
            self._answer(404)
        elif self.headers.get("Metadata-Flavor") != "Google":
            self._answer(403)
        else:
            self._answer(200, values[name])

    def _answer_ec2(self) -> None:
        if self.headers.get("X-aws-ec2-metadata-token") not in self.server.state.tokens:
            self._answer(401)
        elif self.server.state.action is None:
            self._answer(404)
        else:
            self._answer(200, self.server.state.action)

    def _answer(self, status: int, text: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def metadata_service() -> Iterator[Metadata]:
    """Serve until the block ends."""
    state = Metadata()
    with _Server(state) as server:
        state.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
