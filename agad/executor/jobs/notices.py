"""Notices of a cloud that a machine will be taken away soon."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Protocol

from agad.errors import AgadError

EC2_ADDRESS = "http://169.254.169.254"
GCP_ADDRESS = "http://metadata.google.internal"

_ANSWER_S = 2.0
_TOKEN_S = 21_600
"""Seconds for which a token of EC2 is valid, the most that EC2 allows."""

_GCP_PREEMPTED_S = 30.0
"""Seconds from the notice to the end of Google's spot machine."""

_GCP_MAINTENANCE_S = 60.0
"""Seconds from the notice of maintenance to the end; machines with GPUs have an hour."""


class MetadataError(AgadError, OSError):
    """A machine's metadata service does not answer, or breaks its cloud's protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Announces that a machine will be taken away soon."""

    reason: str
    within_s: float
    """Seconds until the machine is taken away, at least 0."""


class Notices(Protocol):
    """The source of one cloud's notices."""

    def look(self) -> Notice | None:
        """Return the notice, or None if there is none yet.

        Raises:
            MetadataError: The service does not answer.
        """


class Ec2Notices:
    """Spot interruptions of EC2, from version 2 of its metadata service."""

    def __init__(
        self,
        address: str = EC2_ADDRESS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._address = address.rstrip("/")
        self._now = now
        self._token = ""

    def look(self) -> Notice | None:
        """See ``Notices``."""
        self._token = self._token or self._new_token()
        status, text = self._action()
        if status == HTTPStatus.UNAUTHORIZED:  # The token is too old.
            self._token = self._new_token()
            status, text = self._action()
        if status == HTTPStatus.NOT_FOUND:
            return None
        if status != HTTPStatus.OK:
            raise _unexpected(self._address, f"status {status}")
        try:
            values = json.loads(text)
            at = datetime.fromisoformat(values["time"])
            action = str(values["action"])
        except (ValueError, KeyError, TypeError) as error:
            raise _unexpected(self._address, repr(text[:80])) from error
        left_s = max(0.0, (at - self._now()).total_seconds())
        return Notice(reason=f"EC2 announced: {action}", within_s=left_s)

    def _action(self) -> tuple[int, str]:
        url = f"{self._address}/latest/meta-data/spot/instance-action"
        return _ask(url, {"X-aws-ec2-metadata-token": self._token})

    def _new_token(self) -> str:
        url = f"{self._address}/latest/api/token"
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_S)}
        status, text = _ask(url, headers, method="PUT")
        if status != HTTPStatus.OK:
            raise _unexpected(self._address, f"status {status} for a token")
        return text


class GcpNotices:
    """Preemptions and maintenance of Google Compute Engine."""

    def __init__(self, address: str = GCP_ADDRESS) -> None:
        self._address = address.rstrip("/")

    def look(self) -> Notice | None:
        """See ``Notices``."""
        if self._value("preempted") == "TRUE":
            return Notice(reason="Google announced: preempted", within_s=_GCP_PREEMPTED_S)
        event = self._value("maintenance-event")
        if event == "TERMINATE_ON_HOST_MAINTENANCE":
            return Notice(reason="Google announced: maintenance", within_s=_GCP_MAINTENANCE_S)
        return None

    def _value(self, name: str) -> str:
        url = f"{self._address}/computeMetadata/v1/instance/{name}"
        status, text = _ask(url, {"Metadata-Flavor": "Google"})
        if status != HTTPStatus.OK:
            raise _unexpected(self._address, f"status {status} for {name}")
        return text.strip()


def _ask(url: str, headers: Mapping[str, str], method: str = "GET") -> tuple[int, str]:
    """Return the status and the text of an answer."""
    # A proxy would answer for another machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, headers=dict(headers), method=method)
    try:
        with opener.open(request, timeout=_ANSWER_S) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""
    except (OSError, ValueError) as error:
        raise MetadataError(
            f"the metadata service {url} does not answer ({error}); run this on a machine of the "
            "cloud that --cloud names, in a container with access to it."
        ) from error


def _unexpected(address: str, what: str) -> MetadataError:
    return MetadataError(
        f"the metadata service {address} answered {what}, but must speak its cloud's protocol; "
        "name the cloud that this machine is of with --cloud."
    )
