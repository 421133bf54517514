"""A cluster's job server: submitting a study to it, and following what the job prints."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shlex
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agad.errors import AgadError, ConfigError
from agad.executor import find_token, refused
from agad.executor.jobs.package import Package
from agad.records import PROJECT_COMMIT

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

logger = logging.getLogger(__name__)

_STUDY, _STORE, _PACKAGE = "agad_study", "agad_store", "agad_package"
"""Keys of a job's metadata, by which the job is found again."""

_ADDRESS_VARIABLE = "RAY_API_SERVER_ADDRESS"

_ENDED = ("SUCCEEDED", "FAILED", "STOPPED")

_FAILING = re.compile(r"status code (5\d\d): *(.*)")
"""Ray's text of an answer by which the server says that it fails, such as a missing agent."""

_LOOK_EVERY_S = 2.0
_PATIENCE_S = 120.0
"""The longest wait for a job server that is out of reach."""


class JobServerError(AgadError, ConnectionError):
    """The job server of a cluster cannot be reached, or does not answer as expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyJob:
    """A submission of a study."""

    name: str
    """``<study>-<attempt>``, the name under which Ray lists the job."""

    study: str
    store: str
    package: str
    """Digest of the job's files."""

    entrypoint: str
    """The job's command, on one line."""

    status: str
    """Ray's status: PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED."""

    exit_code: int | None
    """Exit code of the command; None if the command has not ended by itself."""

    message: str
    """Ray's message about the job."""

    @property
    def is_ended(self) -> bool:
        """Whether the job has ended, for any reason."""
        return self.status in _ENDED


class Jobs:
    """The job server of one cluster. Every method raises ``AgadError`` if it does not answer."""

    def __init__(self, address: str) -> None:
        """Connect.

        Args:
            address: ``http://HOST:PORT`` of the dashboard, or ``https``.

        Raises:
            ConfigError: The address has another form, or the server asks for another token.
            JobServerError: No server answers there.
        """
        if not re.fullmatch(r"https?://[^/@\s]+/?", address):
            shown = re.sub(r"//.*@", "//***@", address)
            raise ConfigError(
                f"--address is {shown!r}, but must be the job server, http://HOST:8265; its "
                "token comes from RAY_AUTH_TOKEN."
            )
        self._address = address.rstrip("/")
        # Importing Ray reads the environment and takes a second: a wrong flag need not wait.
        from ray.job_submission import JobSubmissionClient

        self._has_token = find_token()
        with self._told(), _preferred_by_ray(self._address):
            self._client: JobSubmissionClient = JobSubmissionClient(self._address)

    @property
    def address(self) -> str:
        """URL of the server."""
        return self._address

    def of_study(self, study: str) -> list[StudyJob]:
        """Return the submissions of a study to any store, the newest first."""
        jobs = [job for job in self._all() if job.study == study]
        return sorted(jobs, key=lambda job: -_attempt(study, job.name))

    def submit(
        self, package: Package, *, study: str, store: str, entrypoint: str
    ) -> tuple[StudyJob, bool]:
        """Submit a study, unless a job of any user already runs the study with this store.

        Returns:
            The job that runs the study, and whether this call submitted it.
        """
        while True:
            jobs = self.of_study(study)
            for job in jobs:
                if not job.is_ended and job.store == store:
                    return job, False
            number = 1 + max((_attempt(study, job.name) for job in jobs), default=0)
            name = f"{study}-{number}"
            metadata = {_STUDY: study, _STORE: store, _PACKAGE: package.digest}
            if self._submit(name, entrypoint, metadata, package):
                return self.get(name), True

    def get(self, name: str) -> StudyJob:
        """Return the current state of a job."""
        with self._told():
            return _job(self._client.get_job_info(name))

    def follow(self, name: str, show: Callable[[str], None]) -> StudyJob:
        """Show the output of a job from its first line, until the job ends.

        A lost connection is opened again; no text is shown twice.

        Args:
            name: The job.
            show: Takes a piece of text, with its line ends.
        """
        log = _Log(self._client, name, show)
        reached_s = time.monotonic()
        while True:
            try:
                with self._told():
                    log.show()
            except JobServerError as error:  # The job's state is asked for in any case.
                logger.info("The log of %s is interrupted: %s", name, error)
            try:
                job = self.get(name)
                reached_s = time.monotonic()
                if job.is_ended:
                    return job
            except JobServerError:
                if time.monotonic() - reached_s > _PATIENCE_S:
                    raise
            time.sleep(_LOOK_EVERY_S)

    def run(self, kind: str, command: Sequence[str], show: Callable[[str], None]) -> StudyJob:
        """Run a command as a job without files, until its end.

        Args:
            kind: First part of the job's name.
            command: Words of the command.
            show: As for ``follow``.
        """
        name = f"{kind}-{uuid.uuid4().hex[:8]}"
        self._submit(name, shlex.join(command), {}, None)
        return self.follow(name, show)

    def _submit(
        self, name: str, entrypoint: str, metadata: dict[str, str], package: Package | None
    ) -> bool:
        """Submit under a name; return False if another user has just taken the name."""
        with tempfile.TemporaryDirectory(prefix="agad-job-") as folder, self._told():
            archive = Path(folder) / "project.zip"
            if package is not None:
                archive.write_bytes(package.archive)
            try:
                self._client.submit_job(
                    entrypoint=entrypoint,
                    submission_id=name,
                    runtime_env=_runtime_env(archive, package) if package else {},
                    metadata=metadata,
                )
            except RuntimeError as error:
                if "already exists" not in str(error):
                    raise
                return False
        return True

    def _all(self) -> Iterator[StudyJob]:
        with self._told():
            jobs = self._client.list_jobs()
        for job in jobs:
            if job.submission_id and _STUDY in (job.metadata or {}):
                yield _job(job)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn an error of Ray's client into an error of one line."""
        import aiohttp
        import requests
        from ray.exceptions import AuthenticationError

        try:
            yield
        except AuthenticationError as error:
            raise ConfigError(refused(self._address, has_token=self._has_token)) from error
        except aiohttp.WSServerHandshakeError as error:
            if error.status in (401, 403):
                raise ConfigError(refused(self._address, has_token=self._has_token)) from error
            raise self._unreached(error) from error
        except (
            OSError,
            RuntimeError,
            aiohttp.ClientError,
            requests.RequestException,
        ) as error:
            if isinstance(error, AgadError):
                raise
            raise self._unreached(error) from error

    def _unreached(self, error: Exception) -> JobServerError:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        if answer := _FAILING.search(reason[0]):
            return JobServerError(
                f"the job server {self._address} answers {answer[1]}: {answer[2].rstrip('.')}. Try "
                "again; if this stays, see dashboard.log and dashboard_agent.log in the folder "
                "/tmp/ray/session_latest/logs of the head."
            )
        return JobServerError(
            f"the job server {self._address} does not answer as one ({reason[0]}); start Ray with "
            "its dashboard there, open a tunnel to it, or name another --address."
        )


