"""A job server's client, against a server that speaks its protocol and breaks off."""

from __future__ import annotations

import asyncio
import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import ray
from aiohttp import web

import agad.executor.jobs.client
from agad.errors import ConfigError
from agad.executor.jobs import Jobs, JobServerError, Package
from agad.records import PROJECT_COMMIT, Commit

# Ray passes ssl=None to aiohttp.
pytestmark = pytest.mark.filterwarnings("ignore:ssl=None is deprecated")

LOG = ["first line\n", "second ", "line\nthird line\n"]


@dataclass
class JobServer:
    """One job, whose log breaks off after so many pieces, one number a connection."""

    breaks: list[int] = field(default_factory=list)
    status: str = "RUNNING"
    address: str = ""
    fault: str = ""
    """Answer to a question for the job, with the status 500; empty to tell of the job."""

    submitted: list[dict[str, Any]] = field(default_factory=list)

    async def jobs(self, _request: web.Request) -> web.Response:
        return web.json_response([])

    async def package(self, request: web.Request) -> web.Response:
        await request.read()
        return web.Response()

    async def submit(self, request: web.Request) -> web.Response:
        self.submitted.append(await request.json())
        return web.json_response({"job_id": "tiny-1", "submission_id": "tiny-1"})

    async def version(self, _request: web.Request) -> web.Response:
        return web.json_response({"ray_version": ray.__version__, "version": "4"})

    async def job(self, _request: web.Request) -> web.Response:
        if self.fault:
            return web.Response(status=500, text=self.fault)
        details = {"type": "SUBMISSION", "submission_id": "tiny-1", "entrypoint": "python x"}
        return web.json_response(details | {"status": self.status, "driver_exit_code": 7})

    async def tail(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        num_pieces = self.breaks.pop(0) if self.breaks else len(LOG)
        for text in LOG[:num_pieces]:
            await socket.send_str(text)
        if num_pieces < len(LOG):
            assert request.transport is not None
            request.transport.abort()
        else:
            self.status = "FAILED"
        await socket.close()
        return socket

    async def serve(self, ready: threading.Event, stop: threading.Event) -> None:
        app = web.Application()
        app.router.add_get("/api/version", self.version)
        app.router.add_get("/api/jobs/", self.jobs)
        app.router.add_post("/api/jobs/", self.submit)
        app.router.add_get("/api/packages/{protocol}/{name}", self.package)
        app.router.add_get("/api/jobs/tiny-1", self.job)
        app.router.add_get("/api/jobs/tiny-1/logs/tail", self.tail)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        while not stop.is_set():
            await asyncio.sleep(0.05)
        await runner.cleanup()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JobServer]:
    monkeypatch.setattr(agad.executor.jobs.client, "_LOOK_EVERY_S", 0.05)
    found = JobServer()
    ready, stop = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(found.serve(ready, stop)))
    thread.start()
    assert ready.wait(30)
    try:
        yield found
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("breaks", [[], [2, 0, 1]], ids=["whole", "broken"])
def test_a_log_is_shown_once_however_often_the_connection_breaks(
    server: JobServer, breaks: list[int]
) -> None:
    server.breaks = breaks
    shown: list[str] = []
    job = Jobs(server.address).follow("tiny-1", shown.append)
    assert "".join(shown) == "".join(LOG)
    assert (job.status, job.exit_code, job.is_ended) == ("FAILED", 7, True)
    assert server.breaks == []


def test_a_server_that_is_gone_is_given_up_after_a_while(
    server: JobServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agad.executor.jobs.client, "_PATIENCE_S", 0.2)
    jobs = Jobs(server.address)
    monkeypatch.setattr(jobs._client, "_address", "http://127.0.0.1:1")
    with pytest.raises(JobServerError, match=r"does not answer as one .* another --address"):
        jobs.follow("tiny-1", lambda _: None)


def test_a_server_that_fails_is_told_by_its_own_words(server: JobServer) -> None:
    server.fault = "No available agent to submit job, please try again later."
    with pytest.raises(JobServerError, match=r"answers 500: No available agent .* later\. Try"):
        Jobs(server.address).get("tiny-1")


def test_the_address_that_is_given_counts_and_not_that_of_the_environment(
    server: JobServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:1")
    assert Jobs(server.address).get("tiny-1").name == "tiny-1"


@pytest.mark.parametrize(
    ("commit", "told"),
    [(None, None), (Commit(digest="a" * 40, is_dirty=True), {PROJECT_COMMIT: "a" * 40 + "-dirty"})],
    ids=["none", "dirty"],
)
def test_a_job_is_told_the_commit_of_its_files_and_no_other_variable(
    server: JobServer, commit: Commit | None, told: dict[str, str] | None
) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("tiny.py", "STUDY = 1\n")
    package = Package(
        archive=archive.getvalue(),
        files=("tiny.py",),
        num_bytes=10,
        data=(),
        secrets=(),
        commit=commit,
    )
    jobs = Jobs(server.address)
    jobs.submit(package, study="tiny", store="/store", entrypoint="python x")
    (request,) = server.submitted
    assert request["runtime_env"].pop("working_dir").startswith("gcs://")
    assert request["runtime_env"].get("env_vars") == told


def test_a_password_in_an_address_is_not_shown() -> None:
    with pytest.raises(ConfigError, match=r"--address is 'http://\*\*\*@host:8265', but must"):
        Jobs("http://me:word@host:8265")
