"""The part of Google Cloud Storage's JSON API that agad uses, on loopback, with its conditions."""

from __future__ import annotations

import base64
import itertools
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c

_PAGE = 1000


@dataclass
class _Upload:
    """A resumable upload: what it is to be, and what has arrived."""

    bucket: str
    meta: dict[str, Any]
    is_conditional: bool
    data: bytearray = field(default_factory=bytearray)


class GoogleServer(ThreadingHTTPServer):
    """Objects in memory. Of several conditional writers of a name, one wins."""

    request_queue_size = 64
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.page_size = _PAGE
        self._lock = threading.Lock()
        self._generations = itertools.count(1)
        self._buckets: dict[str, dict[str, tuple[dict[str, Any], bytes]]] = {}
        self._uploads: dict[str, _Upload] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def create_bucket(self, name: str) -> None:
        with self._lock:
            self._buckets[name] = {}

    def begin(self, upload: _Upload) -> str:
        with self._lock:
            name = str(next(self._generations))
            self._uploads[name] = upload
        return name

    def upload(self, name: str) -> _Upload:
        return self._uploads[name]

    def insert(
        self, bucket: str, meta: dict[str, Any], data: bytes, *, is_conditional: bool
    ) -> tuple[int, dict[str, Any]]:
        """Keep an object; return the status and the body of the answer."""
        crc32c = base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()
        if meta.get("crc32c", crc32c) != crc32c:
            return 400, _error(400, "Provided CRC32C doesn't match calculated CRC32C.")
        with self._lock:
            if bucket not in self._buckets:
                return 404, _error(404, "The specified bucket does not exist.")
            if is_conditional and meta["name"] in self._buckets[bucket]:
                return 412, _error(412, "At least one of the pre-conditions did not hold.")
            kept = {
                "kind": "storage#object",
                "bucket": bucket,
                "name": meta["name"],
                "size": str(len(data)),
                "crc32c": crc32c,
                "generation": str(next(self._generations)),
                "metadata": meta.get("metadata", {}),
            }
            self._buckets[bucket][meta["name"]] = (kept, data)
        return 200, kept

    def find(self, bucket: str, name: str) -> tuple[dict[str, Any], bytes] | None:
        with self._lock:
            return self._buckets.get(bucket, {}).get(name)

    def remove(self, bucket: str, name: str) -> bool:
        with self._lock:
            return self._buckets.get(bucket, {}).pop(name, None) is not None

    def listing(self, bucket: str, query: dict[str, str]) -> tuple[int, dict[str, Any]]:
        with self._lock:
            if bucket not in self._buckets:
                return 404, _error(404, "The specified bucket does not exist.")
            kept = {name: meta for name, (meta, _) in self._buckets[bucket].items()}
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        entries: dict[str, dict[str, Any] | None] = {}
        for name in sorted(kept):
            if name.startswith(prefix):
                head, found, _ = (
                    name[len(prefix) :].partition(delimiter) if delimiter else ("",) * 3
                )
                entries |= {prefix + head + found: None} if found else {name: kept[name]}
        names = [name for name in entries if name > query.get("pageToken", "")]
        size = min(self.page_size, int(query.get("maxResults", _PAGE)))
        answer: dict[str, Any] = {
            "items": [entries[name] for name in names[:size] if entries[name] is not None],
            "prefixes": [name for name in names[:size] if entries[name] is None],
        }
        if len(names) > size:
            answer["nextPageToken"] = names[size - 1]
        return 200, answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: GoogleServer

    def do_GET(self) -> None:
        bucket, name, query = self._address()
        if urlsplit(self.path).path.count("/") == 4:
            self._answer(200, {"kind": "storage#bucket", "name": bucket})
        elif not name:
            self._answer(*self.server.listing(bucket, query))
        else:
            self._answer_object(bucket, name, query)

    def _answer_object(self, bucket: str, name: str, query: dict[str, str]) -> None:
        found = self.server.find(bucket, name)
        if found is None:
            self._answer(404, _error(404, f"No such object: {bucket}/{name}"))
        elif query.get("alt") == "media":
            self._answer_media(*found)
        else:
            self._answer(200, found[0])

    def do_DELETE(self) -> None:
        bucket, name, _ = self._address()
        if self.server.remove(bucket, name):
            self._answer(204, None)
        else:
            self._answer(404, _error(404, f"No such object: {bucket}/{name}"))

    def do_POST(self) -> None:
        bucket, _, query = self._address()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        is_conditional = query.get("ifGenerationMatch") == "0"
        if query["uploadType"] == "resumable":
            upload = self.server.begin(_Upload(bucket, json.loads(body), is_conditional))
            where = f"http://{self.headers['Host']}/upload/storage/v1/b/{bucket}/o?session={upload}"
            self._answer(200, {}, {"Location": where})
            return
        boundary = self.headers["Content-Type"].split("boundary=")[1].strip('"').encode()
        _, meta, media, _ = body.split(b"--" + boundary)
        self._answer(
            *self.server.insert(
                bucket,
                json.loads(meta.split(b"\r\n\r\n", 1)[1]),
                media.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n"),
                is_conditional=is_conditional,
            )
        )

    def do_PUT(self) -> None:
        _, _, query = self._address()
        upload = self.server.upload(query["session"])
        upload.data += self.rfile.read(int(self.headers["Content-Length"]))
        total = self.headers["Content-Range"].split("/")[1]
        if total == "*" or len(upload.data) < int(total):
            self._answer(308, None, {"Range": f"bytes=0-{len(upload.data) - 1}"})
            return
        self._answer(
            *self.server.insert(
                upload.bucket,
                upload.meta,
                bytes(upload.data),
                is_conditional=upload.is_conditional,
            )
        )

    def _address(self) -> tuple[str, str, dict[str, str]]:
        parts = urlsplit(self.path)
        match = re.fullmatch(
            r"(?:/upload|/download)?/storage/v1/b/([^/]+)(?:/o(?:/(.+))?)?", parts.path
        )
        assert match is not None, self.path
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        return match[1], unquote(match[2] or ""), query

    def _answer_media(self, meta: dict[str, Any], data: bytes) -> None:
        headers = {"X-Goog-Hash": f"crc32c={meta['crc32c']}"}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if wanted is None:
            self._send(200, data, headers)
            return
        start, end = int(wanted[1]), min(int(wanted[2]), len(data) - 1)
        headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
        self._send(206, data[start : end + 1], headers)

    def _answer(
        self, status: int, body: dict[str, Any] | None, headers: dict[str, str] | None = None
    ) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self._send(status, data, {"Content-Type": "application/json"} | (headers or {}))

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests' output clean."""


@contextmanager
def running_google() -> Iterator[GoogleServer]:
    """Run the server on a thread of its own."""
    with GoogleServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _error(status: int, message: str) -> dict[str, Any]:
    return {"error": {"code": status, "message": message}}