class _Log:
    """Shows the output of a job, each piece once."""

    def __init__(self, client: JobSubmissionClient, name: str, show: Callable[[str], None]) -> None:
        self._client = client
        self._name = name
        self._show = show
        self._num_shown = 0

    def show(self) -> None:
        """Show new output until the job or the connection ends."""
        asyncio.run(self._tail())

    async def _tail(self) -> None:
        seen = 0
        async for text in self._client.tail_job_logs(self._name):
            new = text[max(0, self._num_shown - seen) :]
            seen += len(text)
            self._num_shown += len(new)
            if new:
                self._show(new)


@contextmanager
def _preferred_by_ray(address: str) -> Iterator[None]:
    """Set the environment variable whose address Ray prefers to the client's argument."""
    before = os.environ.get(_ADDRESS_VARIABLE)
    os.environ[_ADDRESS_VARIABLE] = address
    try:
        yield
    finally:
        del os.environ[_ADDRESS_VARIABLE]
        if before is not None:
            os.environ[_ADDRESS_VARIABLE] = before


def _runtime_env(archive: Path, package: Package) -> dict[str, Any]:
    """Return a job's environment, without secrets: Ray shows it to everyone who lists jobs."""
    commit = package.commit
    told = {} if commit is None else {"env_vars": {PROJECT_COMMIT: str(commit)}}
    return {"working_dir": str(archive), **told}


def _attempt(study: str, name: str) -> int:
    number = name.removeprefix(f"{study}-")
    return int(number) if number.isdecimal() else 0


def _job(details: Any) -> StudyJob:  # noqa: ANN401  Ray's JobDetails, of one version or another.
    metadata = details.metadata or {}
    return StudyJob(
        name=details.submission_id,
        study=metadata.get(_STUDY, ""),
        store=metadata.get(_STORE, ""),
        package=metadata.get(_PACKAGE, ""),
        entrypoint=details.entrypoint,
        status=details.status.value,
        exit_code=details.driver_exit_code,
        message=details.message or "",
    )
